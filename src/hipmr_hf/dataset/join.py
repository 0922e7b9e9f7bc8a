"""Join pieces to the shards of a split, in order or at random."""

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from ..layout import DATA_FOLDER, shard_name
from .parquet import MAX_SHARD_BYTES, check_not_empty
from .pieces import join_rows
from .pool import Pool
from .row_order import check_can_be_shuffled, deal_rows, groups_in_memory, join_dealt

RESULT, _DEALT = "result", "dealt"


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
    for _ in tqdm(results, desc=what, unit=" files", disable=None, total=count):
        pass
