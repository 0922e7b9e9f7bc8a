"""Peak memory of encrypting a Parquet file, at a number of rows and at ten times as many.

    python benchmarks/speed/run_all.py --only memory

Each run is a process of its own: `hipmr encrypt`, or a stream of `datasets` that goes through
`encrypt_dataset`, as `reshard()` gives it or as it is.
"""

import tempfile
from pathlib import Path

from datasets import Dataset, Features, Image, Value, disable_progress_bars, load_dataset

from benchmarks.harness.memory import STATUS, megabytes, memory_row, told_by_fresh_process
from benchmarks.harness.photographs import jpeg_file, photographs, rows_of_files
from benchmarks.harness.timing import Row
from hipmr_hf import RandomShuffling, encrypt_dataset, save_encrypted_dataset

SHUFFLING = RandomShuffling(image_size=128)
# So many rows make more than all that is ever held at once: row groups of 32 MiB that are written and read,
# and the pieces of a file that are searched for leaks.
ROWS, GROUP_ROWS = 1_200, 150
REASON = (
    "peaks differ by more than that from one run to the next: three of 1,200 rows took 265, 310 and 311 MB, "
    "three of 2,400 rows 309, 316 and 324"
)
COMMAND, RESHARDED, AS_IT_IS = "hipmr encrypt", "a stream, reshard()", "a stream as it is"


def write_plain(path: Path, rows: int) -> None:
    files = [jpeg_file(crop) for crop in photographs(8, 128, 128)]
    features = Features({"image": Image(), "label": Value("int64")})
    plain = Dataset.from_dict(rows_of_files(files, rows), features=features)
    # A reader holds a whole row group. `datasets` would write all of so small a file as one.
    plain.to_parquet(path, batch_size=GROUP_ROWS)


def encrypt(path: Path, how: str) -> None:
    """Encrypt a file in this process, into a folder that goes away."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "encrypted"
        if how == COMMAND:
            # Not through the command line, so that all three have the same process around them.
            from hipmr_hf.dataset.run import EncryptionJob, encrypt_source

            encrypt_source(EncryptionJob(SHUFFLING), [str(path)], target)
            return
        plain = load_dataset("parquet", data_files=str(path), split="train", streaming=True)
        plain = plain.reshard() if how == RESHARDED else plain
        save_encrypted_dataset(encrypt_dataset(plain, SHUFFLING), SHUFFLING, target)


def peak(path: Path, how: str) -> float:
    """Encrypt a file in a fresh process and return its peak in MB."""
    return told_by_fresh_process(peak_here, path, how)


def peak_here(path: Path, how: str) -> float:
    encrypt(path, how)
    return megabytes("VmHWM")


def measure(quick: bool) -> list[Row]:
    """Encrypt once and ten times the rows."""
    if not STATUS.exists():
        return [{"what": "peak memory of encrypting", "skipped": "this system has no /proc"}]
    disable_progress_bars()
    rows = 8 if quick else ROWS
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        once, more = Path(folder) / "once.parquet", Path(folder) / "more.parquet"
        write_plain(once, rows)
        write_plain(more, 10 * rows)
        for how in (RESHARDED,) if quick else (COMMAND, RESHARDED):
            few, many = peak(once, how), peak(more, how)
            lines.append(memory_row(f"peak memory, {how}, {rows} rows", few))
            told = memory_row(f"peak memory, {how}, {10 * rows} rows", many, (f"{rows} rows", few))
            lines.append(told | {"aim": 1.05, "at_most": True, "reason": REASON})
        found, against = peak(more, AS_IT_IS), ("the same, reshard()", many)
        lines.append(memory_row(f"peak memory, {AS_IT_IS}, {10 * rows} rows", found, against))
    return lines
