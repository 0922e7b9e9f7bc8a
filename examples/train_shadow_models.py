"""Train shadow models of a classifier, for an audit of what its checkpoint tells of its training rows.

Each shadow model is trained as the audited one was, on a random half of the rows that it was trained on and
of those that it never saw; so each row is in half of the trainings. Only encrypted rows are read:

    python examples/train_shadow_models.py --dataset_name outputs/digits_rs --output_dir outputs/shadows \
        --num_shadows 4 -- --do_train --model_size tiny --num_train_epochs 20 --learning_rate 1e-3
    hipmr audit outputs/digits_rs --checkpoint outputs/pevit --shadows outputs/shadows --output-dir audit

What stands behind `--` goes to the training script as it is: give what the audited model was trained with.
Take `--script run_image_classification_dp.py` for one with differential privacy. A run that was stopped goes
on with the shadow models that are missing. Costs: one training for each, on about half of the rows.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from datasets import Dataset, Image, concatenate_datasets

from hipmr_hf.attacks.shadow_rows import ROWS_FILE, deal_rows, row_name, save_rows
from hipmr_hf.errors import UserError
from hipmr_hf.layout import DATA_FOLDER, shard_name
from hipmr_hf.training.script import parse_arguments, run_script
from hipmr_hf.training.splits import load_encryption, load_splits


@dataclass
class Arguments:
    dataset_name: str = field(metadata={"help": "Folder or Hub repository of the encrypted dataset."})
    output_dir: Path = field(metadata={"help": "Where the shadow models go, a folder each."})
    num_shadows: int = field(default=4, metadata={"help": "At least four for an audit; more find more."})
    label_column: str = "label"
    train_split: str = field(default="train", metadata={"help": "The rows that the audited model saw."})
    eval_split: str = field(default="test", metadata={"help": "Rows that it did not see."})
    script: str = field(default="run_image_classification.py", metadata={"help": "Beside this one."})
    seed: int = field(default=0, metadata={"help": "Of the dealing of rows."})


def load_rows(args: Arguments) -> Dataset:
    """All rows as they are stored; labels become classes once, so that every half knows all of them."""
    splits = load_splits(
        args.dataset_name,
        train_split=args.train_split,
        eval_split=args.eval_split,
        label_column=args.label_column,
    )
    columns = ["image", args.label_column]
    rows = concatenate_datasets([split.select_columns(columns) for split in splits])
    return rows.cast_column("image", Image(decode=False))


def write_halves(args: Arguments, rows: Dataset, seen: np.ndarray, folder: Path) -> None:
    """Write what a shadow model trains and is evaluated on, as an encrypted dataset of its own."""
    halves = {args.train_split: np.flatnonzero(seen), args.eval_split: np.flatnonzero(~seen)}
    for split, chosen in halves.items():
        half = rows.select(chosen).cast_column("image", Image())
        path = folder / DATA_FOLDER / shard_name(split, 0, 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        half.to_parquet(path)
    load_encryption(args.dataset_name).save_pretrained(folder)


def train(args: Arguments, number: int, data: Path, recipe: list[str]) -> None:
    """Run the training script in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name(args.script)), "--dataset_name", str(data)]
    command += ["--output_dir", str(args.output_dir / f"shadow_{number}"), "--seed", str(number)]
    command += ["--label_column", args.label_column, *recipe]
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise UserError(f"shadow model {number}: {args.script} ended with {done.returncode}, as told above.")


def main(args: Arguments, recipe: list[str]) -> None:
    rows = load_rows(args)
    names = [row_name(row["image"]["bytes"]) for row in rows.select_columns("image")]
    dealt = deal_rows(len(rows), args.num_shadows, args.seed)
    for number, seen in enumerate(dealt):
        folder = args.output_dir / f"shadow_{number}"
        if (folder / ROWS_FILE).exists():
            continue
        data = args.output_dir / f".rows_{number}"
        shutil.rmtree(data, ignore_errors=True)
        write_halves(args, rows, seen, data)
        train(args, number, data, recipe)
        shutil.rmtree(data)
        save_rows(folder, (name for name, kept in zip(names, seen, strict=True) if kept))
        print(f"Shadow model {number + 1} of {args.num_shadows}: {folder}")


def read_command(words: list[str]) -> tuple[Arguments, list[str]]:
    """What is meant for this script, and behind `--` the recipe."""
    cut = words.index("--") if "--" in words else len(words)
    (args,) = parse_arguments({"shadow models": Arguments}, words[:cut])
    return args, words[cut + 1 :]


if __name__ == "__main__":
    run_script(lambda: main(*read_command(sys.argv[1:])))
