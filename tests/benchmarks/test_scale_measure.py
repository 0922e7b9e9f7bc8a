"""A whole run tells what its steps took; here it has four pictures."""

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.harness.photographs import jpeg_file, photographs, rows_of_files
from benchmarks.scale import measure


def test_a_run_tells_what_joining_and_searching_took(tmp_path):
    files = [jpeg_file(crop) for crop in photographs(2, 64, 64)]
    pq.write_table(pa.table(rows_of_files(files, 4)), tmp_path / "plain.parquet")
    (name, _, code, processes), *_ = measure.plan("processes")

    arguments = ["encrypt", "--num-proc", str(processes), "--image-size", "32", "--patch-size", "8"]
    told = measure.run(tmp_path / "plain.parquet", tmp_path / "out", code, arguments)

    assert name == "start" and told.keys() == {*("walk", "join", "card", "inspect", "own", "workers", "wall")}
    assert 0 < told["join"] < told["own"] and 0 < told["inspect"] < told["own"]
