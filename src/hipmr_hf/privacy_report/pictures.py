"""Contact sheets: for each image the plain one, the encrypted one, and what attackers made of it."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_TILE, _GAP, _TITLE, _CAPTION = 256, 10, 42, 22
_PAPER, _INK = (246, 246, 244), (34, 34, 34)
_FONT = 14


def contact_sheet(
    titles: Sequence[str],
    rows: Sequence[Sequence[np.ndarray | None]],
    captions: Sequence[Sequence[str]],
) -> np.ndarray:
    """Draw pictures in a table, the longer side of every one the same; a row is as high as its highest.

    Args:
        titles: of the columns; at most two lines each.
        rows: uint8 (height, width, 3) pictures of each row; None leaves a place empty.
        captions: below the pictures, in the same shape.

    Returns:
        uint8 (height, width, 3).

    Example:
        >>> contact_sheet(["plain"], [[np.zeros((32, 32, 3), np.uint8)]], [["a caption"]]).shape
        (340, 276, 3)
    """
    heights = [max(_size(picture)[1] for picture in row if picture is not None) for row in rows]
    width = _GAP + len(titles) * (_TILE + _GAP)
    height = _GAP + _TITLE + sum(heights) + len(rows) * (_CAPTION + _GAP)
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT)
    for column, title in enumerate(titles):
        left = _GAP + column * (_TILE + _GAP)
        draw.multiline_text((left, _GAP), _wrapped(title, draw, font), _INK, font, spacing=2)
        top = _GAP + _TITLE
        for pictures, height, words in zip(rows, heights, captions, strict=True):
            if pictures[column] is not None:
                _paste(sheet, pictures[column], left, top)
            draw.text((left, top + height + 2), words[column], _INK, font)
            top += height + _CAPTION + _GAP
    return np.asarray(sheet)


def png(picture: np.ndarray) -> bytes:
    """Write uint8 (height, width, 3) as a PNG without metadata."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "png")
    return buffer.getvalue()


def data_uri(file: bytes) -> str:
    """Put a PNG into an address that needs no file.

    Example:
        >>> data_uri(b"x")
        'data:image/png;base64,eA=='
    """
    return "data:image/png;base64," + base64.b64encode(file).decode("ascii")


def _paste(sheet: Image.Image, picture: np.ndarray, left: int, top: int) -> None:
    # Small pictures keep their hard pixels: smoothing would hide what an encryption looks like.
    method = Image.Resampling.NEAREST if max(picture.shape[:2]) <= _TILE else Image.Resampling.BOX
    sheet.paste(Image.fromarray(picture).resize(_size(picture), method), (left, top))


def _size(picture: np.ndarray) -> tuple[int, int]:
    """Width and height at which a picture is drawn."""
    height, width = picture.shape[:2]
    scale = _TILE / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _wrapped(title: str, draw: ImageDraw.ImageDraw, font: ImageFont.ImageFont) -> str:
    lines = [""]
    for word in title.split():
        longer = f"{lines[-1]} {word}".strip()
        if draw.textlength(longer, font) <= _TILE or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines[:2])
