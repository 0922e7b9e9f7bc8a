"""What the presets cost where shapes decide and colours tell nothing: scikit-learn's handwritten digits.

    python benchmarks/accuracy/digits.py --seeds 0 1 2

The grey digits of the quick start, 32x32 pixels in patches of 8, 80 % to train on, by the models of
`presets.py`, with one size and budget for every row and no turns, which would make a 9 of a 6. Satellite
tiles and blood cells have colours, which stay public where tones are dealt out; digits are told apart by
where strokes lie and which way they go. No data is needed. `--validation`
evaluates on a tenth of the training digits. Results go to `benchmarks/results/digits_accuracy.json` as they
come, and the table to docs/results.md.
"""

import argparse
import functools
import sys
from pathlib import Path

from datasets import disable_progress_bars

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

from quickstart import IMAGE_SIZE, PATCH_SIZE, digits

from benchmarks.accuracy import eurosat, presets
from benchmarks.accuracy.eurosat import TENTH, classification_arguments
from benchmarks.harness import trainings
from benchmarks.harness.pages import publish
from benchmarks.harness.results_file import load_results
from benchmarks.harness.settings import mixing
from benchmarks.harness.tables import mean_and_deviation, table
from hipmr_hf import Encryption, encrypt_dataset, save_encrypted_dataset
from hipmr_hf.encryption.preset_table import PRESETS
from hipmr_hf.training.patch_embedding import fitting_embedding

MARK = "digits_accuracy"
PLAIN = "plain"


def parse_arguments() -> argparse.Namespace:
    return classification_arguments(__doc__, MARK, "digits", 40, TENTH)


def prepare_data(name: str, folder: Path) -> None:
    """Write the digits once for a row, encrypted or plain."""
    if folder.exists():
        return
    if name != PLAIN:
        encryption = Encryption.from_preset(name, IMAGE_SIZE)
        save_encrypted_dataset(encrypt_dataset(digits(), encryption), encryption, folder)
        return
    for split, rows in digits().items():
        rows.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    mixing(image_size=2 * IMAGE_SIZE, patch_size=2 * PATCH_SIZE).save_pretrained(folder)  # as large as plain


def train(args: argparse.Namespace, name: str, seed: int) -> dict:
    """Train and evaluate one classifier."""
    encryption = None if name == PLAIN else Encryption.from_preset(name, IMAGE_SIZE)
    embedding = "linear" if encryption is None else fitting_embedding(encryption)
    setting = presets.row(name, encryption, embedding)
    prepare_data(name, args.output_dir / "data" / setting.data)
    images = len(digits()["train"]) * (0.9 if args.validation else 1)
    options = eurosat.options_of(setting, seed, args, images) | {"turns": "none"}
    metrics, history = trainings.run_example("run_image_classification.py", options, args.extra)
    return presets.result_of(args, name, setting, seed, metrics, history)


def rendered(results: list[dict]) -> str:
    """Render the mean and the spread over the seeds that were trained."""
    rows = []
    for name in (PLAIN, *PRESETS):
        runs = [run for run in results if run["setting"] == name]
        if runs:
            scores = mean_and_deviation([100 * run["accuracy"] for run in runs], 1)
            last = [100 * (run["accuracy"] - list(run["curve"].values())[-2]) for run in runs]
            rows.append([name, runs[0]["patch_embedding"], scores, f"{max(last):+.1f}", len(runs)])
    if not rows:
        return "No row is stored yet."
    gained = f"most that a run gained in its last {eurosat.EVAL_EPOCHS} epochs"
    return table(["pictures", "patch embedding", "test accuracy, %", gained, "seeds"], rows)


def main() -> None:
    args = parse_arguments()
    disable_progress_bars()
    if not args.report:
        names = [name for name in (PLAIN, *PRESETS) if not args.only or name in args.only]
        trainings.train_missing(args, names, functools.partial(train, args), "accuracy")
    publish(MARK, rendered(load_results(args.results)), args.results)


if __name__ == "__main__":
    main()
