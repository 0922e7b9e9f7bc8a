"""Read one picture into fresh pixels that carry nothing else."""

import contextlib
import io
import threading
from collections.abc import Iterator

import numpy as np
import PIL.Image

from ..errors import ImageReadingError, InputTypeError
from ..pixels.reduced import Least
from ..pixels.samples import array_to_rgb
from ..pixels.upright import check_max_pixels, decode, upright_pixels, without_pil_errors
from .bare import bare_file
from .formats import READABLE_FORMATS, formats_for, why_unreadable

__all__ = ["READABLE_FORMATS", "ImageReadingError", "read_image"]

_FORMATS_HINT = f"; formats that can be read are {', '.join(READABLE_FORMATS)}"
# Pillow refuses from twice its bound on, which is one for the whole process.
_PILLOW_REFUSES = 2
_PILLOWS_BOUND = threading.RLock()


def read_image(
    image: bytes | bytearray | memoryview | PIL.Image.Image | np.ndarray,
    *,
    max_pixels: int | None = None,
    least: Least | None = None,
) -> np.ndarray:
    """Read one picture into a fresh uint8 array that carries its visible pixels and nothing else.

    The EXIF orientation is applied, then all metadata is gone (EXIF, XMP, ICC profile, comments, text); what
    cannot be read of it costs no picture. What is transparent is laid over white, so colours hidden below it
    vanish. Palette, CMYK and YCbCr pictures become RGB (without colour management), gray ones get three
    equal channels. 16-bit samples are scaled, 0..65535 to 0..255; pictures of 12 bits in 16 get a remark, for
    they come out dark. A JPEG with previews (MPO) is read as its first picture, a TIFF with pages of reduced
    resolution as the page that they are made of.

    Besides the result, three bytes a pixel, the memory holds what Pillow decodes, four bytes a pixel for
    colours, and a few MB; progressive JPEG, WebP, JPEG 2000 and AVIF decoders take room of their own.

    Args:
        image: the bytes of a file in one of `READABLE_FORMATS`; a PIL image (its file is read if that has not
            happened yet); or an array: uint8 (H, W), (H, W, 1), (H, W, 3), (H, W, 4) with alpha last, or
            uint16 (H, W).
        max_pixels: most pixels that a picture may have, for files and PIL images; None for
            `PIL.Image.MAX_IMAGE_PIXELS`, 89 million unless it was set otherwise.
        least: see `pixels.reduced.Least`; returns the least (height, width) that the upright picture may be
            decoded to: a JPEG comes at the smallest of a half, a quarter or an eighth of its sides
            that is no smaller, in a fraction of the time. It may raise an `InputValueError`, and is called
            for files and PIL images only. None for all pixels.

    Returns:
        uint8 (H, W, 3), a new contiguous array.

    Raises:
        ImageReadingError: corrupt, truncated or empty; several pictures (an animation, a scan of several
            pages); more pixels than `max_pixels` (seen in the header, before anything is decoded); float or
            unknown mode; 32-bit samples beyond the 16-bit range, whose scale nobody knows.
        TypeError: neither bytes, PIL image nor array.
        MemoryError: there is too little memory for this picture.

    Example:

        >>> import PIL.Image
        >>> half_hidden = PIL.Image.new("RGBA", (4, 2), (255, 0, 0, 0))
        >>> pixels = read_image(half_hidden)
        >>> pixels.shape, pixels.min()
        ((2, 4, 3), np.uint8(255))
    """
    check_max_pixels(max_pixels)
    if isinstance(image, np.ndarray):
        return array_to_rgb(image)
    if isinstance(image, PIL.Image.Image):
        return upright_pixels(image, max_pixels=max_pixels, least=least)
    if isinstance(image, (bytes, bytearray, memoryview)):
        file = bytes(image)
        return without_pil_errors(
            lambda: _open_and_decode(file, max_pixels, least), max_pixels, _FORMATS_HINT
        )
    raise InputTypeError(
        f"image: got {type(image).__name__}, allowed are the bytes of an image file, a PIL image or a NumPy "
        "array; read the file first, or convert the value with PIL.Image.fromarray."
    )


def _open_and_decode(file: bytes, max_pixels: int | None, least: Least | None) -> np.ndarray:
    bare, orientation = bare_file(file)
    formats = formats_for(bare)
    with _pillow_allows(max_pixels):
        try:
            opened = PIL.Image.open(io.BytesIO(bare), formats=formats)
        except PIL.UnidentifiedImageError:
            if (reason := why_unreadable(file)) is None:
                raise
            opened = None
        if opened is None:  # outside of the except clause, so that nothing of PIL's is chained to it
            raise ImageReadingError(f"the image cannot be read: {reason}{_FORMATS_HINT}.")
        with opened as image:
            image.info |= orientation
            return decode(image, max_pixels, least)


@contextlib.contextmanager
def _pillow_allows(max_pixels: int | None) -> Iterator[None]:
    """Raise Pillow's own bound for as long as a picture is read, where it lies below what was asked for."""
    bound = PIL.Image.MAX_IMAGE_PIXELS
    if max_pixels is None or bound is None or max_pixels <= _PILLOW_REFUSES * bound:
        yield
        return
    with _PILLOWS_BOUND:
        bound = PIL.Image.MAX_IMAGE_PIXELS
        PIL.Image.MAX_IMAGE_PIXELS = -(-max_pixels // _PILLOW_REFUSES)
        try:
            yield
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = bound
