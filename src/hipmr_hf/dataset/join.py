"""Join pieces to the shards of a split, in order or at random."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..column_types.features import Features
from ..files import whole_file
from ..layout import DATA_FOLDER, shard_name
from ..progress.bars import progress_bar
from .parquet import MAX_SHARD_BYTES, check_not_empty, write_shard
from .row_order import check_can_be_shuffled, deal_rows, groups_in_memory, join_dealt

if TYPE_CHECKING:
    from .job import Told
    from .pool import Pool

RESULT, _DEALT = "result", "dealt"
_READ_ROWS, _READ_BYTES = 64, 2**26


def begin_result(work: Path) -> None:
    """Make the folder of the result, without what a run that was killed left there."""
    for left in (RESULT, _DEALT):
        shutil.rmtree(work / left, ignore_errors=True)
    (work / RESULT / DATA_FOLDER).mkdir(parents=True)


def write_shards(
    pool: Pool, work: Path, split: str, counts: dict[Path, int], num_shards: int | None, *, shuffle: bool
) -> None:
    """Write a split from its pieces.

    Args:
        pool: whose workers write.
        work: the folder that they share.
        split: its name.
        counts: the pieces in order, and the rows of each.
        num_shards: Parquet files; None for one for each 500 MB. Never more than rows.
        shuffle: put the rows into random order.
    """
    num_rows, size = sum(counts.values()), sum(path.stat().st_size for path in counts)
    check_not_empty(split, num_rows)
    num_shards = min(num_rows, num_shards or math.ceil(size / MAX_SHARD_BYTES))
    shards = [f"{RESULT}/{DATA_FOLDER}/{shard_name(split, i, num_shards)}" for i in range(num_shards)]
    if shuffle:
        check_can_be_shuffled(split, size, num_shards)
        _shuffle(pool, work, split, list(counts), shards)
        return
    pieces = {str(path.relative_to(work)): count for path, count in counts.items()}
    orders = [
        (_between(pieces, i * num_rows // num_shards, (i + 1) * num_rows // num_shards), shard)
        for i, shard in enumerate(shards)
    ]
    _all(pool.map(join_rows, orders), f"Joining {split}", len(orders))


def _between(pieces: dict[str, int], first: int, last: int) -> list[tuple[str, int, int]]:
    """Return which rows of which pieces are the rows from `first` to before `last` of all.

    Example:

        >>> _between({"a": 4, "b": 0, "c": 5}, 3, 7)
        [('a', 3, 4), ('c', 0, 3)]
    """
    found, before = [], 0
    for name, count in pieces.items():
        start, end = max(first - before, 0), min(last - before, count)
        if start < end:
            found.append((name, start, end))
        before += count
    return found


def _shuffle(pool: Pool, work: Path, split: str, pieces: list[Path], shards: list[str]) -> None:
    (work / _DEALT / split).mkdir(parents=True)
    groups = groups_in_memory(pieces)
    dealt = [f"{_DEALT}/{split}/{i:06d}.arrow" for i in range(len(groups))]
    deals = [
        ([str(path.relative_to(work)) for path in group], len(shards), name)
        for group, name in zip(groups, dealt, strict=True)
    ]
    _all(pool.map(deal_rows, deals), f"Dealing {split} out", len(deals))
    joins = [(dealt, i, shard) for i, shard in enumerate(shards)]
    _all(pool.map(join_dealt, joins), f"Joining {split}", len(joins))


def _all(results: Iterator[Any], what: str, count: int) -> None:
    for _ in progress_bar(results, what=what, unit="files", total=count):
        pass


def join_rows(told: Told, order: tuple[Sequence[tuple[str, int, int]], str]) -> None:
    """Write a shard from rows of pieces, in order.

    Args:
        told: names the folder and the settings.
        order: the pieces, each as (path in the shared folder, first row, row after the last), and the path of
            the shard there.
    """
    pieces, shard = order
    work = Path(told.work)
    features = Features.from_arrow_schema(pq.read_schema(work / pieces[0][0]))
    tables = (rows for name, first, last in pieces for rows in _rows_between(work / name, first, last))
    with whole_file(work / shard, once=True) as place:
        write_shard(tables, features, told.job.encryption, place, shard=Path(shard).name)


def _rows_at_once(path: Path, num_rows: int) -> int:
    mean = path.stat().st_size / max(1, num_rows)
    return max(1, min(_READ_ROWS, int(_READ_BYTES / max(1.0, mean))))


def _rows_between(path: Path, first: int, last: int) -> Iterator[pa.Table]:
    place = 0
    with pq.ParquetFile(path, pre_buffer=False) as file:  # else all that was read stays in memory
        for batch in file.iter_batches(batch_size=_rows_at_once(path, file.metadata.num_rows)):
            rows = batch.slice(
                max(0, first - place), max(0, min(last, place + len(batch)) - max(first, place))
            )
            place += len(batch)
            if len(rows):
                yield pa.Table.from_batches([rows]).replace_schema_metadata(None)
            if place >= last:
                return
