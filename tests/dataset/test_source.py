import dataclasses
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hipmr_hf.dataset.source import open_source

GROUPS, GROUP_ROWS, ROW_BYTES = 60, 20, 10_000


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    """Two Parquet files, of 60 row groups of 200 kB each, and one without rows between them."""
    folder, generator = tmp_path_factory.mktemp("plain"), np.random.default_rng(0)
    schema = pa.schema({"image": pa.binary(), "label": pa.int64()})
    for name, groups in (("a", GROUPS), ("b", 0), ("c", GROUPS)):
        with pq.ParquetWriter(folder / f"{name}.parquet", schema, use_dictionary=False) as writer:
            for _ in range(groups):
                labels = generator.integers(0, 1000, GROUP_ROWS)
                images = [generator.bytes(ROW_BYTES) for _ in labels]
                writer.write_table(pa.table({"image": images, "label": labels}, schema=schema))
    return [str(path) for path in sorted(Path(folder).iterdir())]


def labels_of(stream) -> list[int]:
    return [row["label"] for row in stream.select_columns(["label"])]


def test_small_parts_hold_the_same_rows_in_the_same_order(files):
    with open_source(files) as plain:
        small = plain.with_small_parts()
        parts, whole = small.splits["train"], plain.splits["train"]
        assert small.num_rows == {"train": 2 * GROUPS * GROUP_ROWS}
        assert parts.num_shards == 2 * GROUPS and whole.num_shards == 3
        assert labels_of(parts) == labels_of(whole)
        assert labels_of(parts.skip(1234)) == labels_of(whole.skip(1234))


def test_no_file_is_read_ahead_of_slow_work(files):
    before = pa.total_allocated_bytes()
    with open_source(files) as plain:
        stream = plain.with_small_parts().splits["train"].with_format("arrow")
        for number, _ in enumerate(stream.iter(batch_size=GROUP_ROWS)):
            time.sleep(0.01)
            held = pa.total_allocated_bytes() - before
            assert held < 5 * GROUP_ROWS * ROW_BYTES, f"{held} bytes after {number} row groups"


def test_a_source_on_the_hub_stays_as_it_is(files):
    with open_source(files) as plain:
        remote = dataclasses.replace(plain, parquet_files=())
        assert remote.with_small_parts() is remote


@pytest.mark.parametrize("place", [0, 1])
def test_a_parquet_file_that_was_cut_off_is_named(place, files, tmp_path):
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(Path(files[0]).read_bytes()[:100_000])
    named = [files[0], files[2]]
    named.insert(place, str(cut))
    message = rf"source: {cut} cannot be read \(.*mend or replace"
    with pytest.raises(ValueError, match=message), open_source(named) as plain:
        plain.with_small_parts()
