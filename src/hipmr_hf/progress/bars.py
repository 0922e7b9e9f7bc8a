"""One kind of progress bar for the whole project, which also says something where no terminal shows it."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
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


class _Later:
    """A bar for a log, which is made when its first line is due; short work does without tqdm's import.

    Args:
        make: makes the bar of tqdm.
        items: as in `progress_bar`.
        done: as there.
    """

    def __init__(self, make: Callable[[], tqdm], items: Iterable[Any] | None, done: float) -> None:
        self._make, self._items, self._done = make, items, done
        self._bar: tqdm | None = None
        self._time: Callable[[], float] = time.time
        self._begun = self._time()
        self._count: float = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made(), name)

    @property
    def n(self) -> float:
        """What is done."""
        return self._done + self._count

    def _made(self) -> tqdm:
        if self._bar is None:
            self._bar = self._make()
            self._bar._time = self._time
            self._bar.start_t = self._bar.last_print_t = self._begun
        return self._bar

    def update(self, count: float = 1) -> None:
        """Count on."""
        if self._bar is not None or self._time() - self._begun >= LOG_SECONDS:
            bar = self._made()
            bar.update(self.n + count - bar.n)
        self._count += count

    def __iter__(self) -> Iterator[Any]:
        with self:
            for item in self._items or ():
                yield item
                self.update()

    def __enter__(self) -> _Later:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Write the last line, if there was another."""
        if self._bar is not None:
            self._bar.close()


def progress_bar(
    items: Iterable[Any] | None = None,
    *,
    what: str,
    unit: str,
    total: float | None = None,
    done: float = 0,
    show: bool = True,
) -> tqdm | _Later:
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
        A `tqdm` bar, or what becomes one in a log.

    Example:

        >>> [row for row in progress_bar([1, 2], what="Encrypting", unit="rows", show=False)]
        [1, 2]
    """
    options: dict[str, Any] = {"desc": what, "unit": f" {unit}", "initial": done}
    if total is not None:
        options["total"] = total
    if not show:
        return _tqdm()(items, disable=True, **options)
    notebook = _notebook_bar()
    if notebook is not None or sys.stderr.isatty():
        return (notebook or _tqdm())(items, **options)
    if total is None and hasattr(items, "__len__"):
        options["total"] = len(items)  # pyright: ignore[reportArgumentType]
    line = _LOG_LINE if "total" in options else _LOG_LINE_WITHOUT_TOTAL
    pace = {"mininterval": LOG_SECONDS, "delay": LOG_SECONDS, "miniters": 1}
    file = _Log(sys.stderr)
    make = functools.partial(_make_for_log, file=file, bar_format=line, **pace, **options)
    return _Later(make, items, done)


def _make_for_log(**options: Any) -> tqdm:
    return _tqdm()(**options)


def _tqdm() -> type[tqdm]:
    from tqdm.std import tqdm

    return tqdm


def _notebook_bar() -> type[tqdm] | None:
    """Return the bar that notebooks show; None elsewhere, where it need not be looked for."""
    if "IPython" not in sys.modules:
        return None
    from tqdm.auto import tqdm as found

    return found if found.__module__ == "tqdm.notebook" else None
