"""Parts of a source, which any worker can read on its own, told nothing but their numbers."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from .source import PlainSource, damage_told, without_torch


@dataclasses.dataclass(frozen=True, order=True)
class Part:
    """Some consecutive rows of a source.

    Args:
        split: name of the split.
        file: number of the file in the split; listed pictures are one.
        number: of the part in the file: 64 pictures, a row group of Parquet or a piece of one, or all of it.
    """

    split: str
    file: int
    number: int


def num_parts(source: PlainSource, split: str, file: int) -> int:
    """Return how many parts a file has; reads no picture, where the file's format allows that."""
    with damage_told(f"{split}, file {file},"), without_torch():
        return source.splits[split].num_parts(file)


def batches_of(source: PlainSource, part: Part, columns: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
    """Read the rows of a part, pictures undecoded, some at a time.

    Example:

        >>> import tempfile, PIL.Image
        >>> from hipmr_hf.dataset.source import open_source
        >>> folder = tempfile.mkdtemp()
        >>> for i in range(3):
        ...     PIL.Image.new("RGB", (8, 8)).save(f"{folder}/{i}.png")
        >>> source = open_source([folder])
        >>> num_parts(source, "train", 0)
        1
        >>> [len(batch["image"]) for batch in batches_of(source, Part("train", 0, 0), ["image"])]
        [3]
    """
    batches = source.splits[part.split].batches(part.file, part.number, columns)
    while True:
        with damage_told(f"{part.split}, file {part.file}, part {part.number},"), without_torch():
            batch = next(batches, None)
        if batch is None:
            return
        yield batch
