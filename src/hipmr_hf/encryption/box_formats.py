"""Boxes in the formats that people have, brought to COCO's: x, y, width, height in pixels."""

from collections.abc import Sequence

import numpy as np

from ..errors import InputValueError

BOX_FORMATS = ("coco", "xyxy", "yolo", "xywh_share", "xyxy_share")
"""coco: x, y, width, height; xyxy: left, top, right, bottom; yolo: centre x, centre y, width, height as
shares of the picture; xywh_share, xyxy_share: the first two as shares."""


def to_coco(box: Sequence[float], box_format: str, size: tuple[int, int]) -> list[float]:
    """Bring a box to x, y, width, height in pixels.

    Args:
        box: four numbers.
        box_format: one of `BOX_FORMATS`.
        size: height and width of the picture.

    Raises:
        InputValueError: it cannot be a box of this format.

    Example:

        >>> to_coco([0.5, 0.5, 0.5, 0.25], "yolo", (100, 200))
        [50.0, 37.5, 100.0, 25.0]
    """
    height, width = size
    try:
        first, second, third, fourth = map(float, box)
    except (TypeError, ValueError) as error:
        raise InputValueError("objects: a box is not four numbers; mend this row.") from error
    if box_format in ("yolo", "xywh_share", "xyxy_share"):
        if max(first, second, third, fourth) > 1.0 + 1e-3:
            raise InputValueError(
                f"objects: a box is no share of the picture, as --box-format {box_format} says; name the "
                "format that they have."
            )
        first, third = first * width, third * width
        second, fourth = second * height, fourth * height
    if box_format in ("xyxy", "xyxy_share"):
        third, fourth = third - first, fourth - second
    if box_format == "yolo":
        first, second = first - third / 2, second - fourth / 2
    if third < 0 or fourth < 0:
        raise InputValueError(
            f"objects: a box has a negative size, read as --box-format {box_format} says; name the format "
            "that they have."
        )
    return [first, second, third, fourth]


def check_box_format(box_format: str) -> None:
    """Refuse an unknown name.

    Example:

        >>> check_box_format("coco")
    """
    if box_format not in BOX_FORMATS:
        raise InputValueError(f"box_format: got {box_format!r}, allowed are {', '.join(BOX_FORMATS)}.")


def suspicious(boxes: Sequence[Sequence[float]], size: tuple[int, int]) -> str | None:
    """Say why boxes can hardly be COCO's: all are shares, or they read like corners; None if they can.

    Args:
        boxes: of one picture.
        size: its height and width.

    Example:

        >>> suspicious([[0.1, 0.2, 0.5, 0.5]], (480, 640))
        'its boxes lie between 0 and 1, like shares of the picture; name their format with --box-format ...'
    """
    try:
        found = np.asarray(boxes, dtype=np.float64)
    except (TypeError, ValueError):  # no boxes at all, as whoever moves them will say
        return None
    if found.ndim != 2 or found.shape[1] != 4 or not len(found):
        return None
    if (found <= 1.0).all():
        return (
            "its boxes lie between 0 and 1, like shares of the picture; name their format with --box-format "
            "yolo, xywh_share or xyxy_share"
        )
    limit = np.array(size[::-1]) * 1.01 + 1
    outside = (found[:, :2] + found[:, 2:] > limit).any()
    if outside and (found[:, 2:] > found[:, :2]).all():
        return (
            "its boxes reach out of the picture, like corners (x, y, x, y) do; name their format with "
            "--box-format xyxy"
        )
    return None
