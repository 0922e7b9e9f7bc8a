"""Call functions on the machines of a Ray cluster, and start Ray here where there is no cluster."""

import collections
import itertools
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..errors import UnreachableError, UserError, needs_extra

logger = logging.getLogger(__name__)

# Calls that wait for each processor, so that none is idle while the next result in order is awaited.
_AHEAD = 4
# How often a call begins again elsewhere after its machine was lost.
_RETRIES = 10


class RayPool:
    """Calls functions on what it was told and one argument more, one call a processor; see `pool.Pool`.

    `RAY_ADDRESS` names the cluster, or the one of this machine is taken; without one, Ray starts on this
    machine alone, on the loopback interface, until `close`. What is told and the arguments travel in the
    clear. A call whose process or machine is lost is made again elsewhere.

    Raises:
        MissingExtraError: Ray is not installed.
        UnreachableError: the cluster cannot be reached.
    """

    def __init__(self) -> None:
        with needs_extra("engine: 'ray', here and on every machine,", "ray"):
            import ray
        self._ray, self._told = ray, None
        self._ours = not ray.is_initialized()  # else whoever connected also ends it
        if self._ours:
            _connect(ray)
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
                    running.append(self._call.remote(function, self._told, argument))
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
        if self._ours:
            self._ray.shutdown()


def _answer(function: Callable[[Any, Any], Any], told: Any, argument: Any) -> tuple[Any, Exception | None]:
    """Call a function on a machine. What users can mend is an answer too: Ray neither logs nor repeats it."""
    try:
        return function(told, argument), None
    except (UserError, OSError) as error:
        return None, error


def _connect(ray: Any) -> None:
    named = os.environ.get("RAY_ADDRESS")
    if named != "local":
        try:
            ray.init(address="auto", log_to_driver=False, logging_level=logging.WARNING)
            return
        except ConnectionError as error:
            if named:
                raise UnreachableError(
                    f"RAY_ADDRESS: no cluster at {named} can be reached from here; start it with `ray start "
                    "--head`, name another, or unset RAY_ADDRESS."
                ) from error
        logger.warning("No Ray cluster runs here, so this machine's processors do all of the work.")
    _start_here(ray)


def _start_here(ray: Any) -> None:
    """Start Ray on this machine alone, where nobody else can connect to it."""
    from ray._private import ray_constants

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray has no public setting for it: off, all of its servers bind to the loopback interface.
    enabled, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        # Ray warns that its token is on, and how to turn that off.
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        ray.init(address="local", include_dashboard=False, **quiet)
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = enabled
