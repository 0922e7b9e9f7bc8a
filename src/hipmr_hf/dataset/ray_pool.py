"""Call functions on the machines of a Ray cluster, and start Ray here where none is named."""

import collections
import contextlib
import itertools
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..errors import InputValueError, UnreachableError, UserError, needs_extra
from ..files import PRIVATE_FOLDER

logger: logging.Logger = logging.getLogger(__name__)

# Calls that wait for each processor, so that none is idle while the next result in order is awaited.
_AHEAD = 4
# How often a call begins again elsewhere after its machine was lost.
_RETRIES = 10
# Ray's sockets lie up to 70 bytes deep in the folder, and on some systems their paths may have 103 bytes.
_LONGEST_FOLDER = 33


class RayPool:
    """Calls functions on what it was told and one argument more, one call a processor; see `pool.Pool`.

    `RAY_ADDRESS` names the cluster. Without it Ray starts on this machine alone, until `close`: on the
    loopback interface, with a token that serves this once and a folder that nobody else can open. What is
    told and the arguments travel in the clear. A call whose process or machine is lost is made again
    elsewhere.

    Raises:
        InputValueError: `RAY_ADDRESS` is "auto", which anybody on this machine may have pointed elsewhere.
        MissingExtraError: Ray is not installed.
        UnreachableError: the cluster cannot be reached.
    """

    def __init__(self) -> None:
        with needs_extra("engine: 'ray', here and on every machine,", "ray"):
            import ray
        self._ray, self._told = ray, None
        self._umask: int | None = None
        self._ending = contextlib.ExitStack()
        if not ray.is_initialized():  # else whoever connected also ends it
            self._connect()
        self._call = ray.remote(max_retries=_RETRIES, num_cpus=1)(_answer)

    def put(self, told: Any) -> None:
        """Tell what every call gets as its first argument; it must not hold a key."""
        self._told = self._ray.put(told)

    def map(self, function: Callable[[Any, Any], Any], arguments: Iterable[Any]) -> Iterator[Any]:
        """Yield results in order; arguments are taken as calls are made, not all at once.

        Raises:
            UnreachableError: the cluster gave up.
        """
        limit = _AHEAD * max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        arguments, running = iter(arguments), collections.deque()
        try:
            while True:
                for argument in itertools.islice(arguments, limit - len(running)):
                    running.append(self._call.remote(function, self._told, argument, self._umask))
                if not running:
                    return
                result, error = self._ray.get(running.popleft())
                if error is not None:
                    raise error
                yield result
        except self._ray.exceptions.RayTaskError:
            raise  # a mistake of ours
        except self._ray.exceptions.RayError as error:
            raise UnreachableError(
                f"the cluster gave up ({type(error).__name__}); `ray status` and its logs tell more. What is "
                "finished stays: give the same command again."
            ) from error

    def close(self) -> None:
        """Leave the cluster, or end the one that was started here."""
        self._ending.close()

    def _connect(self) -> None:
        named = os.environ.get("RAY_ADDRESS")
        if named in (None, "", "local"):
            if not named:
                logger.warning("RAY_ADDRESS names no cluster: this machine's processors do all of the work.")
            self._umask = self._ending.enter_context(_started_here(self._ray))
            return
        if named == "auto":
            raise InputValueError(
                "RAY_ADDRESS: got 'auto', which is whatever a file in a folder that all users share says; "
                "give the cluster's HOST:PORT, or unset it to work on this machine alone."
            )
        try:
            self._ray.init(address=named, log_to_driver=False, logging_level=logging.WARNING)
        except ConnectionError as error:
            raise UnreachableError(
                f"RAY_ADDRESS: no cluster at {named} can be reached from here; start it with `ray start "
                "--head`, name another, or unset RAY_ADDRESS."
            ) from error
        self._ending.callback(self._ray.shutdown)


def _answer(
    function: Callable[[Any, Any], Any], told: Any, argument: Any, umask: int | None
) -> tuple[Any, Exception | None]:
    """Call a function on a machine. What users can mend is an answer too: Ray neither logs nor repeats it."""
    if umask is not None:
        os.umask(umask)
    try:
        return function(told, argument), None
    except (UserError, OSError) as error:
        return None, error


@contextlib.contextmanager
def _started_here(ray: Any) -> Iterator[int]:
    """Start Ray on this machine, where nobody else can connect to it or read what it writes, and end it.

    Ray would keep its token in a file that all can read, and open its folders to all, so it gets a token of
    its own in the environment, which is its user's alone, and folders below a private one. What Ray writes is
    its user's alone too; gives the umask for what we write.
    """
    from ray._private import ray_constants

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    folder = _private_folder()
    # Ray has no public setting for it: off, all of its servers bind to the loopback interface.
    enabled, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    umask = os.umask(0o777 & ~PRIVATE_FOLDER)
    try:
        with _token_in_environment():
            try:
                # Ray warns that its token is on, and how to turn that off.
                quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
                ray.init(address="local", include_dashboard=False, _temp_dir=f"{folder}/ray", **quiet)
            finally:
                ray_constants.ENABLE_RAY_CLUSTER = enabled
                os.umask(umask)
            yield umask
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _private_folder() -> str:
    root = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="hipmr-", dir=root)
    if len(os.fsencode(folder)) <= _LONGEST_FOLDER:
        return folder
    os.rmdir(folder)
    return tempfile.mkdtemp(prefix="hipmr-", dir="/tmp")


@contextlib.contextmanager
def _token_in_environment() -> Iterator[None]:
    """Name a new token where Ray's processes find it; one that the user has named there is kept.

    Ray asks for tokens by itself where `RAY_AUTH_MODE` does not say whether it should.
    """
    from ray._raylet import AuthenticationTokenLoader

    names = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")
    before = {name: os.environ.pop(name, None) for name in names}
    os.environ["RAY_AUTH_TOKEN"] = before["RAY_AUTH_TOKEN"] or secrets.token_hex(32)
    AuthenticationTokenLoader.instance().reset_cache()  # it may hold the token of an earlier run
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
