"""Peak memory of something that runs in a process of its own; Linux tells it."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from .timing import Row

STATUS = Path("/proc/self/status")


def megabytes(field: str) -> float:
    """Return VmRSS, what this process holds, or VmHWM, the most it held, in MB.

    `getrusage` would count the peak of the parent that started it.
    """
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) * 1024 / 1e6


def told_by_fresh_process(function: Callable[..., float], *arguments: object) -> float:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def memory_row(what: str, peak: float, against: tuple[str, float] | None = None) -> Row:
    """Make a line of the table: MB, and how many times as much as something else."""
    line: Row = {"what": what, "unit": "MB", "rate": [peak] * 3, "rounds": 1}
    return line if against is None else line | {"against": against[0], "ratio": [peak / against[1]] * 3}
