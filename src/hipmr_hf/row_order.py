"""Put the rows of parquet files into random order, however many they are."""

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .keys import WORD_BYTES, fresh_streams, permutations_from

# What is held in memory at once.
_BUCKET_BYTES = 256 * 2**20


def in_random_order(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Write the rows of files to new files, every order being as likely as any other.

    Rows are dealt out to buckets at random, and each bucket is shuffled in memory. The randomness is the
    operating system's.

    Args:
        paths: parquet files of one schema.
        folder: a new folder for the result.

    Returns:
        The new files, to be read one after the other.

    Example:

        >>> import tempfile
        >>> parent = Path(tempfile.mkdtemp())
        >>> pq.write_table(pa.table({"row": range(100)}), parent / "ordered.parquet")
        >>> (shuffled,) = in_random_order([parent / "ordered.parquet"], parent / "shuffled")
        >>> rows = pq.read_table(shuffled).column("row").to_pylist()
        >>> rows != list(range(100)), sorted(rows) == list(range(100))
        (True, True)
    """
    folder.mkdir()
    size = sum(path.stat().st_size for path in paths)
    buckets = [folder / f"{i:05d}.parquet" for i in range(max(1, math.ceil(size / _BUCKET_BYTES)))]
    if not paths:
        return []
    _deal_out(paths, buckets)
    for bucket in buckets:
        table = pq.read_table(bucket)
        order = permutations_from(fresh_streams(1, WORD_BYTES * len(table)))[0]
        pq.write_table(table.take(pa.array(order)), bucket)
    return buckets


def _deal_out(paths: Sequence[Path], buckets: Sequence[Path]) -> None:
    schema = pq.read_schema(paths[0]).remove_metadata()
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(pq.ParquetWriter(bucket, schema)) for bucket in buckets]
        for path in paths:
            table = pq.read_table(path).cast(schema)
            words = fresh_streams(1, WORD_BYTES * len(table)).view("<u8")[0]
            drawn = words % len(buckets)
            for i, writer in enumerate(writers):
                writer.write_table(table.filter(pa.array(drawn == np.uint64(i))))
