"""What the presets and the settings beside them cost in accuracy on EuroSAT, with the embedding that fits.

    python benchmarks/accuracy/presets.py --data_dir ../shared/data --seeds 0 1 2

As `eurosat.py`, whose parts it is made of: one model size, budget and augmentation for every row. What
differs is the encryption and the patch embedding, which is "invariant" for turned patches and tones apart,
and stands beside "linear" and "nonlinear" on plain pictures, RS and MI as well, so that no row is flattered.
Plain pictures are seen by the same PEViT, with absolute positions. Results go to
`benchmarks/results/presets_accuracy.json` as they come, and the table to docs/results.md.
"""

import argparse
import functools
import sys
from pathlib import Path

from datasets import disable_progress_bars

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.accuracy.eurosat import TENTH, Setting, classification_arguments, options_of, prepare_data
from benchmarks.harness import trainings
from benchmarks.harness.pages import publish
from benchmarks.harness.results_file import load_results
from benchmarks.harness.settings import BOTH, TONES_APART, mixing, shuffling
from benchmarks.harness.tables import mean_and_deviation, table
from hipmr_hf import Encryption, RandomShuffling

MARK = "presets_accuracy"
TURNED = {"sub_patch_symmetries": True}
MIXED_APART = {**TONES_APART, "sub_patch_grid": 2}
SMALL = {"image_size": 64, "patch_size": 8}


def _rs(**knobs) -> RandomShuffling:
    return shuffling(**SMALL, **knobs)


RS = _rs()

# Pictures that are mixed by these settings are as large as the plain ones, and so are their patches: a PEViT
# for the ones is a PEViT for the others.
LIKE_PLAIN = mixing(image_size=128, patch_size=16)


def row(name: str, encryption: Encryption | None, patch_embedding: str) -> Setting:
    """Make a row of a PEViT with this patch embedding, with positions where patches keep their places."""
    positions = "none" if encryption is not None and encryption.strategy == "rs" else "absolute"
    data = "".join(letter if letter.isalnum() else "_" for letter in name)
    arguments = {"patch_embedding": patch_embedding, "position_encoding": positions}
    return Setting(f"{name}; {patch_embedding}", data, encryption, arguments)


SETTINGS = [
    row("plain", None, "linear"),
    row("RS+MI interval 2, symmetries, tones apart", _rs(**MIXED_APART, interval=2), "invariant"),
    row("RS+MI, symmetries, tones apart", _rs(**MIXED_APART), "invariant"),
    row("MI, symmetries, tones apart", mixing(**SMALL, **TONES_APART), "invariant"),
    row("RS", RS, "linear"),
    row("RS interval 2, symmetries, tones apart", _rs(**TONES_APART, interval=2), "invariant"),
    row("RS+MI grid 4, symmetries, tones apart", _rs(**TONES_APART, sub_patch_grid=4), "invariant"),
    row("plain", None, "invariant"),
    row("RS, symmetries", _rs(**TURNED), "invariant"),
    row("MI", mixing(**SMALL), "nonlinear"),
    row("RS+MI grid 4, symmetries, normalization", _rs(**BOTH, sub_patch_grid=4), "invariant"),
    row("RS", RS, "invariant"),
    row("RS+MI, symmetries, normalization", _rs(**BOTH, sub_patch_grid=2), "invariant"),
    row("RS+MI, symmetries", _rs(**TURNED, sub_patch_grid=2), "invariant"),
    row("RS, symmetries, tones apart", _rs(**TONES_APART), "invariant"),
    row("RS+MI interval 4, symmetries, tones apart", _rs(**MIXED_APART, interval=4), "invariant"),
    row("RS interval 2, symmetries, normalization", _rs(**BOTH, interval=2), "invariant"),
    row("RS, symmetries, normalization", _rs(**BOTH), "invariant"),
    row("RS interval 2, symmetries", _rs(**TURNED, interval=2), "invariant"),
    row("MI, symmetries, normalization", mixing(**SMALL, **BOTH), "invariant"),
    row("MI, symmetries", mixing(**SMALL, **TURNED), "invariant"),
    row("plain", None, "nonlinear"),
    row("RS", RS, "nonlinear"),
    row("MI", mixing(**SMALL), "linear"),
    row("MI", mixing(**SMALL), "invariant"),
]  # fmt: skip
"""Those that a preset takes first, so that a stopped run has what is asked for most."""


def parse_arguments() -> argparse.Namespace:
    return classification_arguments(__doc__, MARK, "presets", 15, TENTH)


def train(args: argparse.Namespace, name: str, seed: int) -> dict:
    """Train and evaluate one classifier."""
    (setting,) = (setting for setting in SETTINGS if setting.name == name)
    prepare_data(setting, args)
    if setting.encryption is None:
        LIKE_PLAIN.save_pretrained(args.output_dir / "data" / setting.data)
    options = options_of(setting, seed, args)
    metrics, history = trainings.run_example("run_image_classification.py", options, args.extra)
    return result_of(args, name, setting, seed, metrics, history)


def result_of(
    args: argparse.Namespace, name: str, setting: Setting, seed: int, metrics: dict, history: list[dict]
) -> dict:
    """What is stored of one training, under the name of its row."""
    return {
        "setting": name,
        "encryption": None if setting.encryption is None else setting.encryption.to_dict(),
        "patch_embedding": setting.arguments["patch_embedding"],
        "seed": seed,
        "epochs": args.epochs,
        "learning_rate": args.learning_rate,
        "extra": args.extra,
        "evaluated_on": "validation" if args.validation else "test",
        "accuracy": metrics["eval_accuracy"],
        "train_seconds": metrics["train_runtime"],
        "num_parameters": metrics["num_parameters"],
        "curve": trainings.curve(history, "eval_accuracy"),
    }


def rendered(results: list[dict]) -> str:
    """Render the mean and the spread over the seeds that were trained."""
    rows = []
    for setting in SETTINGS:
        runs = [run for run in results if run["setting"] == setting.name]
        if runs:
            name, embedding = setting.name.split("; ")
            scores = mean_and_deviation([100 * run["accuracy"] for run in runs], 1)
            rows.append([name, embedding, scores, len(runs), f"{runs[0]['num_parameters']:,}"])
    if not rows:
        return "No row is stored yet."
    return table(["pictures", "patch embedding", "test accuracy, %", "seeds", "parameters"], rows)


def main() -> None:
    args = parse_arguments()
    disable_progress_bars()
    if not args.report:
        names = [setting.name for setting in SETTINGS if not args.only or setting.name in args.only]
        trainings.train_missing(args, names, functools.partial(train, args), "accuracy")
    publish(MARK, rendered(load_results(args.results)), args.results)


if __name__ == "__main__":
    main()
