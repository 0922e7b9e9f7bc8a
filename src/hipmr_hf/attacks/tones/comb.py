"""How well the pixels of each texture, laid on each tone, come out as the whole numbers that they once were.

`shuffle_tones` stretches the pixels of a patch by a factor and rounds them, so the levels of a texture stand
apart like the teeth of a comb, and the spacing tells the contrast that the patch had before. Nothing is
learned.
"""

import numpy as np

WIDEST_NOISE = 0.45
"""Half-width of the rounding noise, in teeth, from which a tooth can no longer be told from its gap."""
FLOOR = 0.05
"""Least deviation from a tooth that is believed, in teeth: the measured tones are rounded too."""
OUTLIERS = 0.02
"""Share of pixels, cut off at black or white, that say nothing."""


def rounding_odds(patches: np.ndarray, count: int) -> np.ndarray:
    """Tell how much likelier than by chance each texture's pixels stand on the teeth of each tone.

    Args:
        patches: uint8 (num_patches, height, width, channels), with tones dealt out; none was dropped.
        count: sub-patches that were averaged, 1 without mixing; plain levels are whole numbers divided by it.

    Returns:
        float (num_patches, num_patches): texture by tone.

    Example:
        >>> rounding_odds(np.zeros((4, 8, 8, 3), np.uint8), 1).shape
        (4, 4)
    """
    pixels = patches.reshape(len(patches), -1, patches.shape[-1]).astype(float)
    mean, contrast = pixels.mean(axis=1), pixels.std(axis=1)
    narrow = np.maximum(contrast, 1e-3)
    textures = (pixels - mean[:, None]) / narrow[:, None]
    odds = np.empty((len(patches), len(patches)))
    for tone in range(len(patches)):
        teeth = (mean[tone] + contrast[tone] * textures) * count
        beside = np.abs(teeth - np.rint(teeth))
        noise = 0.5 * count * contrast[tone] / narrow  # (num_patches, channels)
        deviation = np.sqrt(noise**2 / 3 + FLOOR**2)[:, None]  # of numbers that were rounded evenly
        on_tooth = 2 * np.exp(-0.5 * (beside / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
        likelier = np.log((1 - OUTLIERS) * on_tooth + 2 * OUTLIERS) - np.log(2)
        odds[:, tone] = np.where(noise[:, None] < WIDEST_NOISE, likelier, 0).sum(axis=(1, 2))
    return odds
