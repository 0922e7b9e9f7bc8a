"""What `--labels` makes of the columns of a source: classes of one of them, in a column "label", or none.

A column of lists makes lists of classes: any number of them a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...column_types.features import Features
from ...column_types.kinds import ClassLabel, LargeList, List, Value
from ...errors import InputValueError
from .listing import class_numbers

if TYPE_CHECKING:
    from .reading import Batch
    from .splits import Split

_LABEL = "label"


def with_labels(splits: Mapping[str, Split], labels: str | None, layout: str) -> dict[str, Split]:
    """Return splits whose column "label" is what was said.

    Args:
        splits: by name.
        labels: "none", without it; a column's name, its values as classes; "folders" and None, as it is.
        layout: what the source was taken for, in words.

    Raises:
        InputValueError: there is no such column, its values are no classes, or rows have none; or folders
            mean nothing in this layout.
    """
    if labels == "folders" and "class folders" not in layout:
        raise InputValueError(
            f"--labels: got folders, but folders are no classes in {layout}; allowed are none and its "
            "columns."
        )
    if labels in (None, "folders"):
        return dict(splits)
    if labels == "none":
        return {
            name: RelabelledSplit(split, None, None) if _LABEL in split.features else split
            for name, split in splits.items()
        }
    names = _class_names(list(splits.values()), labels, layout)
    return {name: RelabelledSplit(split, labels, names) for name, split in splits.items()}


def _class_names(splits: Sequence[Split], column: str, layout: str) -> list[str]:
    feature = splits[0].features.get(column)
    several = isinstance(feature, (List, LargeList))
    one = feature.feature if several else feature
    if isinstance(one, ClassLabel):
        return one.names
    if not isinstance(one, Value) or "binary" in one.dtype or (several and "float" in one.dtype):
        found = "is not there" if feature is None else f"is {feature}"
        raise InputValueError(
            f"--labels: the column {column!r} {found}, allowed are none, and columns of text or "
            "numbers, or of lists of text or whole numbers; the columns of this source "
            f"({layout}) are {', '.join(splits[0].features)}."
        )
    values = {value for split in splits for value in split.distinct(column, inner=several)}
    if values & {None, ""}:
        raise InputValueError(
            f"--labels: some rows have no value in {column!r}; fill them in, or leave these rows out."
        )
    if fraction := next((value for value in values if isinstance(value, float) and value % 1), None):
        raise InputValueError(
            f"--labels: {column!r} holds numbers such as {fraction}, which are no classes; to learn numbers "
            f"leave --labels out, keep them as they are with --keep-columns {column}, and train with "
            f"--label_column {column}."
        )
    return list(class_numbers(map(str, values)))


class RelabelledSplit:
    """Rows of another split, whose column "label" is made of one of its columns, or left out.

    Args:
        split: the other.
        column: its column of classes; None for no labels.
        names: of the classes.
    """

    def __init__(self, split: Split, column: str | None, names: Sequence[str] | None) -> None:
        self._split, self._column = split, column
        self.num_rows, self.num_files, self.box_format = split.num_rows, split.num_files, split.box_format
        features = {name: feature for name, feature in split.features.items() if name != _LABEL}
        self._numbers: Mapping[str, int] | None = None
        if column is not None:
            feature, classes = split.features[column], ClassLabel(names=list(names))
            several = isinstance(feature, (List, LargeList))
            features[_LABEL] = List(classes) if several else classes
            if not isinstance(feature.feature if several else feature, ClassLabel):
                self._numbers = class_numbers(names)
        self.features = Features(features)

    def num_parts(self, file: int) -> int:
        """Return how many parts a file has."""
        return self._split.num_parts(file)

    def distinct(self, column: str, *, inner: bool) -> set[Any]:
        """Return every value of a column."""
        return self._split.distinct(column, inner=inner)

    def name_of(self, row: int) -> str | None:
        """Return the name of the file that a row came from, where there is one."""
        return self._split.name_of(row)

    def batches(self, file: int, number: int, columns: Sequence[str]) -> Iterator[Batch]:
        """Read the rows of a part, pictures undecoded."""
        places = {name: self._column if name == _LABEL else name for name in columns}
        for batch in self._split.batches(file, number, list(dict.fromkeys(places.values()))):
            yield {
                name: list(map(self._number, batch[place])) if name == _LABEL else batch[place]
                for name, place in places.items()
            }

    def unread(self, image_column: str, label_column: str | None) -> Iterator[tuple[Callable[[], Any], Any]]:
        """Yield what returns a row's file when called, and its label."""
        if label_column != _LABEL:
            yield from self._split.unread(image_column, label_column)
        else:
            for image, value in self._split.unread(image_column, self._column):
                yield image, self._number(value)

    def _number(self, value: Any) -> Any:
        if isinstance(value, list):
            return list(map(self._number, value))
        return value if self._numbers is None else self._numbers[str(value)]
