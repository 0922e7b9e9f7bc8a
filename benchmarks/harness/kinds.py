"""Pictures of kinds other than photographs: typeset pages, portraits, satellite tiles."""

from pathlib import Path

import numpy as np
from datasets import load_dataset
from PIL import Image, ImageDraw, ImageFont

from .pages import ROOT
from .settings import SIDE

_PAGE = 448


def pages(count: int, seed: int) -> list[np.ndarray]:
    """Typeset pages: headings, text in one or two columns, rules and tables; the words are our licence's.

    Args:
        count: of pages.
        seed: of the layout and of the words; pages of other seeds are other pages.

    Returns:
        uint8 (448, 448, 3) each: parts of pages as a scan or a screen shows them.
    """
    words = (ROOT / "LICENSE").read_text().split()
    return [_page(np.random.default_rng((seed, number)), words) for number in range(count)]


def _page(rng: np.random.Generator, words: list[str]) -> np.ndarray:
    paper, ink = rng.integers(225, 256, 3), rng.integers(0, 70)
    page = Image.new("RGB", (_PAGE, _PAGE), tuple(int(level) for level in paper))
    draw, ink = ImageDraw.Draw(page), (int(ink),) * 3
    size, margin = float(rng.uniform(11, 26)), int(rng.integers(6, 40))
    columns = int(rng.integers(1, 3))
    width = (_PAGE - margin * (columns + 1)) // columns
    for column in range(columns):
        left, top = margin + column * (width + margin), margin + int(rng.integers(0, 30))
        while top < _PAGE - margin:
            kind = rng.random()
            if kind < 0.12:
                top = _line(draw, rng, words, (left, top), width, size * 1.6, ink)
            elif kind < 0.2:
                draw.line((left, top + 4, left + width, top + 4), ink, int(rng.integers(1, 3)))
                top += 14
            elif kind < 0.3:
                top = _table(draw, rng, (left, top), width, size, ink)
            else:
                for _ in range(int(rng.integers(2, 7))):
                    top = _line(draw, rng, words, (left, top), width, size, ink)
                top += int(size * 0.6)
    return np.asarray(page)


def _line(draw, rng, words, place, width, size, ink) -> int:
    """Set one line of text; return where the next begins."""
    font, text = ImageFont.load_default(size), ""
    start = int(rng.integers(len(words)))
    for word in words[start:] + words[:start]:
        if draw.textlength(f"{text} {word}", font) > width:
            break
        text = f"{text} {word}".strip()
    draw.text(place, text, ink, font)
    return place[1] + int(size * 1.3)


def _table(draw, rng, place, width, size, ink) -> int:
    """Set a small table of numbers in boxes; return where the next line begins."""
    left, top = place
    rows, cols = int(rng.integers(2, 5)), int(rng.integers(2, 5))
    font, high, wide = ImageFont.load_default(size), int(size * 1.6), width // cols
    for row in range(rows):
        for col in range(cols):
            box = (left + col * wide, top + row * high, left + (col + 1) * wide, top + (row + 1) * high)
            draw.rectangle(box, outline=ink)
            draw.text((box[0] + 4, box[1] + 2), str(rng.integers(0, 10_000)), ink, font)
    return top + rows * high + int(size)


def portraits(data_dir: Path, people: range) -> list[np.ndarray]:
    """Gray portraits of some of the 40 people of the ORL database, one picture of each in turn."""
    rows = load_dataset("parquet", data_files=str(data_dir / "faces_orl.parquet"), split="train")
    labels = np.asarray(rows["label"])
    chosen = [np.flatnonzero(labels == person) for person in people]
    order = [int(one[number]) for number in range(10) for one in chosen]
    return [np.asarray(rows[number]["image"].convert("RGB")) for number in order]


def tiles(data_dir: Path, count: int, first: int) -> list[np.ndarray]:
    """EuroSAT's satellite tiles of 64x64 pixels, resized to 224: so many, from a place in random order."""
    rows = load_dataset("parquet", data_files=str(data_dir / "eurosat_train_6k.parquet"), split="train")
    order = np.random.default_rng(0).permutation(len(rows))[first : first + count]
    pictures = [rows[int(number)]["image"].convert("RGB") for number in order]
    return [np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for picture in pictures]
