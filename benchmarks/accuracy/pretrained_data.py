"""Small pictures for the table of pre-trained weights: EuroSAT's tiles, or the cells of BCCD's smears."""

import argparse
from pathlib import Path

import numpy as np
from datasets import Dataset, Features, Image, load_dataset

from benchmarks.accuracy.cells import cells_of
from benchmarks.harness import trainings

Pictures = tuple[list[np.ndarray], np.ndarray]
"""Pictures of any size, uint8 (height, width, 3) each, and their classes."""
_TENTH = 0.1


def load_pictures(args: argparse.Namespace) -> dict[str, Pictures]:
    """Draw the rows: `train` and `public` share none, `test` is from a file of its own.

    With `--validation`, `test` is drawn from the training file too, among rows that are in no other part.

    Args:
        args: of `pretrained.py`.

    Returns:
        Parts by name; the public one is also written to `public_file(args)`, for the adaptation.
    """
    rows = {split: part.shuffle(seed=0) for split, part in _rows(args).items()}
    held = round(_TENTH * len(rows["train"]))  # what --validation is evaluated on
    wanted = {"train": args.train, "public": args.public}
    parts, start = {}, held
    for name, count in wanted.items():
        parts[name] = rows["train"].select(range(start, min(start + count, len(rows["train"]))))
        start += count
    other = rows["train"].select(range(held)) if args.validation else rows["test"]
    parts["test"] = other.select(range(min(args.test, len(other))))
    if not public_file(args).exists():
        public_file(args).parent.mkdir(parents=True, exist_ok=True)
        parts["public"].select_columns(["image"]).to_parquet(str(public_file(args)))
    return {
        name: ([np.asarray(image.convert("RGB")) for image in part["image"]], np.array(part["label"]))
        for name, part in parts.items()
    }


def public_file(args: argparse.Namespace) -> Path:
    """Where the pictures lie that play public ones."""
    return args.output_dir / f"public_{args.data}_{args.train}_{args.public}.parquet"


def _rows(args: argparse.Namespace) -> dict[str, Dataset]:
    if args.data == "eurosat":
        files = trainings.parquet_files(args.data_dir, trainings.EUROSAT)
        return {
            split: load_dataset("parquet", data_files=file, split="train") for split, file in files.items()
        }
    found = {}
    for split in ("train", "test"):
        source = str(args.data_dir / f"bccd_{split}.parquet")
        smears = load_dataset("parquet", data_files=source, streaming=True)["train"]
        label = smears.features["objects"]["category"].feature
        found[split] = Dataset.from_list(list(cells_of(smears)), Features({"image": Image(), "label": label}))
    return found
