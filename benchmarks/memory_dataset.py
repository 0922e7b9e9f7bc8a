"""Peak memory of encrypting a Parquet file, at a number of rows and at ten times as many.

    python benchmarks/memory_dataset.py

Each run is a process of its own: `hipmr encrypt`, or a stream of `datasets` that goes through
`encrypt_dataset`, as `reshard()` gives it or as it is.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from datasets import Dataset, Features, Image, Value, disable_progress_bars, load_dataset
from photographs import jpeg_files, photographs
from timing import Row, run_alone

from hipmr_hf import RandomShuffling, encrypt_dataset, save_encrypted_dataset

SHUFFLING = RandomShuffling(image_size=128)
# So many rows make more than all that is ever held at once: row groups of 32 MiB that are written and read,
# and the pieces of a file that are searched for leaks.
ROWS, GROUP_ROWS = 2_000, 250
COMMAND, RESHARDED, AS_IT_IS = "hipmr encrypt", "a stream, reshard()", "a stream as it is"


def write_plain(path: Path, rows: int) -> None:
    files = jpeg_files(photographs(8, 128, 128))
    features = Features({"image": Image(), "label": Value("int64")})
    images = [{"bytes": files[index % len(files)], "path": None} for index in range(rows)]
    plain = Dataset.from_dict({"image": images, "label": list(range(rows))}, features=features)
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


def peak_of_this_process() -> float:
    """Most memory this process held, in MB. `getrusage` would count that of the parent that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6


def peak(path: Path, how: str) -> float:
    """Encrypt a file in a fresh process and return its peak in MB."""
    command = [sys.executable, __file__, "--encrypt", str(path), "--how", how]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def line(how: str, rows: int, found: float, against: tuple[str, float] | None = None) -> Row:
    told = {"what": f"peak memory, {how}, {rows} rows", "unit": "MB", "rate": [found] * 3, "rounds": 1}
    if against is not None:
        told |= {"against": against[0], "ratio": [found / against[1]] * 3}
    return told


def measure(quick: bool) -> list[Row]:
    """Encrypt once and ten times the rows."""
    if not Path("/proc/self/status").exists():
        return [{"what": "peak memory of encrypting", "skipped": "this system has no /proc"}]
    disable_progress_bars()
    rows = 40 if quick else ROWS
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        once, more = Path(folder) / "once.parquet", Path(folder) / "more.parquet"
        write_plain(once, rows)
        write_plain(more, 10 * rows)
        for how in (COMMAND, RESHARDED):
            few, many = peak(once, how), peak(more, how)
            lines.append(line(how, rows, few))
            told = line(how, 10 * rows, many, (f"{rows} rows", few)) | {"aim": 1.05, "at_most": True}
            lines.append(told)
        lines.append(line(AS_IT_IS, 10 * rows, peak(more, AS_IT_IS), ("the same, reshard()", many)))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--encrypt", type=Path)
    parser.add_argument("--how", choices=(COMMAND, RESHARDED, AS_IT_IS))
    args, _ = parser.parse_known_args()
    if args.encrypt is None:
        run_alone("memory", __doc__, measure)
    else:
        encrypt(args.encrypt, args.how)
        print(peak_of_this_process())


if __name__ == "__main__":
    main()
