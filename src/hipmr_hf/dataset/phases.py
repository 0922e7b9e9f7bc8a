"""Where the time of a run goes."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator

NAMES = ("walk", "encrypt", "join", "card", "leaks")
"""The phases of a run: find the pictures, encrypt them, write shards, tell of them, look for leaks."""


@dataclasses.dataclass
class Phases:
    """Seconds of each phase of a run, by the clock.

    Args:
        seconds: by name, of those that were there.

    Example:

        >>> Phases({"walk": 0.5, "encrypt": 90.0, "join": 9.5}).told()
        '100.0 s: walk 0.5, encrypt 90.0, join 9.5'
    """

    seconds: dict[str, float] = dataclasses.field(default_factory=dict)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of what is done within to a phase, once more if it was there before."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begun

    def told(self) -> str:
        """Say it in one line."""
        parts = ", ".join(f"{name} {self.seconds[name]:.1f}" for name in NAMES if name in self.seconds)
        return f"{sum(self.seconds.values()):.1f} s: {parts}"
