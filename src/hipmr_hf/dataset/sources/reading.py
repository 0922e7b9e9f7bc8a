"""What the splits of all sources read alike."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .splits import Split

PART_ROWS = 64
"""What a kill can cost, and what a worker holds at once."""

Batch = dict[str, list[Any]]
"""Values of some rows, by column."""


def read_already(
    split: Split, image_column: str, label_column: str | None
) -> Iterator[tuple[Callable[[], Any], Any]]:
    """Yield what `Split.unread` does, for rows that come with their files."""
    columns = [image_column, *([label_column] if label_column else [])]
    for file in range(split.num_files):
        for number in range(split.num_parts(file)):
            for batch in split.batches(file, number, columns):
                labels = batch[label_column] if label_column else [None] * len(batch[image_column])
                for image, label in zip(batch[image_column], labels, strict=True):
                    yield functools.partial(_same, image), label


def _same(image: Any) -> Any:
    return image


def inner_values(lists: Iterable[list[Any] | None]) -> set[Any]:
    """What lists hold; None for a list that is not there, which is another thing than an empty one.

    Example:

        >>> inner_values([["a", "b"], [], ["a"]]) == {"a", "b"}
        True
    """
    return {value for found in lists for value in ([None] if found is None else found)}
