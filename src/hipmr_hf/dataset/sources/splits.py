"""Splits of a source, each read part by part: listed picture files, Parquet files, streams from the Hub."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from ...column_types.features import Features
from ...column_types.kinds import Image
from ...errors import ImageReadingError, InputValueError
from .features import features_of, with_images
from .reading import PART_ROWS, Batch, inner_values, read_already
from .tree import Tree, read_file

# What a worker holds at once, beside `PART_ROWS`: bytes of their files.
_BATCH_BYTES = 64 * 2**20
# A larger row group is cut into parts; each of them skips what lies before it.
_GROUP_ROWS = 256


class Split(Protocol):
    """Plain rows of one split.

    Args:
        features: of its columns.
        num_rows: None where only reading would tell.
        num_files: files that workers count the parts of.
        box_format: of the objects' boxes, where the layout knows it.
    """

    features: Features
    num_rows: int | None
    num_files: int
    box_format: str | None

    def num_parts(self, file: int) -> int:
        """Return how many parts a file has; reads no picture."""

    def batches(self, file: int, number: int, columns: Sequence[str]) -> Iterator[Batch]:
        """Read the rows of a part, pictures undecoded."""

    def name_of(self, row: int) -> str | None:
        """Return the name of the file that a row came from, where there is one."""

    def distinct(self, column: str, *, inner: bool) -> set[Any]:
        """Return every value of a column of text or numbers, or those in its lists."""

    def unread(self, image_column: str, label_column: str | None) -> Iterator[tuple[Callable[[], Any], Any]]:
        """Yield for each row what returns its image's file when called, and its label."""


class ListedSplit:
    """Picture files of a tree, and values that go with them.

    Args:
        tree: where they lie.
        names: of the files, a row each.
        columns: values of every row, by column.
        features: of all columns, the image's first.
        box_format: of the objects' boxes, a name of `box_formats.BOX_FORMATS`.
    """

    def __init__(
        self,
        tree: Tree,
        names: Sequence[str],
        columns: Mapping[str, Sequence[Any]],
        features: Features,
        box_format: str | None = None,
    ) -> None:
        self.tree: Tree = tree
        self.names: Sequence[str] = names
        self.columns: Mapping[str, Sequence[Any]] = columns
        self.features: Features = features
        self.num_rows: int | None = len(names)
        self.num_files: int = 1
        self.box_format: str | None = box_format
        self.image_column: str = next(name for name, kind in features.items() if isinstance(kind, Image))

    def num_parts(self, file: int) -> int:
        """Return how many parts a file has."""
        return -(-len(self.names) // PART_ROWS)

    def name_of(self, row: int) -> str | None:
        """Return the name of the file that a row came from, where there is one."""
        return self.names[row]

    def distinct(self, column: str, *, inner: bool) -> set[Any]:
        """Return every value of a column, or those in its lists."""
        return inner_values(self.columns[column]) if inner else set(self.columns[column])

    def batches(self, file: int, number: int, columns: Sequence[str]) -> Iterator[Batch]:
        """Read the rows of a part, pictures undecoded."""
        rows: list[dict[str, Any]] = []
        size = 0
        for row in range(number * PART_ROWS, min((number + 1) * PART_ROWS, len(self.names))):
            image = self.image_of(row)
            rows.append(self._row(row, image, columns))
            size += sum(len(value) for value in rows[-1].values() if isinstance(value, bytes))
            if size >= _BATCH_BYTES:
                yield {name: [values[name] for values in rows] for name in columns}
                rows, size = [], 0
        if rows:
            yield {name: [values[name] for values in rows] for name in columns}

    def unread(self, image_column: str, label_column: str | None) -> Iterator[tuple[Callable[[], Any], Any]]:
        """Yield what reads a row's file when called, and its label."""
        labels = self.columns[label_column] if label_column else [None] * len(self.names)
        for row, label in enumerate(labels):
            yield functools.partial(self.image_of, row), label

    def image_of(self, row: int) -> "bytes | ImageReadingError":
        """Return a row's file, or why it cannot be read, for whoever decides about such rows."""
        return self._file(self.names[row])

    def _file(self, name: str) -> "bytes | ImageReadingError":
        try:
            return read_file(self.tree, name)
        except ImageReadingError as error:
            return error

    def _row(self, row: int, image: "bytes | ImageReadingError", columns: Sequence[str]) -> dict[str, Any]:
        values = {name: column[row] for name, column in self.columns.items() if name in columns}
        for name, file in values.items():
            if isinstance(self.features[name], Image) and file is not None:  # another picture of the row
                values[name] = self._file(file)
        return {self.image_column: image, **values}


class ParquetSplit:
    """Parquet files of this machine with one schema.

    Args:
        paths: of the files.
        picture_columns: columns of image files' bytes that do not say so are taken for pictures.

    Raises:
        InputValueError: a file has another schema than the first.
    """

    def __init__(self, paths: Sequence[Path], picture_columns: Sequence[str]) -> None:
        self.paths: Sequence[Path] = paths
        self.num_files: int = len(paths)
        self.box_format: str | None = None
        schema = pq.read_schema(paths[0])
        for path in paths[1:]:
            if pq.read_schema(path).remove_metadata() != schema.remove_metadata():
                raise InputValueError(
                    f"SOURCE: {path.name} has other columns than {paths[0].name}; give files of one dataset."
                )
        self.features: Features = with_images(features_of(schema), picture_columns)
        self.num_rows: int | None = sum(pq.read_metadata(path).num_rows for path in paths)

    def name_of(self, row: int) -> str | None:
        """Return the name of the file that a row came from, where there is one."""
        return None

    def distinct(self, column: str, *, inner: bool) -> set[Any]:
        """Return every value of a column, or those in its lists; no other column is read."""
        found: set[Any] = set()
        for path in self.paths:
            with pq.ParquetFile(path) as opened:
                for batch in opened.iter_batches(columns=[column]):
                    values = batch.column(column)
                    found |= inner_values(values.to_pylist()) if inner else set(values.unique().to_pylist())
        return found

    def num_parts(self, file: int) -> int:
        """Return how many parts a file has."""
        return len(self._parts(file))

    def batches(self, file: int, number: int, columns: Sequence[str]) -> Iterator[Batch]:
        """Read the rows of a part, pictures undecoded."""
        group, first, last = self._parts(file)[number]
        place = 0
        # Mapped, since a page may be as large as its row group; not buffered, which would keep what was read.
        with pq.ParquetFile(self.paths[file], pre_buffer=False, memory_map=True) as opened:
            rows = _rows_at_once(opened.metadata.row_group(group))
            options = {"batch_size": rows, "row_groups": [group], "columns": list(columns)}
            for batch in opened.iter_batches(**options):
                wanted = batch.slice(
                    max(0, first - place), max(0, min(last, place + len(batch)) - max(first, place))
                )
                place += len(batch)
                if len(wanted):
                    yield {name: self._values(name, wanted.column(name)) for name in columns}
                if place >= last:
                    return

    def unread(self, image_column: str, label_column: str | None) -> Iterator[tuple[Callable[[], Any], Any]]:
        """Yield what returns a row's file when called, and its label."""
        return read_already(self, image_column, label_column)

    def _values(self, name: str, column: pa.Array) -> list[Any]:
        values = column.to_pylist()
        return list(map(_without_path, values)) if isinstance(self.features[name], Image) else values

    def _parts(self, file: int) -> list[tuple[int, int, int]]:
        metadata = pq.read_metadata(self.paths[file])
        counts = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        return [
            (group, first, min(first + _GROUP_ROWS, count))
            for group, count in enumerate(counts)
            for first in range(0, count, _GROUP_ROWS)
        ]


def _without_path(value: Any) -> Any:
    """Refuse a row that names a file: whoever wrote it could name any file of this machine."""
    if not isinstance(value, dict) or value.get("bytes") is not None or value.get("path") is None:
        return value
    return ImageReadingError("the row names a file instead of holding a picture.")


def _rows_at_once(group: pq.RowGroupMetaData) -> int:
    """Bound the bytes of the rows that are read together, also where a value that repeats is stored once."""
    mean = group.total_byte_size / max(1, group.num_rows)
    stored_once = max((_dictionary_bytes(group.column(i)) for i in range(group.num_columns)), default=0)
    return max(1, min(PART_ROWS, int(_BATCH_BYTES / max(1.0, mean, stored_once))))


def _dictionary_bytes(column: pq.ColumnChunkMetaData) -> int:
    if not column.has_dictionary_page:
        return 0
    return column.data_page_offset - column.dictionary_page_offset
