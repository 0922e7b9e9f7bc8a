"""Read a random sample of an owner's pictures, and of their labels, from wherever `hipmr encrypt` reads."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as PILImage

from ..dataset.rows import file_of
from ..dataset.source import open_source
from ..dataset.sources.listing import SourceOptions
from ..errors import ImageReadingError, InputValueError
from ..images.reading import read_image

if TYPE_CHECKING:
    from ..dataset.sources.splits import Split

MOST_ROWS = 20_000
"""Rows among which a sample is drawn; a larger source is read no further."""

_LABEL_COLUMN = "label"

MOST_PIXELS = 1024
"""Shorter side to which larger pictures are shrunk at once, so that a sample fits into memory."""


@dataclasses.dataclass(frozen=True, eq=False)
class SampledPictures:
    """Pictures out of a source.

    Args:
        images: uint8 (height, width, 3) each, in random order.
        labels: one for each; None where the source has no such column.
        num_rows: rows that the sample was drawn from.
        num_refused: pictures of the sample that could not be read.
    """

    images: Sequence[np.ndarray]
    labels: Sequence[Any] | None
    num_rows: int
    num_refused: int


def sample_pictures(
    source: Sequence[str],
    count: int,
    *,
    image_column: str = "image",
    label_column: str | None = None,
    config_name: str | None = None,
    seed: int = 0,
    shrink: bool = True,
) -> SampledPictures:
    """Draw pictures at random from all splits of a source, streaming; nothing is copied to the disk.

    Args:
        source, config_name: as in `open_source` and `SourceOptions`.
        count: pictures wanted; fewer come from a smaller source.
        image_column: of the pictures.
        label_column: what they show, or whom; whole numbers or text. By default "label", if there is one.
        seed: of the sample.
        shrink: bring pictures of more than `MOST_PIXELS` a side to that; never for encrypted ones.

    Raises:
        FileNotFoundError, ValueError: as `open_source`; or there is no such column, or no picture can be
            read.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> folder = Path(tempfile.mkdtemp())
        >>> for number in range(3):
        ...     PILImage.new("RGB", (8, 8)).save(folder / f"{number}.png")
        >>> pictures = sample_pictures([str(folder)], 2)
        >>> len(pictures.images), pictures.labels, pictures.num_rows
        (2, None, 3)
    """
    options = SourceOptions(image_column=image_column, config_name=config_name)
    plain = open_source(source, options)
    rows = itertools.chain.from_iterable(
        _rows(split, image_column, label_column) for split in plain.splits.values()
    )
    kept, num_rows = _reservoir(itertools.islice(rows, MOST_ROWS), count, random.Random(seed))
    read = [(_read(image, shrink), label) for image, label in kept]
    good = [(image, label) for image, label in read if image is not None]
    if not good:
        raise InputValueError(
            f"SOURCE: none of the {len(read)} pictures that were sampled from it can be read; look at its "
            f"column {image_column!r}."
        )
    labels = [label for _, label in good]
    known = all(label is not None for label in labels)
    return SampledPictures(
        [image for image, _ in good], labels if known else None, num_rows, len(read) - len(good)
    )


def _rows(split: Split, image_column: str, label_column: str | None) -> Iterator[tuple[Any, Any]]:
    names = list(split.features)
    for argument, name in (("image_column", image_column), ("label_column", label_column)):
        if name is not None and name not in names:
            raise InputValueError(
                f"{argument}: got {name!r}, SOURCE has {', '.join(map(repr, names))}; name the right one "
                f"with --{argument.replace('_', '-')}."
            )
    label = label_column or (_LABEL_COLUMN if _LABEL_COLUMN in names else None)
    return split.unread(image_column, label)


def _reservoir(rows: Iterator[Any], count: int, rng: random.Random) -> tuple[list[Any], int]:
    """Algorithm R (Vitter 1985): a uniform sample in one pass, put into random order."""
    kept: list[Any] = []
    number = -1
    for number, row in enumerate(rows):
        if number < count:
            kept.append(row)
        elif (place := rng.randrange(number + 1)) < count:
            kept[place] = row
    rng.shuffle(kept)
    return kept, number + 1


def _read(image: Callable[[], Any], shrink: bool) -> np.ndarray | None:
    try:
        pixels = read_image(file_of(image()))
    except ImageReadingError:
        return None
    height, width = pixels.shape[:2]
    scale = MOST_PIXELS / min(height, width)
    if scale >= 1 or not shrink:
        return pixels
    size = round(width * scale), round(height * scale)
    return np.asarray(PILImage.fromarray(pixels).resize(size, PILImage.Resampling.BICUBIC))
