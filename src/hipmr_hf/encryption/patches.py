"""Images as grids of patches: gather, erode, turn, mix and normalise them, a whole batch at a time.

Every function takes uint8 images of whole patches, (batch, height, width, channels), contiguous, and loops
over neither images nor patches. Positions are counted row-major. numpy only.
"""

import math

import numpy as np

NUM_SYMMETRIES = 8
"""Symmetries of the square: bit 2 of the index transposes, then bit 1 flips rows, bit 0 columns."""

NORMALIZED_MEAN = 128.0
NORMALIZED_STD = 40.0
NORMALIZED_FLOOR = 8.0


def gather_patches(
    images: np.ndarray,
    positions: np.ndarray,
    *,
    patch_size: int,
    interval: int = 0,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Build mosaics out of chosen patches. It is fastest while the batch fits into a processor's cache.

    Args:
        images: uint8 (batch, rows * patch_size, cols * patch_size, channels).
        positions: int (batch, mosaic_rows, mosaic_cols), the source position of each patch of the mosaic.
        patch_size: width of a patch in pixels.
        interval: pixels lost between neighbouring patches, half of them eroded from each side.
        out: contiguous memory for the mosaics; None for new memory.

    Returns:
        uint8 (batch, mosaic_rows * kept, mosaic_cols * kept, channels), where kept = patch_size - interval.

    Example:
        >>> import numpy as np
        >>> image = np.array([[0, 1], [2, 3]], dtype=np.uint8).reshape(1, 2, 2, 1)
        >>> gather_patches(image, np.array([[[3, 2], [1, 0]]]), patch_size=1)[0, ..., 0]
        array([[3, 2],
               [1, 0]], dtype=uint8)
    """
    batch, height, width, channels = images.shape
    rows, cols = height // patch_size, width // patch_size
    kept, inner = patch_size - interval, slice(interval // 2, patch_size - interval // 2)
    if out is None:
        size = (batch, positions.shape[1] * kept, positions.shape[2] * kept, channels)
        out = np.empty(size, np.uint8)
    if not out.size:
        return out
    # The element moved is one pixel row of one kept patch. All of them are copied first, in order, which
    # reads memory at full speed; the gather in random order then finds them in the cache. Row y of the patch
    # (row, col) of image b is number ((b * rows + row) * kept + y) * cols + col of the copy.
    grid = images.reshape(batch, rows, patch_size, cols, patch_size, channels)
    element = np.dtype((np.void, kept * channels))
    pixel_rows = np.array(grid[:, :, inner, :, inner], order="C").reshape(-1).view(element)
    first_rows = (np.arange(rows)[:, None] * (kept * cols) + np.arange(cols)).reshape(-1)
    first = first_rows[positions] + np.arange(batch)[:, None, None] * (rows * kept * cols)
    # (batch, mosaic_rows, kept, mosaic_cols)
    index = first[:, :, None, :] + (np.arange(kept) * cols)[:, None]
    np.take(pixel_rows, index.reshape(-1), mode="clip", out=out.reshape(-1).view(element))
    return out


def erode_patches(images: np.ndarray, *, patch_size: int, interval: int) -> np.ndarray:
    """Take half the interval away from each side of every patch; the patches keep their places.

    Args:
        images: uint8 (batch, rows * patch_size, cols * patch_size, channels).
        patch_size: width of a patch in pixels.
        interval: pixels lost between neighbouring patches (even).

    Returns:
        uint8 (batch, rows * kept, cols * kept, channels), where kept = patch_size - interval.

    Example:
        >>> import numpy as np
        >>> erode_patches(np.zeros((1, 8, 12, 3), np.uint8), patch_size=4, interval=2).shape
        (1, 4, 6, 3)
    """
    if not interval:
        return images
    batch, height, width, channels = images.shape
    rows, cols, kept, margin = height // patch_size, width // patch_size, patch_size - interval, interval // 2
    inner = slice(margin, margin + kept)
    grid = images.reshape(batch, rows, patch_size, cols, patch_size, channels)[:, :, inner, :, inner]
    return grid.reshape(batch, rows * kept, cols * kept, channels)


def turn_sub_patches(images: np.ndarray, turns: np.ndarray, *, patch_size: int, grid: int) -> np.ndarray:
    """Turn every sub-patch by the symmetry of the square that `turns` names.

    Args:
        images: uint8 (batch, rows * patch_size, cols * patch_size, channels).
        turns: ints 0..7, (batch, rows, cols, grid, grid); see NUM_SYMMETRIES for what each does.
        patch_size: width of a patch in pixels.
        grid: sub-patches along one side of a patch.

    Returns:
        uint8 images of the same shape.

    Example:
        >>> import numpy as np
        >>> image = np.array([[0, 1], [2, 3]], dtype=np.uint8).reshape(1, 2, 2, 1)
        >>> turn_sub_patches(image, np.full((1, 1, 1, 1, 1), 4), patch_size=2, grid=1)[0, ..., 0]
        array([[0, 2],
               [1, 3]], dtype=uint8)
    """
    batch, rows, cols = turns.shape[:3]
    side, channels = patch_size // grid, images.shape[-1]
    tiled = images.reshape(batch, rows, grid, side, cols, grid, side, channels)
    sub_patches = tiled.transpose(0, 1, 4, 2, 5, 3, 6, 7).reshape(-1, side, side, channels)
    turned, flat_turns = np.empty_like(sub_patches), turns.reshape(-1)
    for symmetry in range(NUM_SYMMETRIES):
        chosen = np.flatnonzero(flat_turns == symmetry)
        turned[chosen] = _turn(sub_patches[chosen], symmetry)
    tiled = turned.reshape(batch, rows, cols, grid, grid, side, side, channels)
    return tiled.transpose(0, 1, 3, 5, 2, 4, 6, 7).reshape(images.shape)


def inverse_turns(turns: np.ndarray) -> np.ndarray:
    """Symmetries that undo `turns`: only the two quarter turns are not their own inverse.

    Example:
        >>> import numpy as np
        >>> inverse_turns(np.arange(8)).tolist()
        [0, 1, 2, 3, 4, 6, 5, 7]
    """
    return np.array([0, 1, 2, 3, 4, 6, 5, 7])[turns]


def _turn(squares: np.ndarray, symmetry: int) -> np.ndarray:
    if symmetry & 4:
        squares = squares.swapaxes(1, 2)
    if symmetry & 2:
        squares = squares[:, ::-1]
    if symmetry & 1:
        squares = squares[:, :, ::-1]
    return squares


def sum_sub_patches(images: np.ndarray, *, patch_size: int, grid: int) -> np.ndarray:
    """Add up the sub-patches of every patch: grid * grid times the mix of the paper (section on MI).

    Args:
        images: uint8 (batch, rows * patch_size, cols * patch_size, channels).
        patch_size: width of a patch in pixels, a multiple of `grid`.
        grid: sub-patches along one side of a patch, 16 at most.

    Returns:
        uint16 (batch, height // grid, width // grid, channels).

    Example:
        >>> import numpy as np
        >>> image = np.array([[0, 1], [2, 3]], dtype=np.uint8).reshape(1, 2, 2, 1)
        >>> int(sum_sub_patches(image, patch_size=2, grid=2)[0, 0, 0, 0])
        6
    """
    batch, height, width, channels = images.shape
    rows, side = height // patch_size, patch_size // grid
    # Rows first: whole image rows are contiguous, so this half runs at full vector width.
    bands = images.reshape(batch, rows, grid, side, width * channels)
    summed = bands[:, :, 0].astype(np.uint16)
    for i in range(1, grid):
        summed += bands[:, :, i]
    # Pixel rows of sub-patches are short: they are moved side by side as single elements, then added at once.
    pieces = summed.reshape(-1).view(np.dtype((np.void, summed.itemsize * side * channels)))
    total = pieces[::grid].copy().view(np.uint16)
    for j in range(1, grid):
        total += pieces[j::grid].copy().view(np.uint16)
    return total.reshape(batch, height // grid, width // grid, channels)


def mean_of_sub_patches(sums: np.ndarray, *, grid: int) -> np.ndarray:
    """Turn sums of sub-patches into their mean, rounded half up: at most 0.5 grey levels off.

    Example:
        >>> import numpy as np
        >>> mean_of_sub_patches(np.array([6, 5], np.uint16), grid=2)
        array([2, 1], dtype=uint8)
    """
    count = grid * grid
    return ((sums + np.uint16(count // 2)) // np.uint16(count)).astype(np.uint8)


def normalize_patches(sums: np.ndarray, *, patch_size: int, count: int) -> np.ndarray:
    """Take every patch's mean and contrast away, per channel: 128 + 40 (x - mean) / (std + 8), 0..255.

    Args:
        sums: integer (batch, rows * patch_size, cols * patch_size, channels), `count` times the pixel values.
        patch_size: width of a patch in pixels.
        count: what the pixels were multiplied with; the number of sub-patches summed, or 1.

    Returns:
        uint8 of the same shape. Statistics are exact: they come from sums, not from rounded means.

    Example:
        >>> import numpy as np
        >>> flat = np.full((1, 2, 2, 1), 200, np.uint8)
        >>> normalize_patches(flat, patch_size=2, count=1).ravel()
        array([128, 128, 128, 128], dtype=uint8)
    """
    batch, height, width, channels = sums.shape
    shape = (batch, height // patch_size, patch_size, width // patch_size, patch_size, channels)
    values = sums.reshape(shape).astype(np.float32)
    values *= np.float32(1 / count)
    values -= _mean_per_patch(values)
    std = np.sqrt(_mean_per_patch(np.square(values)))
    values *= NORMALIZED_STD / (std + NORMALIZED_FLOOR)
    values += np.float32(NORMALIZED_MEAN)
    return np.rint(values).clip(0, 255).astype(np.uint8).reshape(sums.shape)


def _mean_per_patch(values: np.ndarray) -> np.ndarray:
    """(batch, rows, height, cols, width, channels) to float64 (batch, rows, 1, cols, 1, channels)."""
    # Rows first, which runs along whole image rows; both axes at once take six times as long.
    sums = values.sum(axis=2, keepdims=True, dtype=np.float64).sum(axis=4, keepdims=True)
    return sums / (values.shape[2] * values.shape[4])


def mosaic_shape(num_patches: int, rows: int, cols: int) -> tuple[int, int]:
    """Rows and columns of a mosaic: the image's own grid if nothing was dropped, else as square as can be.

    Example:
        >>> mosaic_shape(196, 14, 14), mosaic_shape(98, 14, 14), mosaic_shape(7, 3, 4)
        ((14, 14), (7, 14), (1, 7))
    """
    if num_patches == rows * cols:
        return rows, cols
    shorter = next(n for n in range(math.isqrt(num_patches), 0, -1) if num_patches % n == 0)
    return shorter, num_patches // shorter
