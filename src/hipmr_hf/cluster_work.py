"""What a machine of a cluster does: encrypt parts of a source, and write shards from what is encrypted.

Machines share a folder and are told numbers. Whatever comes of them is a file that appears whole, and once:
work that was begun twice, because a machine was given up too early, changes nothing.
"""

import contextlib
import dataclasses
import functools
import json
import os
import platform
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features

from . import __version__
from .encrypted_parquet import write_shard
from .keys import WORD_BYTES, SecretKey, fresh_streams, permutations_from
from .resumable_encryption import EncryptionJob
from .row_encryption import DROPPED_BOXES_COLUMN, ROW_NUMBER_COLUMN, RowEncryption, RowEncryptionError
from .source_parts import Part, PartedSource

_NOTES = b"hipmr"
_PIECES = "pieces"
_READ_ROWS = 64


@dataclasses.dataclass(frozen=True)
class ClusterJob:
    """All that machines are told beside numbers. It travels in the clear, so it holds no key.

    Args:
        job: what is done with every row, without its key.
        source, config_name: as in `open_source`; each machine opens them on its own.
        source_identity: of the source as the driver sees it.
        work: the folder that all machines share.
        key_file, key_id: where each machine reads the key, and what it must be.
        version: the release that the driver runs.
    """

    job: EncryptionJob
    source: tuple[str, ...]
    config_name: str | None
    source_identity: str
    work: str
    key_file: str | None = None
    key_id: str | None = None
    version: str = __version__


@dataclasses.dataclass(frozen=True)
class _Opened:
    source: PartedSource
    functions: dict[str, tuple[RowEncryption, Features]]


def piece_path(work: Path, part: Part) -> Path:
    """Return where the encrypted rows of a part lie; names sort as the rows do.

    Example:

        >>> piece_path(Path("work"), Part("train", 3, 12)).as_posix()
        'work/pieces/train/000003-00000012.parquet'
    """
    return work / _PIECES / part.split / f"{part.file:06d}-{part.number:08d}.parquet"


def notes_of(piece: Path) -> dict[str, Any]:
    """Read what `encrypt_part` noted in a piece."""
    return json.loads(pq.read_metadata(piece).metadata[_NOTES])


def count_parts(job: ClusterJob, split: str, file: int) -> int:
    """Return the number of parts that a file of the source has."""
    return _opened(job).source.num_parts(split, file)


def encrypt_part(job: ClusterJob, split: str, file: int, number: int) -> dict[str, Any]:
    """Read, encrypt and write a part, so that plain rows never leave this process.

    Returns:
        Notes: "rows" read, "written", numbers of those "skipped" in the part, objects "dropped".

    Raises:
        RowEncryptionError: a picture cannot be encrypted.
    """
    opened, part = _opened(job), Part(split, file, number)
    path, (function, features) = piece_path(Path(job.work), part), opened.functions[split]
    if path.exists():
        return notes_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    notes = {"rows": 0, "written": 0, "skipped": [], "dropped": 0}
    with _appearing_once(path, job) as beside, pq.ParquetWriter(beside, features.arrow_schema) as writer:
        for batch in opened.source.batches(part, [function.image_column, *function.kept_columns]):
            try:
                columns = _encrypt_batch(function, batch, notes)
            except RowEncryptionError as error:
                raise RowEncryptionError(f"{split}, file {file}, part {number}: {error}") from None
            writer.write_table(pa.Table.from_pydict(columns, schema=features.arrow_schema))
        writer.add_key_value_metadata({_NOTES: json.dumps(notes)})
    return notes


def _encrypt_batch(
    function: RowEncryption, batch: dict[str, list[Any]], notes: dict[str, Any]
) -> dict[str, list[Any]]:
    count = len(batch[function.image_column])
    numbers = range(notes["rows"], notes["rows"] + count)
    columns = function(batch, numbers)
    done = columns.pop(ROW_NUMBER_COLUMN)
    notes["dropped"] += sum(columns.pop(DROPPED_BOXES_COLUMN))
    notes["skipped"] += sorted(set(numbers) - set(done))
    notes["rows"] += count
    notes["written"] += len(done)
    return columns


def join_rows(job: ClusterJob, pieces: Sequence[tuple[str, int, int]], shard: str) -> None:
    """Write a shard from rows of pieces, in order.

    Args:
        job: names the folder and the settings.
        pieces: (path in the shared folder, first row, row after the last).
        shard: path in the shared folder.
    """
    work = Path(job.work)

    def tables() -> Iterator[pa.Table]:
        for name, first, last in pieces:
            yield from _rows_between(work / name, first, last)

    features = Features.from_arrow_schema(pq.read_schema(work / pieces[0][0]))
    with _appearing_once(work / shard, job) as beside:
        write_shard(tables(), features, job.job.encryption, beside)


def deal_rows(job: ClusterJob, pieces: Sequence[str], num_shards: int, dealt: str) -> None:
    """Deal the rows of pieces out to shards at random: one file, in which a shard's rows lie together.

    The randomness is the operating system's, as in `in_random_order`.
    """
    work = Path(job.work)
    table = pa.concat_tables(pq.read_table(work / name) for name in pieces)
    drawn = fresh_streams(1, WORD_BYTES * len(table)).view("<u8")[0] % num_shards
    ends = np.searchsorted(np.sort(drawn), np.arange(num_shards), side="right").tolist()
    table = table.take(pa.array(np.argsort(drawn, kind="stable")))
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), _NOTES: json.dumps(ends)})
    with (
        _appearing_once(work / dealt, job) as beside,
        pa.OSFile(str(beside), "wb") as file,
        pa.ipc.new_file(file, table.schema) as writer,
    ):
        writer.write_table(table)


def join_dealt(job: ClusterJob, dealt: Sequence[str], number: int, shard: str) -> None:
    """Write a shard from the rows that were dealt to it, in random order."""
    tables = []
    for name in dealt:
        table = pa.ipc.open_file(pa.memory_map(str(Path(job.work) / name))).read_all()
        ends = [0, *json.loads(table.schema.metadata[_NOTES])]
        tables.append(table.slice(ends[number], ends[number + 1] - ends[number]))
    features = Features.from_arrow_schema(tables[0].schema)
    table = pa.concat_tables([table.replace_schema_metadata(None) for table in tables])
    order = permutations_from(fresh_streams(1, WORD_BYTES * len(table)))[0]
    with _appearing_once(Path(job.work) / shard, job) as beside:
        rows = [table.take(pa.array(order))] if len(table) else []
        write_shard(rows, features, job.job.encryption, beside)


def _rows_between(path: Path, first: int, last: int) -> Iterator[pa.Table]:
    place = 0
    with pq.ParquetFile(path, pre_buffer=False) as file:  # else all that was read stays in memory
        for batch in file.iter_batches(batch_size=_READ_ROWS):
            rows = batch.slice(
                max(0, first - place), max(0, min(last, place + len(batch)) - max(first, place))
            )
            place += len(batch)
            if len(rows):
                yield pa.Table.from_batches([rows])
            if place >= last:
                return


@functools.lru_cache(maxsize=1)
def _opened(job: ClusterJob) -> _Opened:
    """Open the source on this machine, once a process, and make sure that it is what the driver saw."""
    where = f"machine {platform.node()}"
    if not Path(job.work).is_dir():
        raise ValueError(
            f"output_dir: {where} does not see {job.work}; give a folder that all machines share under one "
            "path."
        )
    if job.version != __version__:
        raise ValueError(f"{where} runs hipmr-hf {__version__} and the driver {job.version}; install that.")
    key = None if job.key_file is None else SecretKey.load(job.key_file)
    if key is not None and key.key_id != job.key_id:
        raise ValueError(
            f"key_file: {where} has key {key.key_id}, expected {job.key_id}; copy that one to it."
        )
    source = PartedSource(job.source, image_column=job.job.image_column, config_name=job.config_name)
    if source.plain.identity != job.source_identity:
        raise ValueError(
            f"source: {where} sees other files there, or with other times, than the driver; give a folder "
            "that all machines share under one path, or a dataset on the Hub."
        )
    keyed = dataclasses.replace(job.job, key=key)
    return _Opened(source, {name: keyed.function_for(split) for name, split in source.plain.splits.items()})


@contextlib.contextmanager
def _appearing_once(path: Path, job: ClusterJob) -> Iterator[Path]:
    """Give a place beside a file, which it becomes whole unless somebody else was first."""
    beside = Path(job.work) / f"{path.name}.{secrets.token_hex(8)}"
    try:
        yield beside
        try:
            os.link(beside, path)  # fails if it is there: a file that somebody may be reading never changes
        except FileExistsError:
            pass
        except OSError:  # not every shared file system has links
            os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
