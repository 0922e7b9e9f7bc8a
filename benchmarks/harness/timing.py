"""Time things side by side: all of them in every round, so that other work slows them alike."""

import os
import platform
import random
import time
from collections.abc import Callable
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from .results_file import RESULTS, save_results
from .tables import table

_PACKAGES = ("numpy", "pillow", "pyarrow", "datasets", "torch", "transformers", "kornia")
_HEADS = ("what", "median (quartiles)", "ratio (quartiles)", "compared with", "aim")

Row = dict[str, Any]


def interleaved(
    functions: dict[Any, Callable[[], object]],
    *,
    repeats: int,
    clock: Callable[[], float] = time.process_time,
) -> dict[Any, list[float]]:
    """Call every function once to warm up, then `repeats` times in turn: seconds of each call.

    Every round has an order of its own, since what runs before leaves caches and memory as it needed them.
    The default clock counts the processor time of this process, which other work on the machine hardly moves.
    """
    for function in functions.values():
        function()
    seconds: dict[Any, list[float]] = {name: [] for name in functions}
    orders = random.Random(0)
    for _ in range(repeats):
        for name in orders.sample(list(functions), len(functions)):
            start = clock()
            functions[name]()
            seconds[name].append(clock() - start)
    return seconds


def quartiles(values: Any) -> list[float]:
    """Lower quartile, median and upper quartile."""
    return np.quantile(values, [0.25, 0.5, 0.75]).tolist()


def row(
    what: str,
    seconds: list[float],
    *,
    amount: float,
    unit: str,
    against: tuple[str, list[float]] | None = None,
    aim: float | None = None,
    reason: str | None = None,
) -> Row:
    """Make a line of the table: `amount / seconds` in `unit`, and how many times as fast as something else.

    Args:
        what: what was timed.
        seconds: of each round.
        amount: work done in a call, in what `unit` counts.
        unit: as in "images/s".
        against: name and seconds, in the same rounds, of what it is compared with.
        aim: the least ratio wanted.
        reason: why the aim is not reached, where that was found by measurement.
    """
    result: Row = {"what": what, "unit": unit, "rate": quartiles(amount / np.array(seconds))}
    result |= {"rounds": len(seconds)}
    if against is not None:
        name, other = against
        result |= {"against": name, "ratio": quartiles(np.array(other) / np.array(seconds))}
    if aim is not None:
        result |= {"aim": aim, "reason": reason}
    return result


def machine() -> dict[str, Any]:
    """Tell what the figures were taken on."""
    return {
        "date": date.today().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: version for name in _PACKAGES if (version := _version(name))},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def speed_table(rows: list[Row]) -> str:
    """Render rows as Markdown, and under the table the aims that were not met."""
    missed = [
        f"- **{line['what']}**, {_judged(line)[1]:.2f} instead of {_aim(line)}: {_reason(line)}"
        for line in rows
        if line.get("aim") and not _met(line)
    ]
    aims = ["", "Aims not met, and why:", "", *missed] if missed else []
    return "\n".join([table(_HEADS, map(_cells, rows)), *aims])


def _cells(line: Row) -> list[str]:
    if "skipped" in line:
        return [line["what"], f"not measured: {line['skipped']}", "", "", ""]
    ratio = _spread(line["ratio"]) if line.get("ratio") else ""
    aim = _aim(line) if line.get("aim") else ""
    return [line["what"], f"{_spread(line['rate'])} {line['unit']}", ratio, line.get("against", ""), aim]


def _reason(line: Row) -> str:
    low, _, high = _judged(line)
    if low <= line["aim"] <= high:
        return f"within the spread of the run, {low:.2f} to {high:.2f}"
    return line.get("reason") or "the reason has not been found"


def _met(line: Row) -> bool:
    if line.get("at_most"):
        return _judged(line)[1] <= line["aim"]
    return _judged(line)[1] >= line["aim"]


def _judged(line: Row) -> list[float]:
    """Return what the aim is for: the ratio, or the figure itself where the line says `absolute`."""
    return line["rate"] if line.get("absolute") else line["ratio"]


def _aim(line: Row) -> str:
    unit = f" {line['unit']}" if line.get("absolute") else ""
    return f"{'at most' if line.get('at_most') else 'at least'} {line['aim']}{unit}"


def _spread(values: list[float]) -> str:
    low, middle, high = values
    return f"{middle:.3g} ({low:.3g} to {high:.3g})" if low != high else f"{middle:.3g}"


def save(topic: str, rows: list[Row], folder: Path = RESULTS, *, seconds: float) -> None:
    """Write `speed_{topic}.json`, and how long it took to measure."""
    told = {"machine": machine(), "seconds": round(seconds), "rows": rows}
    save_results(folder / f"speed_{topic}.json", told)
