"""Read one picture into fresh pixels that carry nothing else."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import PIL.Image

from ..errors import InputTypeError, InputValueError

# Formats that a picture of a dataset comes in. PIL knows many more; some run programs (EPS) or hold documents
# (PDF).
READABLE_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000", "AVIF")
_ORIENTATION_TAG = 0x0112
# EXIF 2.3, section 4.6.4: what must be done to the stored rows and columns to see the picture upright.
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels, 1),
}
_TALKATIVE_PIL = ("PIL.TiffImagePlugin", "PIL.PngImagePlugin")
_PLAIN_MODES = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr")
_DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_TRANSPARENT_MODES = ("LA", "La", "PA", "RGBA", "RGBa")


class ImageReadingError(InputValueError):
    """A picture that is refused: corrupt, truncated, with several frames, too large, or of an unknown mode.

    The message never holds a path, a file name, metadata, or the text of PIL's own error, which may hold
    them.
    """


def read_image(image: bytes | bytearray | memoryview | PIL.Image.Image | np.ndarray) -> np.ndarray:
    """Read one picture into a fresh uint8 array that carries its visible pixels and nothing else.

    The EXIF orientation is applied, then all metadata is gone (EXIF, XMP, ICC profile, comments, text). What
    is transparent is laid over white, so colours hidden below it vanish. Palette, CMYK and YCbCr pictures
    become RGB (without colour management), gray ones get three equal channels. 16-bit samples are scaled,
    0..65535 to 0..255.

    Args:
        image: the bytes of a file in one of `READABLE_FORMATS`; a PIL image (its file is read if that has not
            happened yet); or an array: uint8 (H, W), (H, W, 1), (H, W, 3), (H, W, 4) with alpha last, or
            uint16 (H, W).

    Returns:
        uint8 (H, W, 3), a new contiguous array.

    Raises:
        ImageReadingError: corrupt, truncated or empty; several frames; more pixels than
            `PIL.Image.MAX_IMAGE_PIXELS` (seen in the header, before anything is decoded; None means no
            limit); float or unknown mode; 32-bit samples beyond the 16-bit range, whose scale nobody knows.
        TypeError: neither bytes, PIL image nor array.

    Example:

        >>> import PIL.Image
        >>> half_hidden = PIL.Image.new("RGBA", (4, 2), (255, 0, 0, 0))
        >>> pixels = read_image(half_hidden)
        >>> pixels.shape, pixels.min()
        ((2, 4, 3), np.uint8(255))
    """
    if isinstance(image, np.ndarray):
        return _read_array(image)
    if isinstance(image, PIL.Image.Image):
        return _without_pil_errors(lambda: _decode(image))
    if isinstance(image, (bytes, bytearray, memoryview)):
        return _without_pil_errors(lambda: _open_and_decode(image))
    raise InputTypeError(
        f"image: got {type(image).__name__}, allowed are the bytes of an image file, a PIL image or a NumPy "
        "array; read the file first, or convert the value with PIL.Image.fromarray."
    )


def _without_pil_errors(read: Callable[[], np.ndarray]) -> np.ndarray:
    """Run `read`; whatever PIL and its decoders raise becomes an `ImageReadingError` with our own words.

    Decoders meet hostile bytes here and raise almost anything (OSError, SyntaxError, struct.error,
    KeyError...). Only the type of their error is told, and it is not chained: its text may hold a path or a
    piece of metadata.
    """
    try:
        with _quiet_pil():
            return read()
    except (ImageReadingError, MemoryError):
        raise
    except PIL.Image.DecompressionBombError:
        problem = _too_large()
    except Exception as error:
        problem = (
            f"the image cannot be read: it is corrupt, truncated or no image file ({type(error).__name__}); "
            f"formats that can be read are {', '.join(READABLE_FORMATS)}."
        )
    raise ImageReadingError(
        problem
    )  # outside of the except clause, so that nothing of PIL's is chained to it


@contextlib.contextmanager
def _quiet_pil() -> Iterator[None]:
    """Keep PIL from warning and logging: it quotes metadata, such as the artist, in debug lines."""

    def drop(
        record: logging.LogRecord,
    ) -> bool:  # one for each call, so that threads do not disturb each other
        return False

    loggers = [logging.getLogger(name) for name in _TALKATIVE_PIL]
    for logger in loggers:
        logger.addFilter(drop)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(drop)


def _open_and_decode(file: bytes | bytearray | memoryview) -> np.ndarray:
    PIL.Image.init()  # register all formats: PIL raises KeyError for one that this build lacks
    formats = [name for name in READABLE_FORMATS if name in PIL.Image.OPEN]
    with PIL.Image.open(io.BytesIO(file), formats=formats) as image:
        return _decode(image)


def _decode(image: PIL.Image.Image) -> np.ndarray:
    width, height = image.size
    if width * height == 0:
        raise ImageReadingError("the image has no pixels.")
    if PIL.Image.MAX_IMAGE_PIXELS is not None and width * height > PIL.Image.MAX_IMAGE_PIXELS:
        raise ImageReadingError(_too_large())
    if getattr(image, "is_animated", False):
        raise ImageReadingError(
            "the image has several frames, and one encrypted image can hold only one; save the wanted frame "
            "as its own image first."
        )
    image.load()  # before mode and orientation are read: the last chunk of a file can change both
    pixels = _to_rgb(image)
    turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION_TAG, 1))
    return np.array(turn(pixels) if turn else pixels, dtype=np.uint8, order="C")


def _too_large() -> str:
    return (
        f"the image has more than PIL.Image.MAX_IMAGE_PIXELS = {PIL.Image.MAX_IMAGE_PIXELS} pixels and may "
        "be a decompression bomb; shrink it, or raise that limit if you trust the source."
    )


def _to_rgb(image: PIL.Image.Image) -> np.ndarray:
    """Return the stored pixels, not yet upright, as (H, W, 3)."""
    if image.mode in _DEEP_MODES:
        samples = np.asarray(image)
        gray = _sixteen_to_eight_bits(samples)
        if (hidden := image.info.get("transparency")) is not None:
            gray = np.where(samples == hidden, np.uint8(255), gray)
        return _gray_to_rgb(gray)
    if image.mode not in _PLAIN_MODES + _TRANSPARENT_MODES:
        raise ImageReadingError(
            f"the image has mode {image.mode!r}; allowed are {', '.join(_PLAIN_MODES + _TRANSPARENT_MODES)} "
            "and 16-bit gray. Convert it to 8 bits with a scale that fits its values first."
        )
    if image.has_transparency_data:
        return _over_white(np.asarray(image.convert("RGBA")))
    return np.asarray(image.convert("RGB"))


def _read_array(array: np.ndarray) -> np.ndarray:
    deep = array.dtype == np.uint16 and array.ndim == 2
    shallow = array.dtype == np.uint8 and (
        array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    )
    if not (deep or shallow) or 0 in array.shape:
        raise ImageReadingError(
            f"the array is {array.dtype} {array.shape}; allowed are uint8 (H, W), (H, W, 1), (H, W, 3), (H, "
            "W, 4) and uint16 (H, W) with H, W > 0. Scale it to 0..255 and cast it to uint8 first."
        )
    if deep:
        return _gray_to_rgb(_sixteen_to_eight_bits(array))
    if array.ndim == 2 or array.shape[2] == 1:
        return _gray_to_rgb(array.reshape(array.shape[:2]))
    return _over_white(array) if array.shape[2] == 4 else np.array(array, dtype=np.uint8, order="C")


def _gray_to_rgb(gray: np.ndarray) -> np.ndarray:
    return np.repeat(np.asarray(gray, dtype=np.uint8)[:, :, None], 3, axis=2)


def _sixteen_to_eight_bits(samples: np.ndarray) -> np.ndarray:
    """Scale 0..65535 to 0..255, rounded: 65535 / 255 = 257. (PIL's own conversion clips at 255 instead.)"""
    if samples.min() < 0 or samples.max() > 65535:
        raise ImageReadingError(
            "the image has 32-bit samples outside of 0..65535, so their scale is unknown; scale it to 8 "
            "bits first."
        )
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _over_white(rgba: np.ndarray) -> np.ndarray:
    """Lay (H, W, 4) with straight alpha over white, rounded. The largest sum, 65152, fits in uint16."""
    alpha = rgba[:, :, 3:].astype(np.uint16)
    return ((rgba[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
