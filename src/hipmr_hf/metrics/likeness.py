"""How much of a picture's layout can be seen in a reconstruction, whatever its contrast and fine detail.

PSNR and SSIM miss what people see: under SSIM a plainly visible thumbnail of a photograph scores like a flat
grey, and a sketch of edges scores below it. So brightness and edges are correlated with those of the plain
picture, on a coarse grid, after the best shift.

Source: normalised cross-correlation, as in Lewis, "Fast template matching", Vision Interface 1995, here over
circular shifts.
"""

import numpy as np
from PIL import Image

from ..errors import InputValueError

COARSE_SIDE = 56
"""Pixels of the shorter side on which pictures are compared; smaller ones stay as they are."""

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def likeness(found: np.ndarray, plain: np.ndarray) -> dict[str, float]:
    """Correlate brightness and edges of a reconstruction with those of the plain picture.

    Args:
        found: uint8 (height, width, 3).
        plain: uint8 image of the same shape.

    Returns:
        brightness, edges (-1 to 1; of the gradient's length), each at the best circular shift of rows and
        columns, and likeness, the higher of the two. A flat picture scores 0. Because of the shift, two
        unrelated photographs score some .3; measure that beside it.

    Raises:
        ValueError: images of different shapes.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> plain = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        >>> round(likeness(np.roll(plain, 8, axis=1) // 2 + 40, plain)["likeness"], 2)
        1.0
        >>> likeness(np.full_like(plain, 9), plain)["likeness"]
        0.0
    """
    if found.shape != plain.shape:
        raise InputValueError(f"found: got shape {found.shape}, expected {plain.shape} like the plain image.")
    first, second = found @ _LUMA, plain @ _LUMA
    scores = {
        "brightness": _best_correlation(_coarse(first), _coarse(second)),
        "edges": _best_correlation(_coarse(_edges(first)), _coarse(_edges(second))),
    }
    return scores | {"likeness": max(scores.values())}


def _edges(brightness: np.ndarray) -> np.ndarray:
    return np.hypot(*np.gradient(brightness))


def _coarse(values: np.ndarray) -> np.ndarray:
    scale = COARSE_SIDE / min(values.shape)
    if scale >= 1:
        return values
    size = round(values.shape[1] * scale), round(values.shape[0] * scale)
    shrunk = Image.fromarray(values.astype(np.float32)).resize(size, Image.Resampling.BOX)
    return np.asarray(shrunk, np.float64)


def _best_correlation(found: np.ndarray, plain: np.ndarray) -> float:
    found, plain = found - found.mean(), plain - plain.mean()
    norm = np.sqrt(np.square(found).sum() * np.square(plain).sum())
    if norm < 1e-6 * found.size:  # flat but for rounding
        return 0.0
    products = np.conj(np.fft.rfft2(found)) * np.fft.rfft2(plain)
    return float(np.fft.irfft2(products, s=found.shape).max() / norm)
