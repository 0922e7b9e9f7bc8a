"""Decode a JPEG file at the size that is needed: at a half, a quarter or an eighth of its sides."""

import io
from collections.abc import Callable

import PIL.Image
import PIL.JpegImagePlugin

Least = Callable[[int, int, tuple[bool, bool]], tuple[int, int]]
"""Given the height and width of an upright picture, and which of the two runs against the stored picture's:
the least (height, width) that it may be decoded to."""


def upright_size(image: PIL.Image.Image, *, sideways: bool) -> tuple[int, int]:
    """Return (height, width) of the picture as it is seen; `sideways` if it is stored on its side.

    Example:

        >>> upright_size(PIL.Image.new("L", (4, 2)), sideways=True)
        (4, 2)
    """
    return (image.width, image.height) if sideways else (image.height, image.width)


def draft(image: PIL.Image.Image, least: tuple[int, int]) -> None:
    """Have a JPEG that is not loaded yet decoded to its smallest scale that is no smaller than `least`.

    libjpeg leaves the high frequencies of each block of 8x8 pixels out and gets 4x4, 2x2 or 1x1 of it (its
    `scale_num`), rounding sides up. Other pictures stay as they are.

    Args:
        image: of Pillow.
        least: (height, width) of the picture as it is stored.

    Example:

        >>> file = io.BytesIO()
        >>> PIL.Image.new("RGB", (400, 300)).save(file, "JPEG")
        >>> image = PIL.Image.open(file)
        >>> draft(image, (70, 100))
        >>> image.size
        (100, 75)
    """
    if can_be_drafted(image):
        image.draft(None, (least[1], least[0]))


def fresh_twin(image: PIL.Image.Image) -> PIL.Image.Image | None:
    """Open the file of a JPEG that is not loaded yet once more; None for all other images.

    Drafting changes an image's size, and whoever gave it has not asked for that.

    Example:

        >>> fresh_twin(PIL.Image.new("RGB", (4, 2))) is None
        True
    """
    if not can_be_drafted(image) or getattr(image, "fp", None) is None:
        return None
    place = image.fp.tell()
    image.fp.seek(0)
    twin = PIL.Image.open(io.BytesIO(image.fp.read()), formats=["JPEG", "MPO"])
    image.fp.seek(place)
    return twin


def can_be_drafted(image: PIL.Image.Image) -> bool:
    """Whether Pillow can decode the image, which is not loaded yet, at a smaller scale.

    Example:

        >>> can_be_drafted(PIL.Image.new("RGB", (4, 2)))
        False
    """
    drafts = isinstance(image, PIL.JpegImagePlugin.JpegImageFile)
    return drafts and len(image.tile) == 1 and not image.decoderconfig
