"""Tones apart: a patch is a texture with a tone (mean and contrast, per channel); tones are dealt anew.

Both strategies have it as `shuffle_tones`. numpy only; nothing loops over images or patches.
"""

import numpy as np

CONTRAST_FLOOR = 2.0
"""A texture is divided by its patch's contrast, or by this where that is less: grey levels."""


def deal_tones(sums: np.ndarray, order: np.ndarray, *, patch_size: int, count: int) -> np.ndarray:
    """Leave textures, deal tones: pixels x become mean_b + contrast_b * (x - mean_a) / contrast_a.

    The contrast is the population's standard deviation. The one divided by is at least `CONTRAST_FLOOR`.

    Args:
        sums: uint8 or uint16 (batch, rows * patch_size, cols * patch_size, channels), `count` times the
            pixel values.
        order: int (batch, rows * cols), the patch b whose tone patch a gets.
        patch_size: width of a patch in pixels.
        count: what the pixels were multiplied with; the number of sub-patches summed, or 1.

    Returns:
        uint8 of the same shape.

    Example:
        >>> import numpy as np
        >>> flat_and_striped = np.array([[90, 90, 10, 30], [90, 90, 10, 30]], np.uint8).reshape(1, 2, 4, 1)
        >>> deal_tones(flat_and_striped, np.array([[1, 0]]), patch_size=2, count=1)[0, ..., 0]
        array([[20, 20, 90, 90],
               [20, 20, 90, 90]], dtype=uint8)
    """
    batch, height, width, channels = sums.shape
    rows, cols = height // patch_size, width // patch_size
    grid = sums.reshape(batch, rows, patch_size, cols, patch_size, channels)
    # Another program must get the same bytes (keyed images, encrypted in a browser), so this is the order of
    # the arithmetic. Whole numbers first, where no order of adding matters: S = sum of v, Q = sum of v * v
    # over the n pixels v of a patch, per channel. Then float64: mean = S / n and
    # contrast = sqrt(n * Q - S * S) / n, both still `count` times too large;
    # factor = contrast_b / (the larger of contrast_a and count * CONTRAST_FLOOR) / count and
    # level = mean_b / count. These three are rounded to float32, and each pixel is float32 after each step:
    # ((v - mean_a) * factor) + level, rounded half to even, cut to 0..255. The root's argument is exact for
    # plain patches of up to 600 pixels in width.
    pixels = patch_size * patch_size
    total, squares = _sum_per_patch(grid), _sum_per_patch(np.square(grid, dtype=np.uint32))
    mean = total / pixels  # float64 (batch, rows * cols, channels), as all three
    contrast = np.sqrt(pixels * squares - total * total) / pixels
    level, other = (np.take_along_axis(tone, order[..., None], axis=1) for tone in (mean, contrast))
    factor = other / np.maximum(contrast, count * CONTRAST_FLOOR) / count
    mean, factor, level = (
        tone.astype(np.float32).reshape(batch, rows, 1, cols, 1, channels)
        for tone in (mean, factor, level / count)
    )
    values = grid.astype(np.float32)
    values -= mean
    values *= factor
    values += level
    return np.rint(values, out=values).clip(0, 255, out=values).astype(np.uint8).reshape(sums.shape)


def order_among(textures: np.ndarray, tones: np.ndarray) -> np.ndarray:
    """Tell whose tone each patch gets in its place, when only some patches are kept and these are shuffled.

    Patch j of the encrypted image has the texture of patch `textures[j]` and the tone of the j-th patch of
    `tones` that is kept: the tones published are those of the patches published.

    Args:
        textures: int (batch, kept), the patches that are kept, in their order in the encrypted image.
        tones: int (batch, all patches), a permutation.

    Returns:
        int64 (batch, all patches): for each patch, whose tone it gets; 0 for patches that are not kept.

    Example:
        >>> import numpy as np
        >>> order_among(np.array([[3, 0]]), np.array([[0, 1, 2, 3]]))
        array([[3, 0, 0, 0]])
    """
    kept = np.zeros(tones.shape, bool)
    np.put_along_axis(kept, textures, True, axis=1)
    dealt = tones[np.take_along_axis(kept, tones, axis=1)].reshape(textures.shape)
    order = np.zeros(tones.shape, np.int64)
    np.put_along_axis(order, textures, dealt, axis=1)
    return order


def _sum_per_patch(grid: np.ndarray) -> np.ndarray:
    """(batch, rows, height, cols, width, channels) to float64 (batch, rows * cols, channels)."""
    # Rows first, which runs along whole image rows.
    sums = grid.sum(axis=2, dtype=np.uint64).sum(axis=3)
    return sums.reshape(len(sums), -1, sums.shape[-1]).astype(np.float64)
