"""Put the rows of a split into random order, however many they are: deal them out, then shuffle each shard.

Every order is as likely as any other. The randomness is the operating system's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..column_types.features import Features
from ..encryption.keys import WORD_BYTES, fresh_streams, permutations_from
from ..errors import InputValueError
from ..files import whole_file
from .parquet import write_shard

if TYPE_CHECKING:
    from .job import Told

_ENDS = b"hipmr"
# Rows that are put into random order at once, and the most that Arrow can move in one column.
_DEALT_BYTES, _MOST_SHUFFLED_BYTES = 256 * 2**20, 2**30


def check_can_be_shuffled(split: str, num_bytes: int, num_shards: int) -> None:
    """Refuse fewer shards than a split of this size needs to be shuffled in memory, shard by shard."""
    least = math.ceil(num_bytes / _MOST_SHUFFLED_BYTES)
    if num_shards < least:
        raise InputValueError(
            f"num_shards: got {num_shards} for {num_bytes} bytes of {split!r}, but of a shard only "
            f"{_MOST_SHUFFLED_BYTES} can be shuffled; give at least {least}, or none."
        )


def groups_in_memory(pieces: Sequence[Path]) -> list[list[Path]]:
    """Group consecutive files, so that the rows of a group can be held in memory."""
    groups: list[list[Path]] = []
    room = 0
    for path in pieces:
        size = path.stat().st_size
        if size > room:
            groups.append([])
            room = _DEALT_BYTES
        groups[-1].append(path)
        room -= size
    return groups


def deal_rows(told: Told, order: tuple[Sequence[str], int, str]) -> None:
    """Deal the rows of pieces out to shards at random: one file, in which a shard's rows lie together.

    Args:
        told: names the folder.
        order: paths of the pieces in it, the number of shards, and the path of the new file.
    """
    pieces, num_shards, dealt = order
    work = Path(told.work)
    table = pa.concat_tables(pq.read_table(work / name) for name in pieces)
    drawn = fresh_streams(1, WORD_BYTES * len(table)).view("<u8")[0] % num_shards
    ends = np.searchsorted(np.sort(drawn), np.arange(num_shards), side="right").tolist()
    table = table.take(pa.array(np.argsort(drawn, kind="stable")))
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), _ENDS: json.dumps(ends)})
    with (
        whole_file(work / dealt, once=True) as place,
        pa.OSFile(str(place), "wb") as file,
        pa.ipc.new_file(file, table.schema) as writer,
    ):
        writer.write_table(table)


def join_dealt(told: Told, order: tuple[Sequence[str], int, str]) -> None:
    """Write a shard from the rows that were dealt to it, in random order.

    Args:
        told: names the folder and the settings.
        order: paths of what `deal_rows` wrote, the number of the shard, and its path.
    """
    dealt, number, shard = order
    tables = []
    for name in dealt:
        table = pa.ipc.open_file(pa.memory_map(str(Path(told.work) / name))).read_all()
        ends = [0, *json.loads(table.schema.metadata[_ENDS])]
        tables.append(table.slice(ends[number], ends[number + 1] - ends[number]))
    features = Features.from_arrow_schema(tables[0].schema)
    table = pa.concat_tables([table.replace_schema_metadata(None) for table in tables])
    permutation = permutations_from(fresh_streams(1, WORD_BYTES * len(table)))[0]
    with whole_file(Path(told.work) / shard, once=True) as place:
        rows = [table.take(pa.array(permutation))] if len(table) else []
        write_shard(rows, features, told.job.encryption, place, shard=Path(shard).name)
