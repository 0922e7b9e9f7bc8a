"""Draw detections on images, large enough to be read."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

READABLE_SIDE = 320
"""Pixels that the shorter side of a picture has at least; below, labels hide the objects."""
_GOLDEN_ANGLE = 137.5  # degrees of hue from one class to the next; neighbours never look alike
_GAP = 6


def draw_detections(
    image: Image.Image, found: Mapping[str, Sequence[Any]], class_names: Sequence[str]
) -> Image.Image:
    """Draw boxes with class and score; each class has a colour of its own.

    Args:
        image: any PIL image; a small one is enlarged by a whole factor, so that its pixels stay visible.
        found: one image of `post_process_object_detection`: "scores" (0..1), "labels" and "boxes" (left, top,
            right, bottom) in pixels of `image`.
        class_names: name of each label.

    Returns:
        An RGB picture; `image` stays as it is.

    Example:
        >>> found = {"scores": [0.9], "labels": [0], "boxes": [[4, 4, 20, 20]]}
        >>> draw_detections(Image.new("RGB", (60, 40)), found, ["cat"]).size
        (480, 320)
    """
    factor = max(1, math.ceil(READABLE_SIDE / min(image.size)))
    size = (image.width * factor, image.height * factor)
    picture = image.convert("RGB").resize(size, Image.Resampling.NEAREST)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(max(12, min(size) // 20))
    for score, label, box in zip(found["scores"], found["labels"], found["boxes"], strict=True):
        colour = f"hsl({int(label) * _GOLDEN_ANGLE % 360:.0f}, 100%, 60%)"
        corners = [float(side) * factor for side in box]
        pen.rectangle(corners, outline=colour, width=max(2, min(size) // 120))
        text = f"{class_names[int(label)]} {float(score):.2f}"
        left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
        # above the box where there is room, and always inside the picture
        x = max(0, min(corners[0], picture.width - right - 4))
        y = max(0, corners[1] - (bottom - top) - 4)
        pen.rectangle((x, y, x + right - left + 4, y + bottom - top + 4), fill=colour)
        pen.text((x + 2 - left, y + 2 - top), text, fill="black", font=font)
    return picture


def tile(columns: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Put pictures below each other, and these columns side by side.

    Example:
        >>> small, wide = Image.new("RGB", (10, 20)), Image.new("RGB", (30, 20))
        >>> tile([[small, small], [wide]]).size
        (46, 46)
    """
    widths = [max(picture.width for picture in column) for column in columns]
    heights = [sum(picture.height + _GAP for picture in column) - _GAP for column in columns]
    sheet = Image.new("RGB", (sum(widths) + _GAP * (len(widths) - 1), max(heights)), "white")
    left = 0
    for column, width in zip(columns, widths, strict=True):
        top = 0
        for picture in column:
            sheet.paste(picture, (left, top))
            top += picture.height + _GAP
        left += width + _GAP
    return sheet
