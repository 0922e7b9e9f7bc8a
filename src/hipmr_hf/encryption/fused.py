"""Turn, mix, normalise and place patches, a few at a time in the processor's cache, compiled by numba.

The same bytes as `patches` and `tones` give, step for step: that is tested. `numba` comes with the extra
"audit"; where it is missing, nobody calls this. It is imported, and the code compiled or read from its cache
(half a second), when the first large batch comes.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_CHANNELS = 3
# Images of fewer pixels, in all calls of this process, are done before the compiled code would be ready.
_WORTH_COMPILING = 2**23
# So many patches at most are done together: what they take stays in the nearest cache.
_STRIP = 16

_seen_pixels = 0


class Plan(NamedTuple):
    """What is done to every patch, as plain numbers."""

    patch_size: int
    interval: int
    grid: int
    normalize: bool
    shuffle_tones: bool
    shuffle: bool


class Shape(NamedTuple):
    """Where patches and sub-patches stand: counts of pixels and patches, and widths of images in bytes."""

    patch_size: int
    margin: int
    grid: int
    side: int
    cols: int
    width: int
    mosaic_cols: int
    mosaic_width: int
    strip: int


def is_worth_it(images: np.ndarray) -> bool:
    """Tell whether `encrypt` is to be called: numba is there, images are colour, and there is enough to do.

    Example:
        >>> is_worth_it(np.zeros((1, 4, 4, 1), np.uint8))
        False
    """
    global _seen_pixels
    _seen_pixels += images.size
    return images.shape[-1] == _CHANNELS and _seen_pixels >= _WORTH_COMPILING and _has_numba()


@functools.cache
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None


def encrypt(
    images: np.ndarray,
    plan: Plan,
    *,
    positions: np.ndarray,
    mosaic_cols: int,
    turns: np.ndarray | None,
    order: np.ndarray | None,
    out: np.ndarray,
) -> None:
    """Encrypt a batch of images, a strip of patches at a time.

    Args:
        images: uint8 (batch, rows * patch_size, cols * patch_size, 3), contiguous.
        plan: what is done to every patch.
        positions: int (batch, kept), the patch that stands in each place of the encrypted image.
        mosaic_cols: patches in a row of the encrypted image.
        turns: int (batch, rows, cols, grid, grid), as in `patches.turn_sub_patches`; None for no turns.
        order: int (batch, rows * cols), for each patch whose tone it gets; None where tones stay.
        out: uint8 (batch, height, width, 3), contiguous, for the result.
    """
    batch, size, grid = len(positions), plan.patch_size, plan.grid
    cols, side = images.shape[2] // size, (size - plan.interval) // grid
    num_patches = images.shape[1] // size * cols
    widths = {"width": 3 * images.shape[2], "mosaic_width": 3 * out.shape[2]}
    places = {"cols": cols, "mosaic_cols": mosaic_cols, "strip": min(_STRIP, mosaic_cols), **widths}
    shape = Shape(patch_size=size, margin=plan.interval // 2, grid=grid, side=side, **places)
    no_turns, no_order = np.empty((batch, 0, 1), np.uint8), np.empty((batch, num_patches), np.int64)
    _kernel()(
        images.reshape(batch, -1),
        positions.astype(np.int64),
        no_turns if turns is None else turns.astype(np.uint8).reshape(batch, -1, grid * grid),
        no_order if order is None else order.astype(np.int64),
        out.reshape(batch, -1),
        np.empty(3 * side * shape.strip, _squares(side, grid)),
        shape,
        plan,
    )


def _squares(side: int, grid: int) -> type:
    """Return the smallest type that holds the sum of the squares of a column.

    Example:
        >>> _squares(8, 2), _squares(9, 16)
        (<class 'numpy.uint32'>, <class 'numpy.uint64'>)
    """
    return np.uint32 if side * (255 * grid * grid) ** 2 < 2**32 else np.uint64


@functools.cache
def _kernel() -> Callable[..., None]:
    from .fused_kernel import encrypt_patches

    return encrypt_patches
