"""Upright RGB pixels of a picture that Pillow opened, and what Pillow raises and says in our own words."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import PIL.Image

from ..errors import ImageReadingError, InputValueError
from .frames import choose_picture
from .reduced import Least, can_be_drafted, draft, fresh_twin, upright_size
from .samples import remark, write_rgb

_ORIENTATION_TAG = 0x0112
# EXIF 2.3, section 4.6.4: how the stored rows and columns are seen in the upright picture.
_STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}
_SIDEWAYS = (5, 6, 7, 8)
# Where the first of the stored pixels come last in the upright picture, along its height and its width.
_ROWS_MIRRORED, _COLUMNS_MIRRORED = (3, 4, 7, 8), (2, 3, 6, 7)
_TALKATIVE_PIL = ("PIL.TiffImagePlugin", "PIL.PngImagePlugin")
# Values of a gray sample of so few bits, as Pillow stretches them to 8; it leaves the transparent one.
_STRETCHED = {"L;2": 85, "L;4": 17}
# Of 16-bit colours Pillow keeps one byte: of the file's order the upper, of the other the lower.
_DEEP_COLOURS, _LOWER_BYTES = "RGB;16B", "RGB;16L"


def upright_pixels(
    image: PIL.Image.Image, *, max_pixels: int | None = None, least: Least | None = None
) -> np.ndarray:
    """Take the visible pixels of an image, as `images.reading.read_image` describes.

    Args:
        image: of Pillow; its file is read if that has not happened yet.
        max_pixels: most pixels that it may have; None for `PIL.Image.MAX_IMAGE_PIXELS`.
        least: as in `read_image`. A picture that was loaded already, or drafted by its owner, comes as it
            is; of another the file is read once more, so that the image given keeps its size.

    Returns:
        uint8 (height, width, 3), a new contiguous array.

    Raises:
        ImageReadingError: the image is refused.
        MemoryError: there is too little memory for this picture.

    Example:

        >>> half_hidden = PIL.Image.new("RGBA", (4, 2), (255, 0, 0, 0))
        >>> upright_pixels(half_hidden).min()
        np.uint8(255)
    """
    if least is not None and (twin := fresh_twin(image)) is not None:
        return without_pil_errors(lambda: decode(twin, max_pixels, least), max_pixels)
    return without_pil_errors(lambda: decode(image, max_pixels, least), max_pixels)


def check_max_pixels(max_pixels: int | None) -> None:
    """Refuse all but None and whole numbers from 1."""
    whole = isinstance(max_pixels, int) and not isinstance(max_pixels, bool)
    if max_pixels is not None and not (whole and max_pixels >= 1):
        raise InputValueError(
            f"max_pixels: got {max_pixels!r}, allowed are whole numbers from 1; leave it out for Pillow's "
            "bound."
        )


def without_pil_errors(read: Callable[[], np.ndarray], max_pixels: int | None, hint: str = "") -> np.ndarray:
    """Run `read`; whatever PIL and its decoders raise becomes an `ImageReadingError` with our own words.

    Decoders meet hostile bytes here and raise almost anything (OSError, SyntaxError, struct.error,
    KeyError...). Only the type of their error is told, and it is not chained: its text may hold a path or a
    piece of metadata.
    """
    try:
        with _quiet_pil():
            return read()
    except (InputValueError, MemoryError):
        raise
    except PIL.Image.DecompressionBombError:
        problem = _too_large(max_pixels)
    except Exception as error:
        problem = (
            f"the image cannot be read: it is corrupt, truncated or no image file "
            f"({type(error).__name__}){hint}."
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


def decode(image: PIL.Image.Image, max_pixels: int | None, least: Least | None = None) -> np.ndarray:
    """Do what `upright_pixels` does to an image of our own, within `without_pil_errors`."""
    problem = choose_picture(image)
    width, height = image.size
    if width * height == 0:
        raise ImageReadingError("the image has no pixels.")
    bound = PIL.Image.MAX_IMAGE_PIXELS if max_pixels is None else max_pixels
    if bound is not None and width * height > bound:
        raise ImageReadingError(_too_large(max_pixels))
    if problem is not None:
        raise ImageReadingError(problem)
    if least is not None and can_be_drafted(image):  # others load, and may fail, where EXIF is asked for
        sideways = _orientation(image) in _SIDEWAYS
        mirrored = _orientation(image) in _ROWS_MIRRORED, _orientation(image) in _COLUMNS_MIRRORED
        height, width = least(*upright_size(image, sideways=sideways), mirrored)
        draft(image, (width, height) if sideways else (height, width))
    raw_mode = image.tile[0].args if getattr(image, "tile", None) else None  # forgotten with load
    low = _lower_bytes(image) if raw_mode == _DEEP_COLOURS and "transparency" in image.info else None
    image.load()  # before mode and orientation are read: the last chunk of a file can change both
    hidden = _hidden(image, raw_mode, low)
    orientation = _orientation(image)
    sides = (image.width, image.height) if orientation in _SIDEWAYS else (image.height, image.width)
    pixels = np.empty((*sides, 3), np.uint8)
    write_rgb(image, _STORED[orientation](pixels), hidden=hidden, low=low)
    return pixels


def _hidden(image: PIL.Image.Image, raw_mode: Any, low: PIL.Image.Image | None) -> Any:
    """Return what is transparent, on the scale of Pillow's samples; in 16-bit colours, on the file's."""
    hidden = image.info.get("transparency")
    if isinstance(hidden, int) and isinstance(raw_mode, str):
        return hidden * _STRETCHED.get(raw_mode, 1)
    if low is None and isinstance(hidden, tuple) and max(hidden) > 255:
        raise ImageReadingError(
            "the image has a transparent colour of 16 bits, and its pixels were cut to 8 when it was loaded; "
            "give the bytes of its file instead."
        )
    return hidden


def _lower_bytes(image: PIL.Image.Image) -> PIL.Image.Image:
    """Read the file of 16-bit colours once more, as if it were of the other byte order."""
    place = image.fp.tell()
    image.fp.seek(0)
    twin = PIL.Image.open(io.BytesIO(image.fp.read()), formats=[image.format])
    image.fp.seek(place)
    twin.tile = [tile._replace(args=_LOWER_BYTES) for tile in twin.tile]
    twin.load()
    return twin


def _too_large(max_pixels: int | None) -> str:
    if max_pixels is not None:
        return (
            f"the image has more than max_pixels = {max_pixels} pixels; shrink it, or raise that limit "
            "(--max-pixels) if you trust the source."
        )
    return (
        f"the image has more than PIL.Image.MAX_IMAGE_PIXELS = {PIL.Image.MAX_IMAGE_PIXELS} pixels and may "
        "be a decompression bomb; shrink it, or give max_pixels (--max-pixels) if you trust the source."
    )


def _orientation(image: PIL.Image.Image) -> int:
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG)
        return orientation if orientation in _STORED else 1
    except Exception:  # hostile bytes, as in `_without_pil_errors`
        remark("The EXIF of some pictures cannot be read; they are taken to be upright as they are stored.")
        return 1
