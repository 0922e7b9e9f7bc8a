"""Rows of many bytes are read a few at a time, however a file stores them."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hipmr_hf.dataset.sources import splits

ROW_BYTES = 4 * 2**20


@pytest.mark.parametrize("repeated", [True, False])
def test_few_large_rows_are_read_together(tmp_path, repeated):
    one = os.urandom(ROW_BYTES)
    rows = [{"bytes": one if repeated else os.urandom(ROW_BYTES), "path": None} for _ in range(24)]
    schema = pa.schema([("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))])
    pq.write_table(pa.table({"image": rows}, schema=schema), tmp_path / "a.parquet", compression="none")
    rows_of_file = splits.ParquetSplit([tmp_path / "a.parquet"], "image")
    counts = [len(batch["image"]) for batch in rows_of_file.batches(0, 0, ["image"])]
    assert sum(counts) == 24
    assert max(counts) * ROW_BYTES <= splits._BATCH_BYTES
