"""Cut a source into parts that any machine can open on its own, told nothing but their numbers."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from datasets import Image, IterableDataset

from .source import PlainSource, damage_told, open_source, without_torch

# What a kill can cost, and what a worker holds at once; rows that name their files are counted unread.
_BATCH_ROWS = 64


@dataclasses.dataclass(frozen=True, order=True)
class Part:
    """Some consecutive rows of a source.

    Args:
        split: name of the split.
        file: number of the file in the split, as `datasets` counts them (a folder of pictures is one).
        number: of the part in the file: a row group of Parquet, 64 pictures of a folder, or all of it.
    """

    split: str
    file: int
    number: int


class PartedSource:
    """A source as `open_source` opens it, read part by part. The order of rows is the same.

    Args:
        source, config_name: as in `open_source`.
        image_column: the column of pictures.

    Example:

        >>> import tempfile, PIL.Image
        >>> folder = tempfile.mkdtemp()
        >>> for i in range(3):
        ...     PIL.Image.new("RGB", (8, 8)).save(f"{folder}/{i}.png")
        >>> parted = PartedSource([folder], image_column="image")
        >>> parted.num_files("train"), parted.num_parts("train", 0)
        (1, 1)
        >>> [len(batch["image"]) for batch in parted.batches(Part("train", 0, 0), ["image"])]
        [3]
    """

    def __init__(self, source: Sequence[str], *, image_column: str, config_name: str | None = None) -> None:
        # Streams need nothing of what `datasets` keeps beside them while it opens a source.
        with open_source(source, image_column=image_column, config_name=config_name) as plain:
            self.plain: PlainSource = plain
        self.image_column = image_column
        self._file: tuple[tuple[str, int], IterableDataset] | None = None
        self._reader: tuple[tuple[str, int, tuple[str, ...]], _Reader] | None = None

    def num_files(self, split: str) -> int:
        """Return how many files a split has."""
        return self.plain.splits[split].num_shards

    def num_parts(self, split: str, file: int) -> int:
        """Return how many parts a file has; reads no picture, where the file's format allows that."""
        with damage_told(f"{split}, file {file},"), without_torch():
            stream = self._stream(split, file)
            if stream.num_shards > 1:
                return stream.num_shards
            undecoded = self._undecoded(stream, [self.image_column])
            first = next(iter(undecoded.take(1)), None)
            if first is None:
                return 0
            if _holds_file(first[self.image_column]):
                return 1
            batches = sum(1 for _ in undecoded.iter(batch_size=_BATCH_ROWS))
        return batches

    def batches(self, part: Part, columns: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
        """Read the rows of a part, pictures undecoded, in batches of 64."""
        batches = self._batches(part, columns)
        while True:
            with damage_told(f"{part.split}, file {part.file}, part {part.number},"), without_torch():
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def _batches(self, part: Part, columns: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
        stream = self._stream(part.split, part.file)
        if stream.num_shards > 1:
            stream = stream.shard(num_shards=stream.num_shards, index=part.number)
            yield from self._undecoded(stream, columns).iter(batch_size=_BATCH_ROWS)
            return
        reader = self._reader_of(part, tuple(columns))
        for batch in reader.batches(part.number):
            yield batch
            if reader.place == part.number + 1 and not reader.holds_files:
                return

    def _stream(self, split: str, file: int) -> IterableDataset:
        """Open one file, cut into row groups if its format has such."""
        if self._file is None or self._file[0] != (split, file):
            stream = self.plain.splits[split]
            stream = stream.shard(num_shards=stream.num_shards, index=file).reshard()
            self._file = ((split, file), stream)
        return self._file[1]

    def _reader_of(self, part: Part, columns: tuple[str, ...]) -> "_Reader":
        name = (part.split, part.file, columns)
        if self._reader is None or self._reader[0] != name:
            stream = self._undecoded(self._stream(part.split, part.file), columns)
            self._reader = (name, _Reader(stream, self.image_column))
        return self._reader[1]

    def _undecoded(self, stream: IterableDataset, columns: Sequence[str]) -> IterableDataset:
        stream = stream.with_format(None).select_columns(list(columns))
        return stream.cast_column(self.image_column, Image(decode=False))


class _Reader:
    """Go forward in a stream, batch by batch, and begin again only to go back."""

    def __init__(self, stream: IterableDataset, image_column: str) -> None:
        self.stream, self.image_column = stream, image_column
        self.place, self.holds_files = 0, False
        self._batches: Iterator[dict[str, list[Any]]] | None = None

    def batches(self, start: int) -> Iterator[dict[str, list[Any]]]:
        """Yield batches from number `start` on."""
        if self._batches is None or self.place > start:
            self.place, self._batches = 0, self.stream.iter(batch_size=_BATCH_ROWS)
        for batch in self._batches:
            self.place += 1
            if self.place > start:
                self.holds_files = _holds_file(batch[self.image_column][0])
                yield batch
        self._batches = None


def _holds_file(value: Any) -> bool:
    return not (isinstance(value, dict) and value.get("bytes") is None)
