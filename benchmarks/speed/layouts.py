"""Which division of the rows, into files and row groups, readers of encrypted Parquet files like best.

    python benchmarks/speed/run_all.py --only layouts

The same encrypted pictures, every one with bytes of its own, as `hipmr encrypt` divides them (row groups of
up to 1,000 rows) and in other ways. What is timed leaves the decoding of pictures out, which is the same for
all. One thread, processor time.
"""

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Image, IterableDataset, disable_progress_bars, load_dataset

from benchmarks.harness.photographs import photographs, rows_of_files
from benchmarks.harness.settings import SIDE, shuffling
from benchmarks.harness.timing import Row, interleaved, row
from hipmr_hf.images.writing import encode_image

ROWS = 1000
OURS = "one row group of 1,000 rows"
LAYOUTS = {  # rows of a row group, and of a file
    OURS: (ROWS, ROWS),
    "row groups of 100 rows": (100, ROWS),
    "row groups of 10 rows": (10, ROWS),
    "a file for each 100 rows": (100, 100),
}
READERS = {
    "a stream": lambda files, _: sum(1 for _ in stream(files)),
    "a stream's first row": lambda files, _: next(iter(stream(files))),
    "load_dataset, first time": lambda files, cache: load_dataset(
        "parquet", data_files=files, split="train", cache_dir=cache
    ),
}


def encrypted_table(rows: int) -> pa.Table:
    """Pictures of which no two have the same bytes, as JPEG."""
    encryption, plain = shuffling(), itertools.cycle(photographs(min(rows, 16), SIDE, SIDE))
    files = [encode_image(encryption(picture), "jpeg") for picture in itertools.islice(plain, rows)]
    return pa.table(rows_of_files(files, rows))


def write(table: pa.Table, layout: str, folder: Path) -> list[str]:
    """Write a table in one of the layouts, and return its files."""
    group, each = LAYOUTS[layout]
    folder.mkdir()
    files = []
    for start in range(0, len(table), each):
        files.append(str(folder / f"{start:06d}.parquet"))
        pq.write_table(table.slice(start, each), files[-1], row_group_size=group)
    return files


def stream(files: list[str]) -> IterableDataset:
    rows = load_dataset("parquet", data_files=files, split="train", streaming=True)
    return rows.cast_column("image", Image(decode=False))


def measure(quick: bool) -> list[Row]:
    """Read the rows in every layout, in three ways."""
    disable_progress_bars()
    table = encrypted_table(8 if quick else ROWS)
    with tempfile.TemporaryDirectory() as parent:
        folder, fresh = Path(parent), itertools.count()
        written = {layout: write(table, layout, folder / f"layout_{next(fresh)}") for layout in LAYOUTS}

        def call(reader: Callable, files: list[str]) -> Callable[[], object]:
            return lambda: reader(files, str(folder / f"cache_{next(fresh)}"))

        functions = {
            (name, layout): call(reader, files)
            for name, reader in READERS.items()
            for layout, files in written.items()
        }
        seconds = interleaved(functions, repeats=1 if quick else 5)
    return [table_row(name, layout, seconds, len(table)) for name, layout in functions]


def table_row(name: str, layout: str, seconds: dict, count: int) -> Row:
    """How fast one reader reads one layout, beside ours."""
    first = name.endswith("first row")
    options = {"amount": 1 if first else count, "unit": "starts/s" if first else "images/s"}
    against = None if layout == OURS else (OURS, seconds[name, OURS])
    return row(f"{name}, {layout}", seconds[name, layout], **options, against=against)
