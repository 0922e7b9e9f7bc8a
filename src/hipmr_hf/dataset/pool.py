"""Whoever calls the functions of a run, in this process, in others, or on other machines."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol


class Pool(Protocol):
    """Whoever calls the functions of a run: `local_pool.LocalPool` or `ray_pool.RayPool`."""

    def put(self, told: Any) -> None:
        """Tell what every call gets as its first argument."""

    def map(self, function: Callable[[Any, Any], Any], arguments: Iterable[Any]) -> Iterator[Any]:
        """Yield function(told, argument) for each argument, in order."""

    def close(self) -> None:
        """End what was started for the calls."""
