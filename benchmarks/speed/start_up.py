"""How long a command takes from the shell until it ends, with a single picture.

    python benchmarks/speed/run_all.py --only start_up

Processor time of a process of its own, which is what a user waits on an idle machine; beside it the import of
`datasets`, which a command on Parquet files and folders does without.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness.photographs import jpeg_file, photographs
from benchmarks.harness.timing import Row, quartiles

AIM = 0.6
REASON = "numpy, Pillow and Arrow's Parquet, which encrypting cannot do without, take half of it, timed apart"
OTHERS = {"python -c pass": "pass", "python -c 'import datasets'": "import datasets"}


def commands(picture: Path, folder: Path) -> dict[str, list[str]]:
    """Return what is run, by name; the output gets a new name each time."""
    python = [sys.executable, "-c"]
    found = {name: [*python, code] for name, code in OTHERS.items()}
    run = "import sys; from hipmr_hf.cli import main; sys.exit(main(sys.argv[1:]))"
    hipmr = [*python, run]
    found["hipmr encrypt, one picture"] = [*hipmr, "encrypt", str(picture), "--output-dir", str(folder)]
    found["hipmr leaks, its result"] = [*hipmr, "leaks", str(folder)]
    found["hipmr presets"] = [*hipmr, "presets"]
    found["hipmr encrypt --help"] = [*hipmr, "encrypt", "--help"]
    return found


def processor_seconds(command: Sequence[str]) -> float:
    """Run a command, and return the processor seconds that it took, of all its processes."""
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    before = os.times()
    subprocess.run(command, check=True, env=_as_installed(), **silent)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def _as_installed() -> dict[str, str]:
    """Let Python keep compiled modules, as pip leaves them, where this environment forbids it."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def measure(quick: bool) -> list[Row]:
    """Run all commands in turns, each in a new process."""
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="hipmr-start-") as place:
        picture = Path(place) / "picture.jpg"
        picture.write_bytes(jpeg_file(next(iter(photographs(1)))))
        for number in range(2 if quick else 6):
            for name, command in commands(picture, Path(place) / f"out{number}").items():
                taken = processor_seconds(command)
                if number:  # the first compiles modules and fills the system's cache
                    seconds.setdefault(name, []).append(taken)
    return [line(name, seconds) for name in seconds]


def line(name: str, seconds: dict[str, list[float]]) -> Row:
    """Make a line of the table, in seconds and beside the import of `datasets`."""
    told: Row = {"what": name, "unit": "s", "rate": quartiles(seconds[name]), "rounds": len(seconds[name])}
    other = "python -c 'import datasets'"
    if name not in OTHERS:
        pairs = zip(seconds[name], seconds[other], strict=True)
        told |= {"against": other, "ratio": quartiles([own / its for own, its in pairs])}
    if name == "hipmr encrypt, one picture":
        told |= {"aim": AIM, "at_most": True, "absolute": True, "reason": REASON}
    return told
