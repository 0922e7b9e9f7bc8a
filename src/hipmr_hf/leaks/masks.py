"""Tell what must not be in a column of masks: anything but maps of classes, each as large as its picture."""

import io
from typing import Any

import PIL.Image

from ..errors import ImageReadingError, UserError
from ..images.label_maps import read_label_map

REMARK = (
    "masks are published as they are, and draw the outline of what is in each scene, its place and its "
    "class; leave them out unless that may be public."
)


def mask_leaks(mask: bytes, picture: Any, *, strategy: str | None) -> str | None:
    """Tell what is wrong with a mask; None where nothing is.

    Args:
        mask: the bytes of its file.
        picture: the value of the image column in its row.
        strategy: of the encryption; shuffled pictures must have no masks, which would tell the order of
            their patches.

    Example:

        >>> import numpy as np
        >>> from hipmr_hf.images.label_maps import encode_label_map
        >>> file = encode_label_map(np.zeros((4, 6), np.uint8))
        >>> mask_leaks(file, {"bytes": encode_label_map(np.zeros((8, 6), np.uint8))}, strategy="mi")
        'the mask has 4x6 pixels and its picture 8x6, so it did not follow it; encrypt with `hipmr encrypt`.'
    """
    if strategy == "rs":
        return "a mask beside shuffled patches tells where they stood; leave the column out."
    try:
        labels = read_label_map(mask)
    except (ImageReadingError, UserError) as error:
        return f"the mask is no map of classes and may be a plain picture ({error}) Leave the column out."
    if (size := _size(picture)) is not None and labels.shape != size:
        return (
            f"the mask has {labels.shape[0]}x{labels.shape[1]} pixels and its picture {size[0]}x{size[1]}, "
            "so it did not follow it; encrypt with `hipmr encrypt`."
        )
    return None


def _size(picture: Any) -> tuple[int, int] | None:
    """(height, width), from the header of the picture's file."""
    file = (picture or {}).get("bytes")
    if file is None:
        return None
    try:
        with PIL.Image.open(io.BytesIO(file)) as image:
            return image.height, image.width
    except Exception:  # it is told as the picture's own leak
        return None
