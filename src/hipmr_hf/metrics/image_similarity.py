"""How alike a reconstruction and the plain image are: PSNR and SSIM, also after the best shift.

A jigsaw attack often returns the perfect picture moved by one patch, rolled over the frame, which PSNR as it
stands rates like noise (10 dB); so both come shift-aligned too.

Source of SSIM: Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13(4), 2004, with the Gaussian window of the paper.
"""

import numpy as np

from ..errors import InputValueError

PSNR_LIMIT = 100.0
"""What two equal images score, in dB; their PSNR is infinite, and a mean must stay finite."""

_SIGMA, _RADIUS, _K1, _K2 = 1.5, 5, 0.01, 0.03  # Wang et al. 2004, section III-C


def psnr(found: np.ndarray, plain: np.ndarray, *, data_range: float = 255.0) -> float:
    """Peak signal-to-noise ratio in dB, at most PSNR_LIMIT.

    Args:
        found: image of any shape.
        plain: image of the same shape.
        data_range: largest difference of two pixel values.

    Raises:
        ValueError: images of different shapes.

    Example:
        >>> round(psnr(np.zeros((4, 4)), np.full((4, 4), 25.5)), 2)
        20.0
    """
    found, plain = _check(found, plain)
    error = np.mean(np.square(found - plain))
    return float(min(PSNR_LIMIT, 10 * np.log10(data_range**2 / error))) if error else PSNR_LIMIT


def ssim(found: np.ndarray, plain: np.ndarray, *, data_range: float = 255.0) -> float:
    """Structural similarity, -1 to 1: mean over pixels and channels, Gaussian window of 11 pixels.

    Args:
        found: (height, width, channels), both sides at least 11 pixels.
        plain: image of the same shape.
        data_range: largest difference of two pixel values.

    Raises:
        ValueError: images of different shapes, or smaller than the window.

    Example:
        >>> image = np.arange(256.0).reshape(16, 16, 1)
        >>> ssim(image, image)
        1.0
    """
    found, plain = _check(found, plain)
    if found.ndim != 3 or min(found.shape[:2]) <= 2 * _RADIUS:
        raise InputValueError(
            f"found: got shape {found.shape}, expected (height, width, channels) with sides of "
            f"{2 * _RADIUS + 1} pixels or more, the window of SSIM."
        )
    mean_f, mean_p = _blur(found), _blur(plain)
    var_f, var_p = _blur(found * found) - mean_f**2, _blur(plain * plain) - mean_p**2
    covariance = _blur(found * plain) - mean_f * mean_p
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    luminance = (2 * mean_f * mean_p + c1) / (mean_f**2 + mean_p**2 + c1)
    structure = (2 * covariance + c2) / (var_f + var_p + c2)
    inner = (luminance * structure)[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS]
    return float(inner.mean())


def align(found: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """Roll an image, rows and columns over the frame, to where its squared difference is least.

    Args:
        found: (height, width, channels).
        plain: image of the same shape.

    Returns:
        `found`, rolled.

    Example:
        >>> plain = np.arange(16.0).reshape(4, 4, 1)
        >>> bool((align(np.roll(plain, 1, axis=0), plain) == plain).all())
        True
    """
    values, target = _check(found, plain)
    # The squared difference is least where the circular correlation, summed over channels, is largest.
    spectrum = np.conj(np.fft.rfft2(values, axes=(0, 1))) * np.fft.rfft2(target, axes=(0, 1))
    correlation = np.fft.irfft2(spectrum.sum(axis=2), s=values.shape[:2])
    shift = np.unravel_index(np.argmax(correlation), correlation.shape)
    return np.roll(found, tuple(int(s) for s in shift), axis=(0, 1))


def image_similarity(found: np.ndarray, plain: np.ndarray, *, data_range: float = 255.0) -> dict[str, float]:
    """PSNR and SSIM of one image as it stands and after the best shift.

    Args:
        found: (height, width, channels).
        plain: image of the same shape.
        data_range: largest difference of two pixel values.

    Example:
        >>> plain = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
        >>> scores = image_similarity(np.roll(plain, 3, axis=1), plain)
        >>> scores["psnr"] < scores["psnr_aligned"], scores["ssim_aligned"]
        (True, 1.0)
    """
    aligned = align(found, plain)
    return {
        "psnr": psnr(found, plain, data_range=data_range),
        "ssim": ssim(found, plain, data_range=data_range),
        "psnr_aligned": psnr(aligned, plain, data_range=data_range),
        "ssim_aligned": ssim(aligned, plain, data_range=data_range),
    }


def _check(found: np.ndarray, plain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found, plain = np.asarray(found), np.asarray(plain)
    if found.shape != plain.shape:
        raise InputValueError(
            f"found: got shape {found.shape}, expected {plain.shape} like the plain image; resize the "
            "reconstruction first, and say so in the report."
        )
    return found.astype(np.float64), plain.astype(np.float64)


def _blur(image: np.ndarray) -> np.ndarray:
    """Blur both axes with the Gaussian window; the outer pixels are cut off by the caller."""
    offsets = np.arange(-_RADIUS, _RADIUS + 1)
    window = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    window /= window.sum()
    for axis in (0, 1):
        image = sum(
            weight * np.roll(image, int(offset), axis=axis)
            for weight, offset in zip(window, offsets, strict=True)
        )
    return image
