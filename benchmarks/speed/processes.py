"""What more processes give a run on a folder of photographs, by the clock and simulated from measured parts.

    python benchmarks/speed/run_all.py --only processes

By the clock, one process and two, in turns; that needs two cores that are idle otherwise. Simulated: a run's
calls to its pool are made one after the other in this process, and the processor seconds of each are written
down. With so many processes each call goes to the one that is free first, stage by stage; all else is serial.
The serial share is Amdahl's: that of a run in which everything but it would be divided evenly.
"""

import heapq
import itertools
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from benchmarks.harness.settings import shuffling
from benchmarks.harness.timing import Row, interleaved, quartiles, row
from benchmarks.speed.folder import PHOTOGRAPHS, WARM_UP, write_photographs
from hipmr_hf.dataset.job import EncryptionJob
from hipmr_hf.dataset.run import encrypt_source

AIM, SIMULATED = 0.1, 16


class Recording:
    """A pool of this process alone that writes the processor seconds of each call down, stage by stage."""

    stages: ClassVar[list[list[float]]] = []

    def __init__(self, num_proc: int = 1, *, with_key: bool = False) -> None:
        self.told: Any = None
        Recording.stages = []

    def put(self, told: Any) -> None:
        """Keep what every call gets."""
        self.told = told

    def map(self, function: Callable[[Any, Any], Any], arguments: Iterable[Any]) -> Iterator[Any]:
        """Call one after the other."""
        seconds: list[float] = []
        Recording.stages.append(seconds)
        for argument in arguments:
            begun = time.process_time()
            result = function(self.told, argument)
            seconds.append(time.process_time() - begun)
            yield result

    def close(self) -> None:
        """Nothing was started."""


def spread(calls: list[float], workers: int) -> float:
    """Seconds until all calls are done, each by the worker that is free first.

    Example:
        >>> spread([2.0, 1.0, 1.0], 2)
        2.0
    """
    free = [0.0] * workers
    for seconds in calls:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


def serial_share(one: float, many: float, workers: int) -> float:
    """Amdahl's: which share of the time of one worker is done by no other.

    Example:
        >>> serial_share(16.0, 8.5, 16)
        0.5
    """
    return (many / one - 1 / workers) / (1 - 1 / workers)


def recorded(source: Path, target: Path) -> tuple[float, list[list[float]]]:
    """Run with one process; return the processor seconds of all, and of each call of each stage."""
    with mock.patch("hipmr_hf.dataset.local_pool.LocalPool", Recording):
        begun = time.process_time()
        encrypt_source(EncryptionJob(shuffling(), image_format="webp"), [str(source)], target)
        return time.process_time() - begun, Recording.stages


def measure(quick: bool, count: int | None = None, repeats: int = 3) -> list[Row]:
    """Write a folder, run on it by the clock, then call by call."""
    count = 8 if quick else count or PHOTOGRAPHS
    with tempfile.TemporaryDirectory(prefix="hipmr-processes-") as parent:
        place = Path(parent)
        source, targets = write_photographs(place / "plain", count), iter(range(10**6))
        few = write_photographs(place / "few", min(count, WARM_UP))
        sources = itertools.chain([few] * 2, itertools.repeat(source))  # the first calls warm up
        job = EncryptionJob(shuffling(), image_format="webp")
        functions = {
            processes: lambda processes=processes: encrypt_source(
                job, [str(next(sources))], place / str(next(targets)), num_proc=processes
            )
            for processes in (1, 2)
        }
        seconds = interleaved(functions, repeats=1 if quick else repeats, clock=time.perf_counter)
        runs = [recorded(source, place / str(next(targets)))]
    return table_rows(count, seconds, runs)


def table_rows(
    count: int, seconds: dict[int, list[float]], runs: list[tuple[float, list[list[float]]]]
) -> list[Row]:
    """Make the lines of the table."""
    what = f"RS, {count:,} photographs of 500x375 to lossless WebP"
    options = {"amount": count, "unit": "images/s"}
    rows = [row(f"{what}, 1 process, by the clock", seconds[1], **options)]
    against = ("1 process, by the clock", seconds[1])
    rows.append(row(f"{what}, 2 processes, by the clock", seconds[2], **options, against=against))
    for workers in (2, SIMULATED):
        times = [
            (total, total - sum(map(sum, stages)) + sum(spread(calls, workers) for calls in stages if calls))
            for total, stages in runs
        ]
        one, many = map(list, zip(*times, strict=True))
        told = f"{what}, {workers} processes, simulated"
        rows.append(row(told, many, **options, against=("1 process, processor time", one)))
    shares = [serial_share(first, last, SIMULATED) for first, last in zip(one, many, strict=True)]
    told: Row = {"what": f"{what}, serial share at {SIMULATED} processes, simulated", "unit": "of the time"}
    told |= {"rate": quartiles(shares), "rounds": len(shares), "aim": AIM, "at_most": True, "absolute": True}
    return [*rows, told | {"reason": reason(runs)}]


def reason(runs: list[tuple[float, list[list[float]]]]) -> str:
    """Say what takes how much of the time of one process, as it was measured."""
    total, stages = runs[-1]
    inside = sum(map(sum, stages))
    parts = [f"what the run's own process does {(total - inside) / total:.3f}"]
    names = ("counting parts", "encrypting", "joining", "looking into files", "looking into rows")
    for name, calls in zip(names, stages, strict=False):
        if calls:
            parts.append(f"{name} {sum(calls) / total:.3f} in {len(calls)} calls")
    return "in shares of one process's time: " + ", ".join(parts)
