"""Read and write label maps (masks): pictures whose pixels are class ids."""

import io

import numpy as np
import PIL.Image
import PIL.ImageOps

from ..errors import ImageReadingError, InputTypeError, InputValueError
from ..pixels.frames import choose_picture
from ..pixels.upright import without_pil_errors
from .bare import bare_file
from .formats import formats_for

_LOSSLESS = ("PNG", "BMP", "TIFF", "GIF", "PPM")
_MODES = ("1", "L", "P", "I", "I;16", "I;16B")
# Pillow stretches gray samples of so few bits to 8; class ids must stay.
_STRETCHED = {"L;2": 85, "L;4": 17}
# A class has an area: of many labels in one picture, few have another one beside them. Gray photographs have
# hundreds of values, and nearly each pixel another than its neighbour.
_MANY_LABELS, _MANY_STEPS = 64, 0.25


def read_label_map(
    image: bytes | PIL.Image.Image | np.ndarray, *, max_pixels: int | None = None
) -> np.ndarray:
    """Read a label map: gray values, or the numbers of a palette's colours, are class ids.

    Args:
        image: the bytes of a PNG, BMP, TIFF, GIF or PGM file; a PIL image; or a uint8 (height, width) array.
        max_pixels: as in `read_image`.

    Returns:
        uint8 (height, width), upright; a new array.

    Raises:
        ImageReadingError: it is no such file; has colours without a palette; a format that changes values,
            such as JPEG; a class id above 255; several frames; or it is a gray picture rather than a map of
            classes.
        TypeError: neither bytes, PIL image nor array.

    Example:

        >>> read_label_map(encode_label_map(np.array([[0, 255], [3, 3]], np.uint8))).tolist()
        [[0, 255], [3, 3]]
    """
    if isinstance(image, np.ndarray):
        labels = _checked(image).copy()
    elif isinstance(image, PIL.Image.Image):
        labels = without_pil_errors(lambda: _decoded(image, max_pixels), max_pixels)
    elif isinstance(image, (bytes, bytearray, memoryview)):
        labels = without_pil_errors(lambda: _opened(bytes(image), max_pixels), max_pixels)
    else:
        raise InputTypeError(
            f"mask: got {type(image).__name__}, allowed are the bytes of an image file, a PIL image or a "
            "uint8 (height, width) array of class ids."
        )
    if looks_like_a_picture(labels):
        raise ImageReadingError(
            "it holds many gray values that change from pixel to pixel, so it is a picture and no map of "
            "classes; masks are published as they are."
        )
    return labels


def encode_label_map(labels: np.ndarray) -> bytes:
    r"""Write class ids as the bytes of a new gray PNG file that carries nothing else.

    Raises:
        ValueError: not uint8 (height, width).

    Example:

        >>> encode_label_map(np.zeros((4, 6), np.uint8))[:4]
        b'\x89PNG'
    """
    buffer = io.BytesIO()
    PIL.Image.fromarray(np.ascontiguousarray(_checked(labels))).save(buffer, "png")
    return buffer.getvalue()


def looks_like_a_picture(labels: np.ndarray) -> bool:
    """Whether a gray picture is a photograph rather than a map of classes: uint8 (height, width).

    Example:

        >>> looks_like_a_picture(np.arange(256, dtype=np.uint8).reshape(16, 16))
        True
        >>> looks_like_a_picture(np.zeros((16, 16), np.uint8))
        False
    """
    if labels.shape[1] < 2 or len(np.unique(labels)) <= _MANY_LABELS:
        return False
    return bool((labels[:, 1:] != labels[:, :-1]).mean() > _MANY_STEPS)


def _checked(labels: np.ndarray) -> np.ndarray:
    if labels.dtype != np.uint8 or labels.ndim != 2 or 0 in labels.shape:
        raise InputValueError(
            f"mask: got {labels.dtype} {labels.shape}, expected class ids, uint8 (height, width)."
        )
    return labels


def _opened(file: bytes, max_pixels: int | None) -> np.ndarray:
    bare, orientation = bare_file(file)
    with PIL.Image.open(io.BytesIO(bare), formats=formats_for(bare)) as image:
        image.info |= orientation
        return _decoded(image, max_pixels)


def _decoded(image: PIL.Image.Image, max_pixels: int | None) -> np.ndarray:
    bound = PIL.Image.MAX_IMAGE_PIXELS if max_pixels is None else max_pixels
    if bound is not None and image.width * image.height > bound:
        raise ImageReadingError(f"it has more than {bound} pixels; raise max_pixels (--max-pixels).")
    if image.format not in (None, *_LOSSLESS) or image.mode not in _MODES:
        raise ImageReadingError(
            f"it is {image.format or 'a picture'} of mode {image.mode}, and a map of classes has one gray "
            f"value or palette number a pixel, in a format that keeps it ({', '.join(_LOSSLESS)})."
        )
    if (problem := choose_picture(image)) is not None:
        raise ImageReadingError(problem)
    raw_mode = image.tile[0].args if getattr(image, "tile", None) else None  # forgotten with load
    image.load()
    values = np.asarray(PIL.ImageOps.exif_transpose(image))
    if values.size == 0 or int(values.min()) < 0 or int(values.max()) > 255:
        raise ImageReadingError("a map of classes has numbers from 0 to 255.")
    return values.astype(np.uint8) // _STRETCHED.get(raw_mode if isinstance(raw_mode, str) else "", 1)
