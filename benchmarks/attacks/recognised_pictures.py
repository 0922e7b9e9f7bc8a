"""Pictures in which something is recognised: portraits on a ground, typeset pages, photographs of scenes."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageFont, ImageOps

from benchmarks.harness.photographs import collection
from benchmarks.harness.settings import SIDE

PORTRAIT = 160
"""Pixels that a portrait is wide in a picture of 224; the face itself, as found, about 0.6 of that."""
PEOPLE, PICTURES = 40, 10
_GROUND = (120, 124, 130)
_LETTERS = (12, 16, 24, 32)
_FONTS = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono-Bold", "STIXGeneral", "cmr10")
_LISTED = """
    harvest window silver garden letter orange market winter bridge doctor purple village morning station
    kitchen teacher mountain journey captain holiday distance evening machine library patient address
    surgery account invoice payment hospital contract delivery passport
"""
_WORDS = _LISTED.split()


class Pages(NamedTuple):
    """Typeset pages and the words on each."""

    images: list[np.ndarray]
    words: list[list[str]]


def portraits(data_dir: Path, *, width: int = PORTRAIT) -> np.ndarray:
    """All portraits of 40 people, ten each in order, on a grey ground: uint8 (400, 224, 224, 3)."""
    rows = pq.read_table(data_dir / "faces_orl.parquet")["image"].to_pylist()
    return np.stack([_on_ground(Image.open(io.BytesIO(row["bytes"])), width) for row in rows])


def _on_ground(portrait: Image.Image, width: int) -> np.ndarray:
    height = round(width * portrait.height / portrait.width)
    picture = Image.new("RGB", (SIDE, SIDE), _GROUND)
    resized = portrait.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    picture.paste(resized, ((SIDE - width) // 2, (SIDE - height) // 2))
    return np.asarray(picture)


def pages(count: int, *, letters: tuple[int, ...] = _LETTERS, seed: int = 0) -> Pages:
    """Typeset pages of 224 pixels, in turn in each font and each height of letters (from top to foot)."""
    rng = np.random.default_rng(seed)
    drawn = [
        _page(_FONTS[number % len(_FONTS)], letters[number % len(letters)], rng) for number in range(count)
    ]
    return Pages([image for image, _ in drawn], [words for _, words in drawn])


def _page(name: str, height: int, rng: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    font = _font(name, height)
    picture = Image.new("RGB", (SIDE, SIDE), "white")
    draw, words, top, left = ImageDraw.Draw(picture), [], 6, 6
    for word in rng.permutation(_WORDS):
        wide = draw.textlength(str(word), font)
        if left > 6 and left + wide > SIDE - 6:
            top, left = top + round(1.5 * height), 6
        if top + height > SIDE - 6:
            break
        if left + wide <= SIDE - 2:
            draw.text((left, top), str(word), fill="black", font=font)
            words.append(str(word))
            left += wide + 0.6 * height
    return np.asarray(picture), words


def _font(name: str, height: int) -> ImageFont.FreeTypeFont:
    """A font whose letters are so many pixels high from the top of d to the foot of p."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
    _, top, _, foot = ImageFont.truetype(path, 100).getbbox("dp")
    return ImageFont.truetype(path, max(4, round(100 * height / (foot - top))))


def scenes(data_dir: Path) -> list[np.ndarray]:
    """Photographs as centre crops of 224 pixels, Kodak's first: uint8 (224, 224, 3) each."""
    photos = collection(data_dir, "photos_kodak", "photos_skimage", "coco128_free_train", smallest=SIDE)
    return [np.asarray(ImageOps.fit(photo, (SIDE, SIDE), Image.Resampling.BICUBIC)) for photo in photos]
