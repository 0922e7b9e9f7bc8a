"""Call functions on the machines of a Ray cluster, and start Ray here where there is no cluster."""

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .cluster_work import ClusterJob
from .row_encryption import RowEncryptionError

logger = logging.getLogger(__name__)

_MAX_TASKS = 10_000


def import_ray() -> Any:
    """Return Ray with its Ray Data.

    Raises:
        ValueError: it is not installed.
    """
    try:
        import ray.data
    except ImportError as error:
        raise ValueError(
            "engine: 'ray' needs Ray Data, which is not installed; run pip install \"hipmr-hf[ray]\" on "
            "every machine, or leave the engine out."
        ) from error
    return ray


@contextlib.contextmanager
def connected(ray: Any) -> Iterator[None]:
    """Connect to the cluster, or start Ray here until the end of the run."""
    if ray.is_initialized():  # by the caller, who also ends it
        yield
        return
    try:
        _connect(ray)
        yield
    finally:
        ray.shutdown()


def _connect(ray: Any) -> None:
    named = os.environ.get("RAY_ADDRESS")
    if named != "local":
        try:
            ray.init(address="auto", log_to_driver=False, logging_level=logging.WARNING)
            return
        except ConnectionError as error:
            if named:
                raise ConnectionError(
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


class Cluster:
    """Calls functions of `cluster_work` on the machines of a cluster."""

    def __init__(self, ray: Any, told: ClusterJob) -> None:
        self.ray, self.told, self.work = ray, told, Path(told.work)

    def call(
        self, function: Callable[..., Any], calls: Sequence[dict[str, Any]]
    ) -> Iterator[tuple[dict[str, Any], Any]]:
        """Yield (arguments, result) of every call, in any order.

        Raises:
            ConnectionError: the cluster gave up.
            RowEncryptionError, ValueError, OSError: what a call raised.
        """
        if not calls:
            return
        context = self.ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # it tells its plans
        items = [{"call": i, "arguments": json.dumps(arguments)} for i, arguments in enumerate(calls)]
        rows = self.ray.data.from_items(items, override_num_blocks=min(len(items), _MAX_TASKS)).map(
            _answer,
            fn_kwargs={"function": function, "told": self.told},
            num_cpus=1,
        )
        try:
            for row in rows.iter_rows():
                _raise_problem(row)
                yield calls[row["call"]], json.loads(row["result"])
        except self.ray.exceptions.RayError as error:
            name = type(error).__name__
            raise ConnectionError(
                f"the cluster gave up ({name}); `ray status` and its logs tell more. What is finished stays: "
                "give the same command again."
            ) from error


def _answer(row: dict[str, Any], function: Callable[..., Any], told: ClusterJob) -> dict[str, Any]:
    """Call a function on a machine. An error is an answer too, so that Ray neither logs nor repeats it."""
    result, problem, kind = None, "", ""
    try:
        result = function(told, **json.loads(row["arguments"]))
    except (ValueError, OSError) as error:
        problem, kind = str(error), type(error).__name__
    return {"call": row["call"], "result": json.dumps(result), "problem": problem, "kind": kind}


def _raise_problem(row: dict[str, Any]) -> None:
    if not row["kind"]:
        return
    known = {"RowEncryptionError": RowEncryptionError, "PermissionError": PermissionError}
    known |= {"FileNotFoundError": FileNotFoundError, "OSError": OSError}
    raise known.get(row["kind"], ValueError)(row["problem"])
