"""What each encryption costs in accuracy on EuroSAT: same model size, budget and augmentation for every row.

    python benchmarks/accuracy/eurosat.py --data_dir ../shared/data --epochs 25 --seeds 0 1

Runs `examples/run_image_classification.py` once per setting and seed, writes each result to
`benchmarks/results/eurosat_accuracy.json` as it comes (a started table is gone on with), then the table in
docs/results.md and the learning curves. Settings of the recipe were chosen with `--validation`, which trains
on 90 % of the training images and evaluates on the others; the test images play no part in that.
"""

import argparse
import dataclasses
import functools
import math
import sys
from pathlib import Path

import numpy as np
from datasets import disable_progress_bars

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness import trainings
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.figures import plot
from benchmarks.harness.pages import IMAGES, publish
from benchmarks.harness.results_file import RESULTS, load_results
from benchmarks.harness.settings import HARDENED, mixing, shuffling
from benchmarks.harness.tables import mean_and_deviation, table
from hipmr_hf import Encryption, RandomShuffling

MARK = "eurosat_accuracy"
EVAL_EPOCHS = 5
TENTH = "10 %% of the training images"
SIZE = {"hidden_size": 96, "num_hidden_layers": 4, "num_attention_heads": 3}


@dataclasses.dataclass(frozen=True)
class Setting:
    """One row of the table: a model on images encrypted in one way (None: plain)."""

    name: str
    data: str
    encryption: Encryption | None
    arguments: dict = dataclasses.field(default_factory=dict)


def _rs(**knobs) -> RandomShuffling:
    return shuffling(image_size=64, patch_size=8, **knobs)


MI = mixing(image_size=64, patch_size=8)
NO_RPE = {"position_encoding": "none"}
LINEAR = {**NO_RPE, "patch_embedding": "linear"}  # as the paper's; the default is invariant there
SETTINGS = [
    Setting("plain images, ViT", "plain", None, {"baseline": "vit", "image_size": 64, "patch_size": 8}),
    Setting("RS, PEViT with RPE", "rs", _rs()),
    Setting("RS, PEViT without RPE", "rs", _rs(), NO_RPE),
    Setting("RS interval 2, PEViT without RPE", "rs_interval2", _rs(interval=2), NO_RPE),
    Setting("RS drop .5, PEViT without RPE", "rs_drop50", _rs(drop_ratio=0.5), NO_RPE),
    Setting("MI, ViT", "mi", MI, {"baseline": "vit"}),
    Setting("MI, PEViT", "mi", MI),
    Setting("RS+MI, PEViT without RPE", "rs_mi", _rs(sub_patch_grid=2), NO_RPE),
    Setting("RS+MI, symmetries, normalization, PEViT without RPE", "rs_mi_hardened", _rs(**HARDENED), LINEAR),
]  # fmt: skip


def classification_arguments(
    description: str, mark: str, output: str, epochs: int, validation: str
) -> argparse.Namespace:
    """Read the arguments of a table of classifiers.

    Args:
        description: the script's docstring.
        mark: name of the table and of its results.
        output: folder below `outputs/`.
        epochs: the default.
        validation: what `--validation` evaluates on.
    """
    parser = script_parser(description, results=mark, only="names of settings", report="the table")
    script = "run_image_classification.py"
    trainings.add_training_arguments(
        parser, output=output, epochs=epochs, script=script, validation=validation
    )
    parser.add_argument("--learning_rate", type=float, default=1e-3)
    parser.add_argument("--batch_size", type=int, default=64)
    return parser.parse_args()


def parse_arguments() -> argparse.Namespace:
    return classification_arguments(__doc__, MARK, "eurosat", 25, TENTH)


def prepare_data(setting: Setting, args: argparse.Namespace) -> None:
    """Encrypt EuroSAT once per setting; for the plain rows its files are linked."""
    folder, files = (
        args.output_dir / "data" / setting.data,
        trainings.parquet_files(args.data_dir, trainings.EUROSAT),
    )
    if setting.encryption is not None:
        trainings.encrypt_once(files, setting.encryption, folder)
    elif not folder.exists():
        (folder / "data").mkdir(parents=True)
        for split, source in files.items():
            (folder / "data" / f"{split}-00000-of-00001.parquet").symlink_to(Path(source).resolve())


def options_of(setting: Setting, seed: int, args: argparse.Namespace, images: int | None = None) -> dict:
    """Return the arguments of one training, the same for every setting but for its own.

    Args:
        setting: the row.
        seed: of weights, order and augmentation.
        args: with the budget.
        images: to train on; by default EuroSAT's, less those to validate on.
    """
    images = 6000 * (0.9 if args.validation else 1) if images is None else images
    epoch = math.ceil(images / args.batch_size)  # steps
    return {
        **SIZE,
        **trainings.ONE_CORE,
        **trainings.RECIPE,
        **setting.arguments,
        "dataset_name": args.output_dir / "data" / setting.data,
        "output_dir": trainings.run_folder(args, setting.name, seed),
        "num_train_epochs": args.epochs,
        "per_device_train_batch_size": args.batch_size,
        "per_device_eval_batch_size": 250,
        "learning_rate": args.learning_rate,
        "warmup_steps": int(0.1 * args.epochs * epoch),
        "label_smoothing_factor": 0.1,
        "drop_path_rate": 0.0,
        "turns": "symmetries",
        "eval_steps": EVAL_EPOCHS * epoch,
        "seed": seed,
        **({"validation_size": 0.1} if args.validation else {}),
    }


def train(args: argparse.Namespace, name: str, seed: int) -> dict:
    """Train and evaluate one classifier."""
    (setting,) = (setting for setting in SETTINGS if setting.name == name)
    options = options_of(setting, seed, args)
    metrics, history = trainings.run_example("run_image_classification.py", options, args.extra)
    return {
        "setting": name,
        "seed": seed,
        "epochs": args.epochs,
        "learning_rate": args.learning_rate,
        "extra": args.extra,
        "evaluated_on": "validation" if args.validation else "test",
        "accuracy": metrics["eval_accuracy"],
        "train_seconds": metrics["train_runtime"],
        "num_parameters": metrics["num_parameters"],
        "curve": trainings.curve(history, "eval_accuracy"),
        "train_loss": [entry["loss"] for entry in history if "loss" in entry],
    }


def rendered(results: list[dict]) -> str:
    """Render the mean and the spread over seeds."""
    rows = []
    for setting in SETTINGS:
        runs = [run for run in results if run["setting"] == setting.name]
        if runs:
            scores = mean_and_deviation([100 * run["accuracy"] for run in runs], 1)
            gained = np.mean([100 * np.diff(list(run["curve"].values()))[-1] for run in runs])
            parameters = f"{runs[0]['num_parameters']:,}"
            rows.append([setting.name, scores, len(runs), f"{gained:+.1f}", parameters])
    gained = f"gained in last {EVAL_EPOCHS} epochs"
    return table(["images and model", "test accuracy, %", "seeds", gained, "parameters"], rows)


def draw_curves(results: list[dict], path: Path) -> None:
    """Draw the mean accuracy against the epochs, one line per setting."""
    with plot(path, 9, 5) as (_, axes):
        for index, setting in enumerate(SETTINGS):
            curves = [run["curve"] for run in results if run["setting"] == setting.name]
            if curves:
                mean = 100 * np.mean([list(curve.values()) for curve in curves], axis=0)
                epochs = [int(epoch) for epoch in curves[0]]
                axes.plot(epochs, mean, "-" if index % 2 else "--", label=f"{setting.name}: {mean[-1]:.1f}")
        axes.set(xlabel="epoch", ylabel="test accuracy, %", ylim=(50, None))
        axes.set_title("EuroSAT, 6,000 training images")
        axes.legend(fontsize=8)


def main() -> None:
    args = parse_arguments()
    disable_progress_bars()
    if not args.report:
        chosen = [setting for setting in SETTINGS if not args.only or setting.name in args.only]
        for setting in chosen:
            prepare_data(setting, args)
        names = [setting.name for setting in chosen]
        trainings.train_missing(args, names, functools.partial(train, args), "accuracy")
    results = load_results(args.results)
    publish(MARK, rendered(results), args.results)
    if args.results.parent == RESULTS:
        draw_curves(results, IMAGES / "eurosat_curves.png")


if __name__ == "__main__":
    main()
