"""What mixing-up costs a detector on blood smears: PEYOLOS on MI beside a plain YOLOS of equal budget (BCCD).

    python benchmarks/accuracy/bccd.py --data_dir ../shared/data --epochs 300 --seeds 0 1 --jobs 2

Runs `examples/run_object_detection.py`, or for the plain baseline `owner/train_plain_yolos.py`, once per
setting and seed, from random weights, on the 205 training images resized to a shorter side of 240 pixels,
with patches of 16. The embedding is the one that fits (see `hipmr_hf.training.patch_embedding`), unless a row
names another. Writes each result to
`benchmarks/results/bccd_detection.json` as it comes (a started table is gone on with), then the table in
docs/results.md and a picture of detections on test images. Recipe and embeddings were chosen on the 87
validation images, which `--validation` evaluates on; the 72 test images played no part in that. Some rows
start from a classifier of 6,000 EuroSAT tiles, mixed up alike, which `run_image_classification.py` trains.
"""

import argparse
import functools
import sys
from pathlib import Path

import numpy as np
from datasets import disable_progress_bars

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness import smears, trainings
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import publish
from benchmarks.harness.results_file import load_results
from benchmarks.harness.settings import mixing
from benchmarks.harness.smears import KNOBS, WIDTH
from benchmarks.harness.tables import mean_and_deviation, table
from hipmr_hf.training.patch_embedding import fitting_embedding

MARK = "bccd_detection"
PLAIN = "plain images, YOLOS"
SETTINGS = {
    PLAIN: ("mi", {}),
    "MI, PEYOLOS": ("mi", {}),
    "MI, symmetries, normalization, PEYOLOS": ("mi_hardened", {"patch_embedding": "nonlinear"}),
    "MI, symmetries, tones apart, PEYOLOS": ("mi_tones_apart", {"patch_embedding": "texture"}),
    "MI, symmetries, tones apart, PEYOLOS, invariant embedding": (
        "mi_tones_apart",
        {"patch_embedding": "invariant"},
    ),
    "MI, PEYOLOS, backbone pre-trained on EuroSAT": ("mi", {"model_name_or_path": "eurosat_mi"}),
    "MI, symmetries, tones apart, PEYOLOS, backbone pre-trained on EuroSAT": (
        "mi_tones_apart",
        {"model_name_or_path": "eurosat_mi_tones_apart"},
    ),
}
"""What is encrypted how, and a row's own arguments; a classifier to start from is named by its data."""
PICTURES = {
    "MI, PEYOLOS": "bccd_detections.png",
    "MI, symmetries, tones apart, PEYOLOS": "bccd_detections_dense.png",
}
"""Of the first seed, by the row."""
SCORES = {
    "AP": "map",
    "AP50": "map_50",
    "AP75": "map_75",
    "RBC": "map_RBC",
    "WBC": "map_WBC",
    "Platelets": "map_Platelets",
}


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(__doc__, results=MARK, only="names of settings", report="the table")
    trainings.add_training_arguments(
        parser,
        output="bccd",
        epochs=300,
        script="run_object_detection.py",
        validation="the validation images",
    )
    return parser.parse_args()


def pretrain(name: str, args: argparse.Namespace) -> None:
    """Train a classifier of EuroSAT tiles that were mixed up like the smears, unless it is there."""
    data, classifier = args.output_dir / "data" / f"eurosat_{name}", args.output_dir / f"eurosat_{name}"
    if (classifier / "all_results.json").exists():
        return
    tiles = mixing(image_size=64, **KNOBS[name])
    trainings.encrypt_once(trainings.parquet_files(args.data_dir, trainings.EUROSAT), tiles, data)
    options = {
        **WIDTH,
        **trainings.ONE_CORE,
        "dataset_name": data,
        "output_dir": classifier,
        "num_train_epochs": 20,
        "per_device_train_batch_size": 64,
        "per_device_eval_batch_size": 250,
        "learning_rate": 1e-3,
        "weight_decay": 0.05,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 100,
        "label_smoothing_factor": 0.1,
        "turns": "symmetries",
        "patch_embedding": fitting_embedding(tiles, told="places"),  # the detector's, which goes on with it
    }
    metrics, _ = trainings.run_example("run_image_classification.py", options, args.extra)
    print(f"pre-trained on EuroSAT: accuracy {metrics['eval_accuracy']:.3f}", flush=True)


def options_of(setting: str, seed: int, args: argparse.Namespace) -> dict:
    """Return the arguments of one training, the same for every setting but for its own."""
    data, own = SETTINGS[setting]
    own = {name: args.output_dir / v if name == "model_name_or_path" else v for name, v in own.items()}
    return {
        **own,
        **WIDTH,
        **trainings.ONE_CORE,
        **trainings.RECIPE,
        **smears.read_from(args, data, plain=setting == PLAIN),
        **({} if setting == PLAIN else {"new_parameters_factor": 1}),
        "eval_split": "val" if args.validation else "test",
        "output_dir": trainings.run_folder(args, setting, seed),
        "num_detection_tokens": 60,
        "num_train_epochs": args.epochs,
        "per_device_train_batch_size": 8,
        "per_device_eval_batch_size": 24,
        "learning_rate": 7e-4,
        "adam_beta2": 0.98,
        "warmup_steps": 200,
        "place_supervision": 0.45,
        "flip": 0.5,
        "vertical_flip": 0.5,
        "crop": 0.75,
        "smallest_crop": 0.4,
        "brightness": 0.1,
        "eval_steps": 0.1,
        "seed": seed,
    }


def train(args: argparse.Namespace, setting: str, seed: int) -> dict:
    """Train and evaluate one detector."""
    options = options_of(setting, seed, args)
    script = "owner/train_plain_yolos.py" if setting == PLAIN else "run_object_detection.py"
    metrics, history = trainings.run_example(script, options, args.extra)
    picture = options["output_dir"] / "drawn.png"
    if setting != PLAIN:
        picture = smears.draw("draw_detections.py", options["output_dir"], options["eval_split"], args)
    return {
        "setting": setting,
        "seed": seed,
        "epochs": args.epochs,
        "extra": args.extra,
        "evaluated_on": options["eval_split"],
        "images": metrics["eval_images"],
        **{name: metrics[f"eval_{key}"] for name, key in SCORES.items()},
        "train_seconds": metrics["train_runtime"],
        "num_parameters": metrics["num_parameters"],
        "curve": trainings.curve(history, "eval_map"),
        "picture": str(picture.relative_to(args.output_dir)),
    }


def rendered(results: list[dict]) -> str:
    """Render the mean and the spread over seeds."""
    rows = []
    for setting in SETTINGS:
        runs = [run for run in results if run["setting"] == setting]
        if runs:
            scores = [mean_and_deviation([run[name] for run in runs], 3) for name in SCORES]
            gained = np.mean([np.diff(list(run["curve"].values())[-3::2])[-1] for run in runs])
            parameters = f"{runs[0]['num_parameters']:,}"
            rows.append([setting, *scores, len(runs), f"{gained:+.3f}", parameters])
    return table(["images and model", *SCORES, "seeds", "AP gained in last fifth", "parameters"], rows)


def main() -> None:
    args = parse_arguments()
    disable_progress_bars()
    if not args.report:
        chosen = [setting for setting in SETTINGS if not args.only or setting in args.only]
        smears.write_smears(args)
        for data, own in (SETTINGS[setting] for setting in chosen):
            if "model_name_or_path" in own:
                pretrain(data, args)
        trainings.train_missing(args, chosen, functools.partial(train, args), "AP")
    results = load_results(args.results)
    publish(MARK, rendered(results), args.results)
    smears.publish_pictures(PICTURES, results, args, share=1 / 2)  # four smears; two tell enough


if __name__ == "__main__":
    main()
