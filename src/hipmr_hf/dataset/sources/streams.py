"""Rows of a dataset on the Hub, as a stream: the one source that needs `datasets`."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import datasets

from ...column_types.features import Features
from ...column_types.kinds import Image
from ...errors import ImageReadingError, InputValueError
from .features import with_images
from .reading import PART_ROWS, Batch, read_already


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
        self.features: Features = with_images(Features.from_datasets(stream.features), picture_columns)
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

    def distinct(self, column: str, *, inner: bool) -> set[Any]:
        """Refuse: every worker would have to read all of the stream, pictures and all."""
        raise InputValueError(
            f"--labels: {column!r} is {self.features[column]}, allowed in a Hub dataset are columns of "
            "ClassLabel; for others download it with `hf download` and give its Parquet files."
        )

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
        return sum(1 for _ in undecoded.iter(batch_size=PART_ROWS))

    def batches(self, file: int, number: int, columns: Sequence[str]) -> Iterator[Batch]:
        """Read the rows of a part, pictures undecoded."""
        for batch in self._batches(file, number, columns):
            for name in self._pictures(columns):
                batch[name] = [self._own(value) for value in batch[name]]
            yield batch

    def unread(self, image_column: str, label_column: str | None) -> Iterator[tuple[Callable[[], Any], Any]]:
        """Yield what returns a row's file when called, and its label."""
        return read_already(self, image_column, label_column)

    def _batches(self, file: int, number: int, columns: Sequence[str]) -> Iterator[Batch]:
        stream = self._opened(file)
        if stream.num_shards > 1:
            stream = stream.shard(num_shards=stream.num_shards, index=number)
            yield from self._undecoded(stream, columns).iter(batch_size=PART_ROWS)
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
            stream = stream.cast_column(name, datasets.Image(decode=False))
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
            self.place, self._batches = 0, self.stream.iter(batch_size=PART_ROWS)
        for batch in self._batches:
            self.place += 1
            if self.place > start:
                self.holds_files = _holds_file(batch[self.image_column][0])
                yield batch
        self._batches = None


def _holds_file(value: Any) -> bool:
    return not (isinstance(value, dict) and value.get("bytes") is None)
