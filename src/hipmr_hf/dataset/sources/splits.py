"""Splits of a source, each read part by part: listed picture files, Parquet files, streams from the Hub."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Image

from ...errors import ImageReadingError, InputValueError
from .features import features_of, with_images
from .tree import Tree, read_file

# What a kill can cost, and what a worker holds at once: rows, and bytes of their files.
_PART_ROWS = 64
_BATCH_BYTES = 64 * 2**20
# A larger row group is cut into parts; each of them skips what lies before it.
_GROUP_ROWS = 256

Batch = dict[str, list[Any]]


class Split(Protocol):
    """Plain rows of one split.

    Args:
        features: of its columns.
        num_rows: None where only reading would tell.
        num_files: files that workers count the parts of.
        box_format: of the objects' boxes, where the layout knows it.
    """

    features: datasets.Features
    num_rows: int | None
    num_files: int
    box_format: str | None

    def num_parts(self, file: int) -> int:
        """Return how many parts a file has; reads no picture."""

    def batches(self, file: int, number: int, columns: Sequence[str]) -> Iterator[Batch]:
        """Read the rows of a part, pictures undecoded."""

    def name_of(self, row: int) -> str | None:
        """Return the name of the file that a row came from, where there is one."""

    def unread(self, image_column: str, label_column: str | None) -> Iterator[tuple[Callable[[], Any], Any]]:
        """Yield for each row what returns its image's file when called, and its label."""


def _read_already(
    split: Split, image_column: str, label_column: str | None
) -> Iterator[tuple[Callable[[], Any], Any]]:
    columns = [image_column, *([label_column] if label_column else [])]
    for file in range(split.num_files):
        for number in range(split.num_parts(file)):
            for batch in split.batches(file, number, columns):
                labels = batch[label_column] if label_column else [None] * len(batch[image_column])
                for image, label in zip(batch[image_column], labels, strict=True):
                    yield functools.partial(_same, image), label


def _same(image: Any) -> Any:
    return image


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
        features: datasets.Features,
        box_format: str | None = None,
    ) -> None:
        self.tree: Tree = tree
        self.names: Sequence[str] = names
        self.columns: Mapping[str, Sequence[Any]] = columns
        self.features: datasets.Features = features
        self.num_rows: int | None = len(names)
        self.num_files: int = 1
        self.box_format: str | None = box_format
        self.image_column: str = next(name for name, kind in features.items() if isinstance(kind, Image))

    def num_parts(self, file: int) -> int:
        """Return how many parts a file has."""
        return -(-len(self.names) // _PART_ROWS)

    def name_of(self, row: int) -> str | None:
        """Return the name of the file that a row came from, where there is one."""
        return self.names[row]

    def batches(self, file: int, number: int, columns: Sequence[str]) -> Iterator[Batch]:
        """Read the rows of a part, pictures undecoded."""
        rows: list[dict[str, Any]] = []
        size = 0
        for row in range(number * _PART_ROWS, min((number + 1) * _PART_ROWS, len(self.names))):
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
        self.features: datasets.Features = with_images(features_of(schema), picture_columns)
        self.num_rows: int | None = sum(pq.read_metadata(path).num_rows for path in paths)

    def name_of(self, row: int) -> str | None:
        """Return the name of the file that a row came from, where there is one."""
        return None

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
        return _read_already(self, image_column, label_column)

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
    return max(1, min(_PART_ROWS, int(_BATCH_BYTES / max(1.0, mean, stored_once))))


def _dictionary_bytes(column: pq.ColumnChunkMetaData) -> int:
    if not column.has_dictionary_page:
        return 0
    return column.data_page_offset - column.dictionary_page_offset


class StreamSplit:
    """A stream of a Hub dataset; its rows may name files of the same repository, and no others.

    Args:
        stream: as `load_dataset` returns it.
        picture_columns: as in `ParquetSplit`, the image column first.
        repo_id: that it comes from.
    """

    def __init__(
        self, stream: datasets.IterableDataset, picture_columns: Sequence[str], repo_id: str
    ) -> None:
        if stream.features is None:
            stream = stream._resolve_features()
        self.features: datasets.Features = with_images(stream.features, picture_columns)
        self.stream: datasets.IterableDataset = stream
        self.image_column: str = picture_columns[0]
        self.picture_columns: Sequence[str] = picture_columns
        self.repo_id: str = repo_id
        self.num_files: int = stream.num_shards
        self.box_format: str | None = None
        known = (stream.info.splits or {}).get(str(stream.split))
        self.num_rows: int | None = known.num_examples if known is not None and known.num_examples else None
        self._file: tuple[int, datasets.IterableDataset] | None = None
        self._reader: tuple[tuple[int, tuple[str, ...]], _Reader] | None = None

    def name_of(self, row: int) -> str | None:
        """Return the name of the file that a row came from, where there is one."""
        return None

    def num_parts(self, file: int) -> int:
        """Return how many parts a file has."""
        stream = self._opened(file)
        if stream.num_shards > 1:
            return stream.num_shards
        undecoded = self._undecoded(stream, [self.image_column])
        first = next(iter(undecoded.take(1)), None)
        if first is None:
            return 0
        if _holds_file(first[self.image_column]):
            return 1
        return sum(1 for _ in undecoded.iter(batch_size=_PART_ROWS))

    def batches(self, file: int, number: int, columns: Sequence[str]) -> Iterator[Batch]:
        """Read the rows of a part, pictures undecoded."""
        for batch in self._batches(file, number, columns):
            for name in self._pictures(columns):
                batch[name] = [self._own(value) for value in batch[name]]
            yield batch

    def unread(self, image_column: str, label_column: str | None) -> Iterator[tuple[Callable[[], Any], Any]]:
        """Yield what returns a row's file when called, and its label."""
        return _read_already(self, image_column, label_column)

    def _batches(self, file: int, number: int, columns: Sequence[str]) -> Iterator[Batch]:
        stream = self._opened(file)
        if stream.num_shards > 1:
            stream = stream.shard(num_shards=stream.num_shards, index=number)
            yield from self._undecoded(stream, columns).iter(batch_size=_PART_ROWS)
            return
        name = (file, tuple(columns))
        if self._reader is None or self._reader[0] != name:
            self._reader = (name, _Reader(self._undecoded(stream, columns), self.image_column))
        reader = self._reader[1]
        for batch in reader.batches(number):
            yield batch
            if reader.place == number + 1 and not reader.holds_files:
                return

    def _opened(self, file: int) -> datasets.IterableDataset:
        """Open one file, cut into row groups if its format has such."""
        if self._file is None or self._file[0] != file:
            self._file = (file, self.stream.shard(num_shards=self.num_files, index=file).reshard())
        return self._file[1]

    def _undecoded(
        self, stream: datasets.IterableDataset, columns: Sequence[str]
    ) -> datasets.IterableDataset:
        stream = stream.with_format(None).select_columns(list(columns))
        for name in self._pictures(columns):
            stream = stream.cast_column(name, Image(decode=False))
        return stream

    def _pictures(self, columns: Sequence[str]) -> list[str]:
        wanted = [name for name in self.picture_columns if name in columns]
        return [name for name in wanted if isinstance(self.features.get(name), Image)]

    def _own(self, value: Any) -> Any:
        path = value.get("path") if isinstance(value, dict) and value.get("bytes") is None else None
        if path is None or f"hf://datasets/{self.repo_id}@" in path:
            return value
        return ImageReadingError(
            "the row names a file outside of its repository instead of holding a picture."
        )


class _Reader:
    """Go forward in a stream, batch by batch, and begin again only to go back."""

    def __init__(self, stream: datasets.IterableDataset, image_column: str) -> None:
        self.stream, self.image_column = stream, image_column
        self.place, self.holds_files = 0, False
        self._batches: Iterator[Batch] | None = None

    def batches(self, start: int) -> Iterator[Batch]:
        """Yield batches from number `start` on."""
        if self._batches is None or self.place > start:
            self.place, self._batches = 0, self.stream.iter(batch_size=_PART_ROWS)
        for batch in self._batches:
            self.place += 1
            if self.place > start:
                self.holds_files = _holds_file(batch[self.image_column][0])
                yield batch
        self._batches = None


def _holds_file(value: Any) -> bool:
    return not (isinstance(value, dict) and value.get("bytes") is None)
