"""Peak memory of encrypting a streamed dataset, at a number of rows and at ten times as many.

    python benchmarks/memory_dataset.py

Each run is a process of its own that reads a plain Parquet file row by row and writes encrypted Parquet.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from datasets import Dataset, Features, Image, Value, disable_progress_bars, load_dataset
from photographs import jpeg_files, photographs
from timing import Row, run_alone

from hipmr_hf import RandomShuffling, encrypt_dataset, save_encrypted_dataset

SHUFFLING = RandomShuffling(image_size=64, patch_size=8)
REASON = (
    "reading alone grows as much: the stream of `datasets` without any encryption went from 437 to 534 MB "
    "over such files, while Arrow itself held 12 MB at most; what holds the rest has not been found"
)
# More than one row group of the output, which is what waits in memory.
ROWS = 2_000


def write_plain(path: Path, rows: int) -> None:
    files = jpeg_files(photographs(8, 72, 72))
    features = Features({"image": Image(), "label": Value("int64")})
    images = [{"bytes": files[index % len(files)], "path": None} for index in range(rows)]
    plain = Dataset.from_dict({"image": images, "label": list(range(rows))}, features=features)
    # A reader holds a whole row group. `datasets` would write all of so small a file as one.
    plain.to_parquet(path, batch_size=500)


def encrypt(path: Path) -> float:
    """Encrypt a file and return the peak of this process in MB."""
    with tempfile.TemporaryDirectory() as folder:
        plain = load_dataset("parquet", data_files=str(path), split="train", streaming=True)
        save_encrypted_dataset(encrypt_dataset(plain, SHUFFLING), SHUFFLING, Path(folder) / "encrypted")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def measure(quick: bool) -> list[Row]:
    """Encrypt once and ten times the rows, each in a fresh process."""
    disable_progress_bars()
    rows = 40 if quick else ROWS
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for factor in (1, 10):
            path = Path(folder) / f"{factor}.parquet"
            write_plain(path, rows * factor)
            command = [sys.executable, __file__, "--encrypt", str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            peaks.append(float(done.stdout.split()[-1]))
    what = "peak memory of streaming"
    few = {"what": f"{what}, {rows} rows", "unit": "MB", "rate": [peaks[0]] * 3, "rounds": 1}
    many = {"what": f"{what}, {10 * rows} rows", "unit": "MB", "rate": [peaks[1]] * 3, "rounds": 1}
    many |= {"against": f"{rows} rows", "ratio": [peaks[1] / peaks[0]] * 3, "aim": 1.05, "at_most": True}
    many["reason"] = REASON
    return [few, many]


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--encrypt", type=Path)
    args, _ = parser.parse_known_args()
    if args.encrypt is None:
        run_alone("memory", __doc__, measure)
    else:
        print(encrypt(args.encrypt))


if __name__ == "__main__":
    main()
