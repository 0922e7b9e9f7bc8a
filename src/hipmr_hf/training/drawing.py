"""Draw on images what was found in them, large enough to be read."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, ImageColor, ImageDraw, ImageFont

READABLE_SIDE = 320
"""Pixels that the shorter side of a picture has at least; below, labels hide the objects."""
_GOLDEN_ANGLE = 137.5  # degrees of hue from one class to the next; neighbours never look alike
_GAP = 6
_TEXT, _LINE = 20, 30  # height of letters, and of a line of them, in pixels


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
    picture = enlarged(image)
    size, factor = picture.size, picture.width // image.width
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


def enlarged(image: Image.Image) -> Image.Image:
    """Make a small picture readable, by a whole factor, so that its pixels stay visible; in RGB.

    Example:
        >>> enlarged(Image.new("L", (60, 40))).size
        (480, 320)
    """
    factor = max(1, math.ceil(READABLE_SIDE / min(image.size)))
    size = (image.width * factor, image.height * factor)
    return image.convert("RGB").resize(size, Image.Resampling.NEAREST)


def class_colour(label: int) -> tuple[int, int, int]:
    """Return the colour (red, green, blue; 0 to 255) of a class of pixels.

    Example:
        >>> class_colour(0), class_colour(1) != class_colour(2)
        ((255, 0, 0), True)
    """
    return ImageColor.getrgb(f"hsv({label * _GOLDEN_ANGLE % 360:.0f}, 100%, 100%)")


def captioned(pictures: Sequence[Image.Image], text: str) -> list[Image.Image]:
    """Put a line of text on top of a column of pictures.

    Example:
        >>> [picture.size for picture in captioned([Image.new("RGB", (200, 90))], "plain")]
        [(200, 30), (200, 90)]
    """
    width = max(picture.width for picture in pictures)
    font = ImageFont.load_default(_TEXT)
    font = ImageFont.load_default(min(_TEXT, int(_TEXT * width / (font.getlength(text) + _GAP))))
    line = Image.new("RGB", (width, _LINE), "white")
    ImageDraw.Draw(line).text((width // 2, _LINE // 2), text, fill="black", font=font, anchor="mm")
    return [line, *pictures]


def legend(sheet: Image.Image, colours: Mapping[str, tuple[int, int, int]]) -> Image.Image:
    """Add a line below a sheet that tells the colour of each class.

    Example:
        >>> legend(Image.new("RGB", (200, 90)), {"cat": (0, 255, 0)}).size
        (200, 120)
    """
    picture = Image.new("RGB", (sheet.width, sheet.height + _LINE), "white")
    picture.paste(sheet)
    pen, font, left = ImageDraw.Draw(picture), ImageFont.load_default(_TEXT), _GAP
    for name, colour in colours.items():
        top = sheet.height + (_LINE - _TEXT) // 2
        pen.rectangle((left, top, left + _TEXT, top + _TEXT), fill=colour, outline="black")
        left += _TEXT + _GAP
        pen.text((left, sheet.height + _LINE // 2), name, fill="black", font=font, anchor="lm")
        left += int(font.getlength(name)) + 4 * _GAP
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
