"""What the presets cost on blood cells: BCCD's boxes cut out, three classes, balanced accuracy.

    python benchmarks/accuracy/cells.py --data_dir ../shared/data --seeds 0 1 2

Cuts every box of BCCD's smears out as a square with a margin, resizes it to 64x64 pixels, and trains the
models of `presets.py` (patches of 8, the same size, budget and augmentation in every row) to tell red cells,
white cells and platelets apart. Most cells are red, so what counts is balanced accuracy: the mean over the
classes of the share that is told rightly. The cells of the 205 training smears are trained on and those of
the 72 test smears evaluated; `--validation` evaluates on the 87 validation smears. Results go to
`benchmarks/results/cells_accuracy.json` as they come, and the table to docs/results.md.
"""

import argparse
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from datasets import Dataset, Features, Image, IterableDataset, disable_progress_bars, load_dataset
from PIL import Image as PILImage
from sklearn.metrics import balanced_accuracy_score, recall_score

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.accuracy import eurosat, presets
from benchmarks.accuracy.eurosat import Setting, classification_arguments
from benchmarks.harness import trainings
from benchmarks.harness.pages import publish
from benchmarks.harness.results_file import load_results
from benchmarks.harness.tables import mean_and_deviation, table

MARK = "cells_accuracy"
SIDE, MARGIN = 64, 0.2
SPLITS = ("train", "val", "test")
NAMES = [
    "plain; linear",
    "plain; invariant",
    "RS+MI interval 4, symmetries, tones apart; invariant",
    "RS+MI interval 2, symmetries, tones apart; invariant",
    "MI, symmetries, tones apart; invariant",
    "RS, symmetries; invariant",
    "RS; linear",
    "MI; nonlinear",
    "RS+MI grid 4, symmetries, normalization; invariant",
]
"""Plain pictures by both embeddings, and every preset."""
SETTINGS = {setting.name: setting for setting in presets.SETTINGS if setting.name in NAMES}


def parse_arguments() -> argparse.Namespace:
    return classification_arguments(__doc__, MARK, "cells", 12, "the cells of the validation smears")


def cut_out(smear: PILImage.Image, box: list[float]) -> PILImage.Image:
    """Cut the square around a box (x, y, width, height) out, moved to where it lies inside the smear."""
    x, y, width, height = box
    side = min((1 + MARGIN) * max(width, height), *smear.size)
    left = np.clip(x + width / 2 - side / 2, 0, smear.width - side)
    top = np.clip(y + height / 2 - side / 2, 0, smear.height - side)
    square = (left, top, left + side, top + side)
    return smear.resize((SIDE, SIDE), PILImage.Resampling.BICUBIC, box=square)


def cells_of(smears: IterableDataset) -> Iterator[dict]:
    for row in smears:
        smear = row["image"].convert("RGB")
        for box, category in zip(row["objects"]["bbox"], row["objects"]["category"], strict=True):
            yield {"image": cut_out(smear, box), "label": category}


def prepare_data(args: argparse.Namespace) -> dict[str, str]:
    """Write the plain cells once; returns the file of each split."""
    folder = args.output_dir / "data" / "plain" / "data"
    files = {split: folder / f"{split}-00000-of-00001.parquet" for split in SPLITS}
    for split, file in files.items():
        if not file.exists():
            source = args.data_dir / f"bccd_{split}.parquet"
            smears = load_dataset("parquet", data_files=str(source), streaming=True)["train"]
            label = smears.features["objects"]["category"].feature
            features = Features({"image": Image(), "label": label})
            Dataset.from_list(list(cells_of(smears)), features=features).to_parquet(file)
    presets.LIKE_PLAIN.save_pretrained(args.output_dir / "data" / "plain")
    return {split: str(file) for split, file in files.items()}


def options_of(setting: Setting, seed: int, cells: int, args: argparse.Namespace) -> dict:
    """Return the arguments of one training, the same for every setting but for its own."""
    options = eurosat.options_of(setting, seed, args, cells)
    options.pop("validation_size", None)  # whole smears are left out for that
    return options | {"eval_split": "val" if args.validation else "test"}


def train(args: argparse.Namespace, files: dict[str, str], name: str, seed: int) -> dict:
    """Train one classifier, and tell the cells that it was not trained on."""
    setting = SETTINGS[name]
    if setting.encryption is not None:
        trainings.encrypt_once(files, setting.encryption, args.output_dir / "data" / setting.data)
    count = pq.read_metadata(files["train"]).num_rows
    options = options_of(setting, seed, count, args)
    metrics, history = trainings.run_example("run_image_classification.py", options, args.extra)
    truth, answers, classes = answers_of(options)
    recalls = recall_score(truth, answers, labels=range(len(classes)), average=None)
    return {
        "setting": name,
        "seed": seed,
        "epochs": args.epochs,
        "learning_rate": args.learning_rate,
        "extra": args.extra,
        "evaluated_on": options["eval_split"],
        "cells": {"train": count, "evaluated": len(truth)},
        "balanced_accuracy": float(balanced_accuracy_score(truth, answers)),
        "recalls": dict(zip(classes, map(float, recalls), strict=True)),
        "accuracy": metrics["eval_accuracy"],
        "train_seconds": metrics["train_runtime"],
        "num_parameters": metrics["num_parameters"],
        "curve": trainings.curve(history, "eval_accuracy"),
    }


def answers_of(options: dict) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Ask a trained checkpoint for the class of every cell that it is evaluated on."""
    import torch
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    import hipmr_hf  # noqa: F401  registers PEViT

    folder = options["output_dir"]
    model = AutoModelForImageClassification.from_pretrained(folder).eval()
    processor = AutoImageProcessor.from_pretrained(folder)
    rows = load_dataset(str(options["dataset_name"]), split=options["eval_split"])
    answers = []
    with torch.inference_mode():
        for batch in rows.iter(250):
            answers.append(model(**processor(batch["image"], return_tensors="pt")).logits.argmax(-1).numpy())
    return np.asarray(rows["label"]), np.concatenate(answers), rows.features["label"].names


def rendered(results: list[dict]) -> str:
    """Render the mean and the spread over the seeds that were trained."""
    rows = []
    for name in NAMES:
        runs = [run for run in results if run["setting"] == name]
        if runs:
            scores = mean_and_deviation([100 * run["balanced_accuracy"] for run in runs], 1)
            recalls = [
                mean_and_deviation([100 * run["recalls"][one] for run in runs], 1)
                for one in runs[0]["recalls"]
            ]
            rows.append([*name.split("; "), scores, *recalls, len(runs), f"{runs[0]['num_parameters']:,}"])
            classes = list(runs[0]["recalls"])
    if not rows:
        return "No row is stored yet."
    return table(
        ["pictures", "patch embedding", "balanced accuracy, %", *classes, "seeds", "parameters"], rows
    )


def main() -> None:
    args = parse_arguments()
    disable_progress_bars()
    if not args.report:
        files = prepare_data(args)
        names = [name for name in NAMES if not args.only or name in args.only]
        trainings.train_missing(args, names, functools.partial(train, args, files), "balanced_accuracy")
    publish(MARK, rendered(load_results(args.results)), args.results)


if __name__ == "__main__":
    main()
