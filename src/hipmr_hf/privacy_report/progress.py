"""One bar for a whole audit, whatever its attackers do."""

from types import TracebackType

from ..progress.bars import progress_bar


class Progress:
    """Counts attackers, and moves within one as it tells how far it is.

    Args:
        steps: attackers of the whole audit.
        show: draw the bar, or write lines where the standard error is no terminal.

    Example:
        >>> with Progress(2, show=False) as progress:
        ...     progress.start("jigsaw")
        ...     progress.inside(0.5, "")
    """

    def __init__(self, steps: int, *, show: bool):
        self._bar = progress_bar(what="Auditing", unit="attackers", total=steps, show=show)
        self._begun = 0

    def start(self, name: str) -> None:
        """Say that the next attacker begins."""
        self._bar.set_description_str(name, refresh=False)
        self._move_to(self._begun)
        self._begun += 1

    def inside(self, share: float, text: str) -> None:
        """Say how far the running attacker is, 0 to 1."""
        self._bar.set_postfix_str(text, refresh=False)
        self._move_to(self._begun - 1 + min(1.0, share))

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._move_to(self._bar.total)
        self._bar.close()

    def _move_to(self, done: float) -> None:
        self._bar.update(round(done, 2) - self._bar.n)
