"""Boxes in the formats that people have, brought to COCO's: x, y, width, height in pixels."""

from collections.abc import Sequence

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
    if len(box) != 4:
        raise InputValueError(f"a box has {len(box)} numbers instead of four.")
    first, second, third, fourth = (float(value) for value in box)
    if box_format in ("yolo", "xywh_share", "xyxy_share"):
        if max(first, second, third, fourth) > 1.0 + 1e-3:
            raise InputValueError(f"a box is no share of the picture, as --box-format {box_format} says.")
        first, third = first * width, third * width
        second, fourth = second * height, fourth * height
    if box_format in ("xyxy", "xyxy_share"):
        third, fourth = third - first, fourth - second
    if box_format == "yolo":
        first, second = first - third / 2, second - fourth / 2
    if third < 0 or fourth < 0:
        raise InputValueError(f"a box has a negative size, read as --box-format {box_format} says.")
    return [first, second, third, fourth]


def check_box_format(box_format: str) -> None:
    """Refuse an unknown name.

    Example:

        >>> check_box_format("coco")
    """
    if box_format not in BOX_FORMATS:
        raise InputValueError(f"--box-format: got {box_format!r}, allowed are {', '.join(BOX_FORMATS)}.")


def suspicious(boxes: Sequence[Sequence[float]], size: tuple[int, int]) -> str | None:
    """Say why boxes can hardly be COCO's: all are shares, or they read like corners; None if they can.

    Args:
        boxes: of one picture.
        size: its height and width.

    Example:

        >>> suspicious([[0.1, 0.2, 0.5, 0.5]], (480, 640))
        'its boxes lie between 0 and 1, like shares of the picture; name them with --box-format'
    """
    if not boxes:
        return None
    if all(max(box) <= 1.0 for box in boxes):
        return "its boxes lie between 0 and 1, like shares of the picture; name them with --box-format"
    height, width = size
    outside = [
        box for box in boxes if box[0] + box[2] > width * 1.01 + 1 or box[1] + box[3] > height * 1.01 + 1
    ]
    if outside and all(box[2] > box[0] and box[3] > box[1] for box in boxes):
        return "its boxes reach out of the picture, like corners (x, y, x, y) do; name them with --box-format"
    return None
