"""What no turn of a patch changes: its tone, the spread of its colours, its spectrum and its moments.

The spectrum is taken by radius and the steps between pixels over both directions together, so all eight
symmetries of the square give the same numbers.
"""

import numpy as np

from ...encryption.patches import NORMALIZED_FLOOR, NORMALIZED_MEAN, NORMALIZED_STD

_SOFT = 4.0
"""Grey levels added to a contrast before dividing by it: a flat patch has no texture."""
_QUANTILES = 8


WHOLE, CENTRED, UNIT = "whole", "centred", "unit"
"""What settings leave of a patch: everything; all but its mean; all but its mean and contrast."""


def restored(pieces: np.ndarray, left: str) -> np.ndarray:
    """Undo what can be undone of a change of tone: float32 (num_patches, size, size, channels).

    Patch normalization divides by contrast + 8, so what contrast is left tells the patch's own, and only the
    mean is lost. Tones dealt apart leave each channel's texture, whatever its contrast is now.

    Args:
        pieces: uint8 of the same shape.
        left: what the settings leave.
    """
    values = pieces.astype(np.float32)
    if left == WHOLE:
        return values
    if left == UNIT:
        centred = values - values.mean((1, 2), keepdims=True)
        return 20 * centred / np.maximum(centred.std((1, 2), keepdims=True), 0.7)
    scaled = (values - NORMALIZED_MEAN) / NORMALIZED_STD
    share = np.minimum(scaled.std((1, 2), keepdims=True), 0.93)
    return scaled * (NORMALIZED_FLOOR / (1 - share))


def to_opponent(values: np.ndarray) -> np.ndarray:
    """Patches as brightness and two colour differences; those of one channel as they are."""
    if values.shape[-1] != 3:
        return values
    red, green, blue = np.moveaxis(values, -1, 0)
    return np.stack([(red + green + blue) / 3, (red - blue) / 1.5, (2 * green - red - blue) / 2], axis=-1)


def textures(values: np.ndarray, soft: float = _SOFT) -> np.ndarray:
    """Take each patch's mean and contrast away, per channel: float32 of the same shape."""
    centred = values - values.mean((1, 2), keepdims=True)
    return centred / (values.std((1, 2), keepdims=True) + soft)


def texture_descriptors(texture: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Describe patches by what neither a turn nor a change of tone moves.

    Args:
        texture: from `textures`, (num_patches, size, size, channels).
        original: uint8 patches of the same shape, for how their channels go together.

    Returns:
        float32 (num_patches, descriptors).
    """
    size = texture.shape[1]
    power = np.abs(np.fft.rfft2(texture, axes=(1, 2))).astype(np.float32) ** 2
    rows, cols = np.fft.fftfreq(size) * size, np.fft.rfftfreq(size) * size
    radius = np.rint(np.hypot(rows[:, None], cols[None])).astype(int)
    # The half plane counts its first and last column once where the whole one counts every other twice.
    twice = np.where((cols == 0) | (2 * cols == size), 1.0, 2.0)[None, :, None] * np.ones((size, 1, 1))
    columns = []
    for ring in range(1, size // 2 + 1):
        inside = radius == ring
        weights = twice[inside]
        columns.append(np.log((power[:, inside] * weights).sum(1) / weights.sum() / size**2 + 1e-4))
    across, down = (np.abs(np.diff(texture, axis=axis)).mean((1, 2)) for axis in (2, 1))
    columns += [across + down, np.abs(across - down)]
    columns += [np.cbrt((texture**3).mean((1, 2))), np.log((texture**4).mean((1, 2)) + 0.1)]
    own = textures(original.astype(np.float32))
    columns.append(np.abs(own).mean((1, 2)))
    for first in range(own.shape[-1]):
        for second in range(first):
            columns.append((own[..., first] * own[..., second]).mean((1, 2))[:, None])
    return np.concatenate(columns, axis=1).astype(np.float32)


def tone_descriptors(values: np.ndarray) -> np.ndarray:
    """Describe patches by their tones: means, contrasts, and quantiles of each channel.

    Args:
        values: from `to_opponent`.

    Returns:
        float32 (num_patches, descriptors).
    """
    flat = np.sort(values.reshape(len(values), -1, values.shape[-1]), axis=1)
    places = np.linspace(0, flat.shape[1] - 1, _QUANTILES).round().astype(int)
    quantiles = flat[:, places].reshape(len(values), -1) / 20
    contrast = np.log(values.std((1, 2)) + _SOFT) * 2
    return np.concatenate([values.mean((1, 2)) / 20, contrast, quantiles], axis=1).astype(np.float32)


def sides(values: np.ndarray, *, beyond: float) -> np.ndarray:
    """List the four borders of every patch in both directions.

    Args:
        values: float (num_patches, size, size, channels).
        beyond: how far outside of the patch, in pixels, the border is guessed by going on straight.

    Returns:
        float32 (num_patches, 8, size * channels): top, bottom, left, right, each as it runs and reversed.
    """
    count = len(values)
    if values.shape[1] > 1:
        outer = values[:, [0, -1]], values[:, :, [0, -1]]
        inner = values[:, [1, -2]], values[:, :, [1, -2]]
        lying, standing = (o + beyond * (o - i) for o, i in zip(outer, inner, strict=True))
    else:
        lying, standing = values[:, [0, -1]], values[:, :, [0, -1]]
    four = np.concatenate([lying, standing.swapaxes(1, 2)], axis=1)  # (n, 4, size, channels)
    both = np.stack([four, four[:, :, ::-1]], axis=2)
    return np.ascontiguousarray(both.reshape(count, 8, -1), dtype=np.float32)
