"""One kind of progress bar for the whole project, which also says something where no terminal shows it."""

import sys
from collections.abc import Iterable
from typing import IO, Any

from tqdm.std import tqdm

LOG_SECONDS = 10
"""Seconds between two lines in a log; work that ends sooner writes none."""

_CURSOR_UP = "\x1b[A"
_LOG_LINE = "{desc}: {n_fmt}/{total_fmt}{unit}, {rate_fmt}{postfix}, {elapsed} passed, {remaining} left"
_LOG_LINE_WITHOUT_TOTAL = "{desc}: {n_fmt}{unit}, {rate_fmt}{postfix}, {elapsed} passed"


class _Log:
    """A file to which a bar's states go as lines, where tqdm would draw each over the last one."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file
        self._last = ""

    def write(self, text: str) -> None:
        line = " ".join(text.replace(_CURSOR_UP, "").split())
        if line and line != self._last:
            self.file.write(f"{line}\n")
            self._last = line

    def flush(self) -> None:
        self.file.flush()


def progress_bar(
    items: Iterable[Any] | None = None,
    *,
    what: str,
    unit: str,
    total: float | None = None,
    done: float = 0,
    show: bool = True,
) -> tqdm:
    """Make a bar on the standard error, with what is done, the total, the rate and the time that remains.

    At a terminal and in a notebook it moves. Elsewhere, as in a log file, a line comes every 10 seconds and
    at the end, and none at all if the work is done sooner.

    Args:
        items: what to go through; or None, and `update` counts.
        what: what is being done, such as "Encrypting".
        unit: of what is counted, such as "rows".
        total: how much there is; None if nobody knows, or if `items` tells.
        done: how much an earlier run has done already.
        show: False for silence.

    Returns:
        A `tqdm` bar.

    Example:

        >>> [row for row in progress_bar([1, 2], what="Encrypting", unit="rows", show=False)]
        [1, 2]
    """
    options: dict[str, Any] = {"desc": what, "unit": f" {unit}", "initial": done}
    if total is not None:
        options["total"] = total
    if not show:
        return tqdm(items, disable=True, **options)
    notebook = _notebook_bar()
    if notebook is not None or sys.stderr.isatty():
        return (notebook or tqdm)(items, **options)
    known = total is not None or hasattr(items, "__len__")
    line = _LOG_LINE if known else _LOG_LINE_WITHOUT_TOTAL
    pace = {"mininterval": LOG_SECONDS, "delay": LOG_SECONDS, "miniters": 1}
    return tqdm(items, file=_Log(sys.stderr), bar_format=line, **pace, **options)


def _notebook_bar() -> type[tqdm] | None:
    """Return the bar that notebooks show; None elsewhere, where it need not be looked for."""
    if "IPython" not in sys.modules:
        return None
    from tqdm.auto import tqdm as found

    return found if found.__module__ == "tqdm.notebook" else None
