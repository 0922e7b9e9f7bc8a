"""Bring the samples of any mode of picture to 8-bit RGB: what is transparent is laid over white."""

import functools
import logging
from collections.abc import Iterator

import numpy as np
import PIL.Image

from ..errors import ImageReadingError

PLAIN_MODES = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr")
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")
TRANSPARENT_MODES = ("LA", "La", "PA", "RGBA", "RGBa")

# About this many pixels are converted at a time, so that no second whole picture lies in memory.
_STRIP_PIXELS = 2**19
_TWELVE_BITS = 4095

logger: logging.Logger = logging.getLogger(__name__)


@functools.cache
def remark(text: str) -> None:
    """Say something of the pictures, once a process and not once a picture."""
    logger.warning(text)


def write_rgb(
    image: PIL.Image.Image,
    out: np.ndarray,
    *,
    hidden: int | tuple[int, ...] | bytes | None = None,
    low: PIL.Image.Image | None = None,
) -> None:
    """Write the visible pixels of a loaded image.

    Args:
        image: of Pillow, loaded; not yet upright.
        out: uint8 (height, width, 3), written to.
        hidden: what is transparent, as in Pillow's `info["transparency"]`, on the scale of the image's
            samples.
        low: the lower bytes of 16-bit RGB, where `hidden` is such a colour; Pillow keeps the upper ones.

    Raises:
        ImageReadingError: a mode, or 32-bit samples, whose scale nobody knows.
    """
    deepest = 0
    for rows in _strips(image.height, image.width):
        if image.mode == "RGB" and hidden is None and rows.stop - rows.start == image.height:
            out[rows] = np.asarray(image)  # no other strip, and nothing to convert: no copy is needed
            continue
        box = (0, rows.start, image.width, rows.stop)
        strip = image.crop(box)
        strip.info.pop("transparency", None)
        if low is not None:
            rgb = np.array(strip)
            rgb[_is_colour(rgb, np.asarray(low.crop(box)), hidden)] = 255
        elif image.mode in DEEP_MODES:
            samples = np.asarray(strip)
            rgb, deepest = _deep_to_rgb(samples, hidden), max(deepest, int(samples.max()))
        else:
            rgb = _to_rgb(strip, hidden)
        out[rows] = rgb
    _remark_on_depth(deepest)


def _to_rgb(strip: PIL.Image.Image, hidden: int | tuple[int, ...] | bytes | None) -> np.ndarray:
    if strip.mode not in PLAIN_MODES + TRANSPARENT_MODES:
        raise ImageReadingError(
            f"the image has mode {strip.mode!r}; allowed are {', '.join(PLAIN_MODES + TRANSPARENT_MODES)} "
            "and 16-bit gray. Convert it to 8 bits with a scale that fits its values first."
        )
    if hidden is not None:
        strip.info["transparency"] = hidden
    if strip.has_transparency_data:
        return over_white(np.asarray(strip.convert("RGBA")))
    return np.asarray(strip if strip.mode == "RGB" else strip.convert("RGB"))


def _is_colour(upper: np.ndarray, lower: np.ndarray, colour: tuple[int, ...]) -> np.ndarray:
    wanted = np.array(colour, np.uint16)
    return ((upper == wanted >> 8) & (lower == wanted & 255)).all(axis=2)


def _deep_to_rgb(samples: np.ndarray, hidden: int | None) -> np.ndarray:
    gray = sixteen_to_eight_bits(samples)
    if hidden is not None:
        gray = np.where(samples == hidden, np.uint8(255), gray)
    return gray[:, :, None]


def array_to_rgb(array: np.ndarray) -> np.ndarray:
    """Return an array of gray, RGB, RGBA or 16-bit gray as new pixels, uint8 (height, width, 3).

    Raises:
        ImageReadingError: another dtype or shape.
    """
    deep = array.dtype == np.uint16 and array.ndim == 2
    shallow = array.dtype == np.uint8 and (
        array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    )
    if not (deep or shallow) or 0 in array.shape:
        raise ImageReadingError(
            f"the array is {array.dtype} {array.shape}; allowed are uint8 (H, W), (H, W, 1), (H, W, 3), (H, "
            "W, 4) and uint16 (H, W) with H, W > 0. Scale it to 0..255 and cast it to uint8 first."
        )
    height, width = array.shape[:2]
    out = np.empty((height, width, 3), np.uint8)
    for rows in _strips(height, width):
        if deep:
            out[rows] = _deep_to_rgb(array[rows], None)
        elif array.ndim == 3 and array.shape[2] == 4:
            out[rows] = over_white(array[rows])
        else:
            out[rows] = array[rows].reshape(-1, width, array.shape[2] if array.ndim == 3 else 1)
    _remark_on_depth(int(array.max()) if deep else 0)
    return out


def _strips(height: int, width: int) -> Iterator[slice]:
    rows = max(1, _STRIP_PIXELS // width)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def sixteen_to_eight_bits(samples: np.ndarray) -> np.ndarray:
    """Scale 0..65535 to 0..255, rounded: 65535 / 255 = 257. (PIL's own conversion clips at 255 instead.)"""
    if samples.min() < 0 or samples.max() > 65535:
        raise ImageReadingError(
            "the image has 32-bit samples outside of 0..65535, so their scale is unknown; scale it to 8 "
            "bits first."
        )
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _remark_on_depth(deepest: int) -> None:
    if 0 < deepest <= _TWELVE_BITS:
        remark(
            "16-bit pictures hold samples of 12 bits or fewer (none is above 4095). They are read as 16 "
            "bits, 0..65535, and so come out almost black; if 12 bits are meant, multiply their samples by "
            "16 first."
        )


def over_white(rgba: np.ndarray) -> np.ndarray:
    """Lay (H, W, 4) with straight alpha over white, rounded. The largest sum, 65152, fits in uint16."""
    alpha = rgba[:, :, 3:].astype(np.uint16)
    return ((rgba[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
