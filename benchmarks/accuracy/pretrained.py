"""What pre-trained weights bring on encrypted EuroSAT tiles: a probe on random, converted and adapted ones.

    python ../shared/tools/dinov2_small.py outputs/dinov2_small
    python benchmarks/accuracy/pretrained.py --weights outputs/dinov2_small

Converts DINOv2-small for every setting (fitting a new patch embedding where patches are changed), adapts it
by `examples/adapt_backbone.py` on tiles that play the public pictures (without their labels, and none of them
is probed), and fits a logistic regression on features of encrypted tiles. Writes each result to
`benchmarks/results/pretrained.json` as it comes (a started table is gone on with), then the table in
docs/results.md.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from datasets import disable_progress_bars, load_dataset
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness import trainings
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import ROOT, publish
from benchmarks.harness.results_file import add_result, load_results
from benchmarks.harness.settings import shuffling
from benchmarks.harness.tables import table
from hipmr_hf import Encryption
from hipmr_hf.adaptation.distillation import features_of, normalised
from hipmr_hf.adaptation.refit import refit_patch_embedding
from hipmr_hf.models import PEViTForImageClassification, PEViTImageProcessorPil
from hipmr_hf.models.convert_transformers import load_pevit_from_transformers

MARK = "pretrained"
SIDE, PATCH = 64, 16
HARD = "RS+MI, interval 4, symmetries, tones apart"
KNOBS = {
    "sub_patch_grid": 2,
    "interval": 4,
    "sub_patch_symmetries": True,
    "shuffle_tones": True,
}
SETTINGS: dict[str, Encryption | None] = {
    "plain": None,
    "RS": shuffling(image_size=SIDE, patch_size=PATCH),
    HARD: shuffling(image_size=SIDE, patch_size=PATCH, **KNOBS),
}
WEIGHTS = ("random", "converted", "adapted")
Model = tuple[PEViTForImageClassification, PEViTImageProcessorPil]


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(__doc__, results=MARK, report="the table")
    parser.add_argument("--weights", type=Path, default=ROOT / "outputs" / "dinov2_small")
    parser.add_argument("--output_dir", type=Path, default=ROOT / "outputs" / MARK)
    parser.add_argument("--train", type=int, default=400, help="tiles that the probe is fitted on")
    parser.add_argument("--test", type=int, default=400, help="tiles that it is tested on")
    parser.add_argument("--public", type=int, default=2000, help="tiles that play the public pictures")
    parser.add_argument("--steps", type=int, default=40, help="of the adaptation")
    parser.add_argument("--batch_size", type=int, default=16)
    return parser.parse_args()


def load_tiles(args: argparse.Namespace) -> dict[str, tuple[list[np.ndarray], np.ndarray]]:
    """Read tiles: `train` and `public` share none, `test` is from the test file."""
    files = trainings.parquet_files(args.data_dir, trainings.EUROSAT)
    rows = {split: load_dataset("parquet", data_files={split: file}) for split, file in files.items()}
    train = rows["train"]["train"].shuffle(seed=0)
    chosen = {
        "train": train.select(range(args.train)),
        "public": train.select(range(args.train, args.train + args.public)),
        "test": rows["test"]["test"].shuffle(seed=0).select(range(args.test)),
    }
    public = args.output_dir / "public.parquet"
    if not public.exists():
        args.output_dir.mkdir(parents=True, exist_ok=True)
        chosen["public"].select_columns(["image"]).to_parquet(str(public))
    return {
        split: ([np.asarray(image.convert("RGB")) for image in part["image"]], np.array(part["label"]))
        for split, part in chosen.items()
    }


def converted(args: argparse.Namespace, encryption: Encryption | None, public: list[np.ndarray]) -> Model:
    """Convert the weights; a new embedding where patches are changed. What is told goes to the terminal."""
    positions = "absolute" if encryption is None else "none"
    model, processor, _ = load_pevit_from_transformers(
        str(args.weights), position_encoding=positions, patch_size=PATCH, image_size=SIDE
    )
    if encryption is not None and encryption.sub_patch_grid > 1:
        model, processor, report = refit_patch_embedding(
            model, processor, encryption, public, patch_embedding="invariant"
        )
        print(report, flush=True)
    return model, processor


def untrained(args: argparse.Namespace, encryption: Encryption | None) -> Model:
    """The same architecture with random weights."""
    width = PATCH if encryption is None else encryption.encrypted_patch_size
    invariant = encryption is not None and encryption.sub_patch_grid > 1
    model, _, _ = load_pevit_from_transformers(
        str(args.weights),
        position_encoding="absolute" if encryption is None else "none",
        patch_embedding="invariant" if invariant else "linear",
        patch_size=width,
        image_size=SIDE * width // PATCH,
    )
    return PEViTForImageClassification(model.config), PEViTImageProcessorPil(patch_size=width)


def adapted(
    args: argparse.Namespace, encryption: Encryption, public: list[np.ndarray], name: str
) -> tuple[Model, dict]:
    """Adapt the converted weights with the example, which goes on where it was stopped."""
    slug = "".join(letter if letter.isalnum() else "_" for letter in name)
    start, folder = args.output_dir / f"{slug}_converted", args.output_dir / f"{slug}_{args.steps}"
    if not start.exists():
        model, processor = converted(args, encryption, public)
        for part in (processor, encryption, model):
            part.save_pretrained(start)
    command = [sys.executable, str(ROOT / "examples" / "adapt_backbone.py"), "--resume"]
    options = {
        "model_name_or_path": start,
        "teacher_name_or_path": args.weights,
        "pictures": args.output_dir / "public.parquet",
        "output_dir": folder,
        "max_train_steps": args.steps,
        "per_device_train_batch_size": args.batch_size,
        "checkpoint_every": max(1, args.steps // 4),
    }
    command += [part for option, value in options.items() for part in (f"--{option}", str(value))]
    if not (folder / "all_results.json").exists():
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
        subprocess.run(command, env=environment, check=True)
    metrics = json.loads((folder / "all_results.json").read_text())
    model = PEViTForImageClassification.from_pretrained(folder)
    return (model, PEViTImageProcessorPil.from_pretrained(folder)), metrics


@torch.no_grad()
def features(model: Model, encryption: Encryption | None, images: list[np.ndarray]) -> np.ndarray:
    """Features of tiles, encrypted or plain: (tiles, 2 * hidden_size)."""
    plain = shuffling(image_size=SIDE, patch_size=PATCH)
    prepared = np.stack([plain.prepare(image) for image in images])
    seen = prepared if encryption is None else encryption.encrypt_batch(prepared)
    classifier, processor = model
    found = []
    for start in range(0, len(seen), 50):
        batch = [normalised(Image.fromarray(image), processor) for image in seen[start : start + 50]]
        found.append(features_of(classifier.pevit.eval(), torch.stack(batch)).numpy())
    return np.concatenate(found)


def probe(model: Model, encryption: Encryption | None, tiles: dict) -> float:
    """Accuracy of a logistic regression on standardised features."""
    train, test = (features(model, encryption, tiles[split][0]) for split in ("train", "test"))
    scaler = StandardScaler().fit(train)
    probe = LogisticRegression(C=0.01, max_iter=500).fit(scaler.transform(train), tiles["train"][1])
    return float(probe.score(scaler.transform(test), tiles["test"][1]))


def measure(args: argparse.Namespace, name: str, weights: str, tiles: dict) -> dict:
    start, about = time.process_time(), {}
    encryption, public = SETTINGS[name], tiles["public"][0][:1000]
    torch.manual_seed(0)
    if weights == "random":
        model = untrained(args, encryption)
    elif weights == "converted":
        model = converted(args, encryption, public)
    else:
        model, about = adapted(args, encryption, public, name)
    accuracy = probe(model, encryption, tiles)
    seconds = time.process_time() - start
    return {
        "setting": name,
        "weights": weights,
        "accuracy": accuracy,
        "train": args.train,
        "test": args.test,
        "steps": args.steps if weights == "adapted" else 0,
        "seconds": round(seconds),
        "adaptation": about,
    }


def rendered(results: list[dict]) -> str:
    """One line a setting, one column for each kind of weights."""
    found = {(run["setting"], run["weights"]): f"{100 * run['accuracy']:.1f}" for run in results}
    rows = [[name, *(found.get((name, weights), "") for weights in WEIGHTS)] for name in SETTINGS]
    return table(["images", *(f"{weights} weights" for weights in WEIGHTS)], rows)


def main() -> None:
    args = parse_arguments()
    disable_progress_bars()
    if not args.report:
        tiles = load_tiles(args)
        for weights in ("converted", "random", "adapted"):  # what is told most, first
            for name, encryption in SETTINGS.items():
                done = {(run["setting"], run["weights"]) for run in load_results(args.results)}
                if (name, weights) in done or (encryption is None and weights == "adapted"):
                    continue
                result = measure(args, name, weights, tiles)
                add_result(args.results, result)
                print(f"{name}, {weights}: {result['accuracy']:.3f} ({result['seconds']} s)", flush=True)
    publish(MARK, rendered(load_results(args.results)), args.results)


if __name__ == "__main__":
    main()
