"""Colour spaces in which borders of patches are compared."""

import numpy as np

JPEG_CHROMA_WEIGHT = 0.1
"""Chroma is subsampled over mosaic neighbours that never met in the plain image, so it is hardly trusted."""

_RGB_TO_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65
_RGB_TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


def to_lab(pixels: np.ndarray) -> np.ndarray:
    """Convert sRGB pixels to CIE LAB (D65, 2 degrees; CIE 15:2004): float32 of the same shape.

    Args:
        pixels: uint8 (..., 3); one channel is taken as grey.

    Example:
        >>> to_lab(np.array([[255, 255, 255]], np.uint8)).round(1).tolist()[0][0]
        100.0
    """
    levels = np.arange(256) / 255
    linear = np.where(levels > 0.04045, ((levels + 0.055) / 1.055) ** 2.4, levels / 12.92)
    xyz = linear[_three_channels(pixels)] @ (_RGB_TO_XYZ / _WHITE[:, None]).T
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    lab = [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])]
    return np.stack(lab, axis=-1).astype(np.float32)


def to_luma_weighted(pixels: np.ndarray) -> np.ndarray:
    """Convert to Y, Cb, Cr (ITU-R BT.601, as JPEG does) with the chroma weighted down: float32.

    Example:
        >>> to_luma_weighted(np.array([[10, 10, 10]], np.uint8)).round(3).tolist()[0][0]
        10.0
    """
    ycc = _three_channels(pixels).astype(np.float32) @ _RGB_TO_YCC.T.astype(np.float32)
    return ycc * np.array([1, JPEG_CHROMA_WEIGHT, JPEG_CHROMA_WEIGHT], np.float32)


def _three_channels(pixels: np.ndarray) -> np.ndarray:
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels
