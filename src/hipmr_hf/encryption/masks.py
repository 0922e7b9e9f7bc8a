"""Let the label map of a picture follow its pixels through resize, crop and mixing-up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputTypeError, InputValueError

if TYPE_CHECKING:
    from .placement import Placement


def move_mask(mask: np.ndarray, placement: Placement, *, sub_patch_grid: int = 1) -> np.ndarray:
    """Move a label map from the plain image to the encrypted one.

    It goes where boxes go: resized (each new pixel takes the label at its centre, so that no label is made up
    between two), cut to the window, and made smaller by the sub-patch grid. There each pixel stands for a
    cell of grid x grid pixels and takes the label that most of them have; of labels that are equally
    frequent, the one that comes first in the cell, row by row. Mixing-up folds the pixels within a patch, so
    a moved mask is exact to one patch of the encrypted image, as a box is.

    Args:
        mask: uint8 (height, width) of class ids, of the size of the upright plain image.
        placement: what `encryption.placement(height, width)` returns for that image.
        sub_patch_grid: sub-patches along one side of a patch, >= 1.

    Returns:
        uint8 (encrypted height, encrypted width), a new array.

    Raises:
        TypeError: the mask is no array.
        ValueError: it is not uint8 (height, width).

    Example:

        >>> from hipmr_hf.encryption import Placement
        >>> placement = Placement(resized_height=4, resized_width=4, top=0, left=0, height=4, width=4)
        >>> mask = np.array([[7, 7, 0, 0], [7, 0, 0, 1], [0, 1, 5, 6], [1, 0, 6, 5]], np.uint8)
        >>> move_mask(mask, placement, sub_patch_grid=2)
        array([[7, 0],
               [0, 5]], dtype=uint8)
    """
    if not isinstance(mask, np.ndarray):
        raise InputTypeError(f"mask: got {type(mask).__name__}, expected a uint8 (height, width) array.")
    if mask.dtype != np.uint8 or mask.ndim != 2:
        raise InputValueError(
            f"mask: got {mask.dtype} {mask.shape}, expected class ids, uint8 (height, width)."
        )
    rows = _sources(mask.shape[0], placement.resized_height, placement.top, placement.height)
    columns = _sources(mask.shape[1], placement.resized_width, placement.left, placement.width)
    return _majority(mask[np.ix_(rows, columns)], sub_patch_grid)


def _sources(old: int, new: int, first: int, count: int) -> np.ndarray:
    """Number the old pixel that each pixel of the window has its centre in."""
    centres = 2 * np.arange(first, first + count, dtype=np.int64) + 1  # in halves of a new pixel
    return centres * old // (2 * new)


def _majority(mask: np.ndarray, grid: int) -> np.ndarray:
    """The most frequent label of each cell of grid x grid pixels; on a tie the first, row by row."""
    if grid == 1:
        return mask
    rows, columns = (side // grid for side in mask.shape)
    # (rows, columns, grid * grid)
    cells = mask.reshape(rows, grid, columns, grid).transpose(0, 2, 1, 3).reshape(rows, columns, -1)
    votes = np.stack(
        [(cells == cells[..., i, None]).sum(axis=-1, dtype=np.uint16) for i in range(cells.shape[-1])],
        axis=-1,
    )
    return np.take_along_axis(cells, votes.argmax(axis=-1)[..., None], axis=-1)[..., 0]
