"""What mixing-up costs a model that tells the class of every pixel: blood smears (BCCD), masks of boxes.

    python benchmarks/accuracy/bccd_masks.py --data_dir ../shared/data --seeds 0 1 2

BCCD has boxes alone, so a cell's mask is the ellipse inside its box: red cells first, white ones over them,
platelets over all. Runs `examples/run_semantic_segmentation.py`, or for the plain baseline
`owner/train_plain_segmenter.py`, once per setting and seed, from random weights, on the 205 training images
resized to a shorter side of 240 pixels, with patches of 16. The embedding is the one that fits (see
`hipmr_hf.training.patch_embedding`). Pixels are counted at the size of the encrypted images in every row.
Writes each result to `benchmarks/results/bccd_masks.json` as it comes (a started table is gone on with), then
the table in docs/results.md and a picture of segments on test images. `--validation` evaluates on the 87
validation images; nothing was chosen on the 72 test images.
"""

import argparse
import functools
import sys
from pathlib import Path

import numpy as np
from datasets import Dataset, Features, disable_progress_bars
from datasets import Image as ImageFeature
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness import smears, trainings
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import publish
from benchmarks.harness.results_file import load_results
from benchmarks.harness.tables import mean_and_deviation, table

MARK = "bccd_masks"
PLAIN = "plain images"
SETTINGS = {
    PLAIN: "mi",
    "MI": "mi",
    "MI, symmetries, normalization": "mi_hardened",
    "MI, symmetries, tones apart (`dense`)": "mi_tones_apart",
}
"""What is encrypted how."""
PICTURES = {"MI, symmetries, tones apart (`dense`)": "bccd_segments.png"}
"""Of the first seed, by the row."""
CLASSES = ["ground", "red cell", "white cell", "platelet"]
SCORES = {
    "mean IoU": "mean_iou",
    **{name: f"iou_{name}" for name in CLASSES},
    "pixels right": "pixel_accuracy",
}


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(__doc__, results=MARK, only="names of settings", report="the table")
    trainings.add_training_arguments(
        parser,
        output="bccd_masks",
        epochs=20,
        script="run_semantic_segmentation.py",
        validation="the validation images",
        seeds=3,
    )
    return parser.parse_args()


def mask_of(size: tuple[int, int], objects: dict[str, list]) -> Image.Image:
    """Fill the ellipse inside each box; of two that overlap the class that comes later in `CLASSES` is seen.

    Args:
        size: (width, height) in pixels.
        objects: "bbox" (x, y, width, height) and "category", which counts from red cells on.
    """
    mask = Image.new("L", size)
    pen = ImageDraw.Draw(mask)
    pairs = zip(objects["category"], objects["bbox"], strict=True)
    for category, (x, y, width, height) in sorted(pairs, key=lambda pair: pair[0]):
        pen.ellipse((x, y, x + width - 1, y + height - 1), fill=category + 1)
    return mask


def with_masks(rows: Dataset) -> Dataset:
    """Exchange objects for masks."""
    features = Features({"image": rows.features["image"], "mask": ImageFeature()})
    return rows.map(
        lambda row: {"mask": mask_of(row["image"].size, row["objects"])},
        remove_columns=["objects"],
        features=features,
    )


def options_of(setting: str, seed: int, args: argparse.Namespace) -> dict:
    """Return the arguments of one training, the same for every setting but for its images."""
    return {
        **smears.WIDTH,
        **trainings.ONE_CORE,
        **trainings.RECIPE,
        **smears.read_from(args, SETTINGS[setting], plain=setting == PLAIN),
        "class_names": CLASSES,
        "eval_split": "val" if args.validation else "test",
        "output_dir": trainings.run_folder(args, setting, seed),
        "decoder_hidden_size": 16,
        "num_train_epochs": args.epochs,
        "per_device_train_batch_size": 8,
        "per_device_eval_batch_size": 24,
        "learning_rate": 1e-3,
        "warmup_steps": 50,
        "eval_steps": 0.2,
        "seed": seed,
    }


def train(args: argparse.Namespace, setting: str, seed: int) -> dict:
    """Train and evaluate one model, and draw what it finds."""
    options = options_of(setting, seed, args)
    script = "owner/train_plain_segmenter.py" if setting == PLAIN else "run_semantic_segmentation.py"
    metrics, history = trainings.run_example(script, options, args.extra)
    picture = options["output_dir"] / "drawn.png"
    if setting != PLAIN:
        where = (options["output_dir"], options["eval_split"], args)
        picture = smears.draw("draw_segments.py", *where, "--num_images", "2")
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
        "curve": trainings.curve(history, "eval_mean_iou"),
        "picture": str(picture.relative_to(args.output_dir)),
    }


def rendered(results: list[dict]) -> str:
    """Render the mean and the spread over seeds."""
    rows = []
    for setting in SETTINGS:
        runs = [run for run in results if run["setting"] == setting]
        if runs:
            scores = [mean_and_deviation([100 * run[name] for run in runs], 1) for name in SCORES]
            gained = 100 * np.mean([np.diff(list(run["curve"].values()))[-1] for run in runs])
            parameters = f"{runs[0]['num_parameters']:,}"
            rows.append([setting, *scores, len(runs), f"{gained:+.1f}", parameters])
    heads = [f"{name}, %" for name in SCORES]
    return table(["images", *heads, "seeds", "gained in last fifth", "parameters"], rows)


def main() -> None:
    args = parse_arguments()
    disable_progress_bars()
    if not args.report:
        smears.write_smears(args, with_masks, mask_column="mask", keep_columns=())
        chosen = [setting for setting in SETTINGS if not args.only or setting in args.only]
        trainings.train_missing(args, chosen, functools.partial(train, args), "mean IoU")
    results = load_results(args.results)
    publish(MARK, rendered(results), args.results)
    smears.publish_pictures(PICTURES, results, args)


if __name__ == "__main__":
    main()
