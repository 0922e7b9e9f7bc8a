"""What the tests of the commands share: small pictures, a run of `hipmr`, and what it leaves behind."""

from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow.parquet as pq

from hipmr_hf.cli import main

CANARY = "john_doe_canary"
RS = ("--image-size", "32", "--patch-size", "8")
MI = ("--strategy", "mi", "--patch-size", "8")


def picture(seed: int) -> PIL.Image.Image:
    return PIL.Image.fromarray(np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8))


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def rows_of(folder: Path, split: str = "train") -> list[dict]:
    paths = sorted((folder / "data").glob(f"{split}-*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def only_error(capsys) -> str:
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1, captured
    assert captured.err.startswith("hipmr: error: ")
    return captured.err


def last_line(capsys) -> str:
    """The error that ends a run which had begun to work, and so had said something."""
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("hipmr: error: ")
    return line
