"""Turn, mix, normalise and place patches one by one, each in the processor's cache, compiled by numba.

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

_seen_pixels = 0


class Plan(NamedTuple):
    """What is done to every patch, as plain numbers."""

    patch_size: int
    interval: int
    grid: int
    normalize: bool
    shuffle_tones: bool


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
    """Encrypt a batch of images patch by patch.

    Args:
        images: uint8 (batch, rows * patch_size, cols * patch_size, 3), contiguous.
        plan: what is done to every patch.
        positions: int (batch, kept), the patch that stands in each place of the encrypted image.
        mosaic_cols: patches in a row of the encrypted image.
        turns: int (batch, rows, cols, grid, grid), as in `patches.turn_sub_patches`; None for no turns.
        order: int (batch, rows * cols), for each patch whose tone it gets; None where tones stay.
        out: uint8 (batch, height, width, 3), contiguous, for the result.
    """
    batch = len(positions)
    num_patches = (images.shape[1] // plan.patch_size) * (images.shape[2] // plan.patch_size)
    turns = np.zeros((batch, 1, 1), np.uint8) if turns is None else turns.astype(np.uint8)
    has_turns = turns.size > batch
    order = np.zeros((batch, 1), np.int64) if order is None else order.astype(np.int64)
    _kernel()(
        images.reshape(*images.shape[:2], -1),
        positions.astype(np.int64),
        turns.reshape(batch, -1, plan.grid * plan.grid) if has_turns else turns,
        has_turns,
        order,
        out.reshape(*out.shape[:2], -1),
        num_patches,
        mosaic_cols,
        *plan,
    )


@functools.cache
def _kernel() -> Callable[..., None]:
    from .fused_kernel import encrypt_patches

    return encrypt_patches
