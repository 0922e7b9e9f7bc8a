"""What a worker does with parts of a source: count and encrypt them, and look for leaks.

Workers share a folder and are told numbers. Whatever comes of them is a file that appears whole, and once:
work that was begun twice, because a machine was given up too early, changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..column_types.tables import table_of
from ..files import whole_file
from .job import Told, keys_of, opened
from .parts import Part, batches_of, num_parts
from .rows import DROPPED_BOXES_COLUMN, ROW_NUMBER_COLUMN, RowEncryption

if TYPE_CHECKING:
    from ..encryption.keys import SecretKey

_NOTES = b"hipmr"
_PIECES = "pieces"
# Pieces are read once, soon, and then go away; their pictures are compressed already.
_AS_IT_IS: dict[str, Any] = {"compression": "none", "use_dictionary": False, "write_statistics": False}


def piece_path(work: Path, part: Part) -> Path:
    """Return where the encrypted rows of a part lie; names sort as the rows do.

    Example:

        >>> piece_path(Path("work"), Part("train", 3, 12)).as_posix()
        'work/pieces/train/000003-00000012.parquet'
    """
    return work / _PIECES / part.split / f"{part.file:06d}-{part.number:08d}.parquet"


def notes_of(piece: Path) -> dict[str, Any] | None:
    """Read what `encrypt_part` noted in a piece; None, and it is removed, if it is torn or not there."""
    try:
        return json.loads(pq.read_metadata(piece).metadata[_NOTES])
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError):
        piece.unlink(missing_ok=True)
        return None


def count_parts(told: Told, file: tuple[str, int]) -> int:
    """Return the number of parts that a file of a split of the source has."""
    return num_parts(opened(told).source, *file)


def encrypt_part(told: Told, part: Part) -> dict[str, Any]:
    """Read, encrypt and write a part, so that plain rows never leave this process.

    Returns:
        Notes: "rows" read, "written", those "skipped" as (number in the part, reason), objects "dropped".

    Raises:
        RowEncryptionError: a picture cannot be encrypted; its row is counted in the part.
        DamagedSourceError: the part cannot be read.
    """
    job, path = opened(told), piece_path(Path(told.work), part)
    function, features = job.functions[part.split]
    if (done := notes_of(path)) is not None:
        return done
    path.parent.mkdir(parents=True, exist_ok=True)
    notes = {"rows": 0, "written": 0, "skipped": [], "dropped": 0}
    schema = features.arrow_schema
    with whole_file(path, once=True) as place, pq.ParquetWriter(place, schema, **_AS_IT_IS) as writer:
        for batch in batches_of(job.source, part, function.source_columns):
            columns = _encrypt_batch(function, batch, notes)
            writer.write_table(table_of(columns, features))
        writer.add_key_value_metadata({_NOTES: json.dumps(notes)})
    return notes


def _encrypt_batch(
    function: RowEncryption, batch: dict[str, list[Any]], notes: dict[str, Any]
) -> dict[str, list[Any]]:
    count = len(batch[function.image_column])
    numbers = range(notes["rows"], notes["rows"] + count)
    columns, refused = function.encrypt(batch, numbers)
    notes["written"] += len(columns.pop(ROW_NUMBER_COLUMN))
    notes["dropped"] += sum(columns.pop(DROPPED_BOXES_COLUMN))
    notes["skipped"] += refused
    notes["rows"] += count
    return columns


def look_for_leaks(told: Told, order: tuple[Callable[[Any, Sequence[SecretKey]], Any], Any]) -> Any:
    """Look into one item of a finished folder, with the key that must not be in it."""
    function, item = order
    return function(item, keys_of(told))
