"""Resize one side of colour pictures with Pillow's own arithmetic, compiled by numba.

The same bytes as Pillow gives, which is tested, and looked at once more with the first picture of each
process: where they differ, Pillow does it. It takes a quarter of the time, since it makes the window alone,
three bytes a pixel and not four, many rows at once. `numba` comes with the extra "fast"; where it is missing,
nobody calls this. It is imported, and the code compiled or read from its cache (half a second), when that is
worth it.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_CHANNELS = 3
# Pictures of fewer bytes, in all calls of this process, are done before the compiled code would be ready.
_WORTH_COMPILING = 2**26

_seen_bytes = 0
_differs = False


class Side(NamedTuple):
    """One side is resized to `length`, of which `kept` pixels stay from `first` on.

    With a box, it is that stretch of the side, in source pixels, that is resized.
    """

    length: int
    first: int
    kept: int
    box: tuple[float, float] | None = None


def is_worth_it(pixels: np.ndarray) -> bool:
    """Tell whether `stretch` is to be called: numba is there, pixels are colour, and there is enough to do.

    Example:
        >>> is_worth_it(np.zeros((4, 4, 1), np.uint8))
        False
    """
    global _seen_bytes
    _seen_bytes += pixels.size
    enough = _seen_bytes >= _WORTH_COMPILING and not _differs
    return enough and pixels.shape[2] == _CHANNELS and _has_numba()


@functools.cache
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None


def stretch(pixels: np.ndarray, axis: int, side: Side, by_pillow: Callable[[], np.ndarray]) -> np.ndarray:
    """Resize one side, bicubic, and keep the window.

    Args:
        pixels: uint8 (height, width, 3).
        axis: 0 for the height, 1 for the width.
        side: what it becomes.
        by_pillow: does the same with Pillow; called once in a process, to compare.

    Returns:
        uint8 (height, width, 3), contiguous, `side.kept` pixels along the axis.
    """
    pixels = np.ascontiguousarray(pixels)
    shape = list(pixels.shape)
    shape[axis] = side.kept
    stretched = np.empty(shape, np.uint8)
    stretch_along = _kernels()[axis]
    stretch_along(
        pixels.reshape(len(pixels), -1), *_taps(pixels.shape[axis], side), stretched.reshape(shape[0], -1)
    )
    return stretched if _agrees(axis, stretched, by_pillow) else by_pillow()


@functools.lru_cache(maxsize=64)
def _taps(size: int, side: Side) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each pixel of the window where its taps begin, how many there are, and their weights."""
    # Pillow holds boxes, and so what is between their ends, in 32 bits.
    begin, end = map(np.float32, (0, size) if side.box is None else side.box)
    scale = float(end - begin) / side.length
    return _kernels()[2](size, float(begin), scale, side.first, side.kept)


_compared: set[int] = set()


def _agrees(axis: int, stretched: np.ndarray, by_pillow: Callable[[], np.ndarray]) -> bool:
    """Compare with Pillow, once a process and axis; a difference is for good."""
    global _differs
    if axis not in _compared:
        _differs = not np.array_equal(stretched, by_pillow())
        _compared.add(axis)
    return not _differs


@functools.cache
def _kernels() -> tuple[Callable[..., None], Callable[..., None], Callable[..., tuple]]:
    from .stretching_kernel import find_taps, stretch_across, stretch_down

    return stretch_down, stretch_across, find_taps
