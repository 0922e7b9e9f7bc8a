"""What mixing-up costs a model that tells the class of every pixel: scenes of scikit-learn's digits.

    python benchmarks/accuracy/digit_masks.py

Trains one small PEViTForSemanticSegmentation for each way and seed, with the same order of batches, on
scenes of real handwritten digits (two classes, ground and ink), plain and mixed up with their masks. No data
is needed. The embedding for tones apart was chosen by `--validation`, which measures on scenes of the
training digits; nothing else was tuned.
Mean IoU is measured twice on test scenes, whose digits no training scene has: at the size of the encrypted
picture, and with the logits enlarged to the plain one's. Writes `benchmarks/results/digit_masks.json` as
results come, and the table in docs/results.md.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import publish
from benchmarks.harness.results_file import add_result, load_results
from benchmarks.harness.settings import BOTH, TONES_APART, mixing
from benchmarks.harness.tables import mean_and_deviation, table
from hipmr_hf import MixingUp
from hipmr_hf.encryption.masks import move_mask
from hipmr_hf.metrics.mean_iou import mean_iou
from hipmr_hf.models import PEViTForSemanticSegmentation, PEViTImageProcessorPil
from hipmr_hf.training.digit_scenes import digit_scenes
from hipmr_hf.training.segmentation import build_segmenter

MARK = "digit_masks"
SIZE, PATCH = 48, 8
SCENES = {
    "size": (SIZE, SIZE),
    "digit_sizes": (20, 36),
    "max_digits": 3,
    "with_masks": True,
    "one_class": True,
}
NUM_LABELS, BATCH = 2, 16
MI = mixing(image_size=SIZE, patch_size=PATCH)
HARDENED = mixing(image_size=SIZE, patch_size=PATCH, **BOTH)
APART = mixing(image_size=SIZE, patch_size=PATCH, **TONES_APART)
WAYS: dict[str, tuple[MixingUp | None, str]] = {
    "plain scenes": (None, "nonlinear"),
    "MI": (MI, "nonlinear"),
    "MI, symmetries, normalization, invariant embedding": (HARDENED, "invariant"),
    "MI, symmetries, tones apart, texture embedding": (APART, "texture"),
    "MI, symmetries, tones apart, invariant embedding": (APART, "invariant"),
}
WIDTH = {"hidden_size": 96, "num_hidden_layers": 4, "num_attention_heads": 3, "decoder_hidden_size": 16}


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(__doc__, results=MARK, only="names of ways", report="the table")
    parser.add_argument("--train_scenes", type=int, default=400)
    parser.add_argument("--test_scenes", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--learning_rate", type=float, default=2e-3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--validation", action="store_true", help="measure on scenes of the training digits")
    return parser.parse_args()


def scenes(count: int, seed: int, split: str) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (count, height, width, 3) pictures and uint8 (count, height, width) masks."""
    rows = digit_scenes(count, seed=seed, split=split, **SCENES)
    return np.stack([np.asarray(row["image"]) for row in rows]), np.stack(
        [np.asarray(row["mask"]) for row in rows]
    )


def halved(masks: np.ndarray) -> np.ndarray:
    """Masks as they follow mixing-up."""
    place = MI.placement(SIZE, SIZE)
    return np.stack([move_mask(mask, place, sub_patch_grid=MI.sub_patch_grid) for mask in masks])


def build(encryption: MixingUp | None, embedding: str) -> PEViTForSemanticSegmentation:
    """Return the model for a way; for plain scenes the same with patches of the plain size."""
    size = SIZE if encryption is None else SIZE // encryption.sub_patch_grid
    plain = {"patch_size": PATCH} if encryption is None else {}
    options = {**WIDTH, **plain, "patch_embedding": embedding, "num_labels": NUM_LABELS}
    return build_segmenter(encryption or MI, (size, size), **options)[0]


def train(
    model: PEViTForSemanticSegmentation, pixels: torch.Tensor, labels: torch.Tensor, args: argparse.Namespace
) -> PEViTForSemanticSegmentation:
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.learning_rate, weight_decay=0.05)
    steps = args.epochs * (len(pixels) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.learning_rate, total_steps=steps)
    for _ in range(args.epochs):
        for batch in torch.randperm(len(pixels))[: len(pixels) // BATCH * BATCH].split(BATCH):
            optimizer.zero_grad()
            model(pixels[batch], labels=labels[batch]).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return model.eval()


@torch.inference_mode()
def measure(model: PEViTForSemanticSegmentation, pixels: torch.Tensor, masks: np.ndarray) -> dict[str, float]:
    """Mean IoU at the encrypted size and at the plain one."""
    processor, found = PEViTImageProcessorPil(), []
    for batch in pixels.split(100):
        sizes = [(SIZE, SIZE)] * len(batch)
        outputs = model(batch)
        found += [one.numpy() for one in processor.post_process_semantic_segmentation(outputs, sizes)]
    at_plain = mean_iou(found, masks, num_labels=NUM_LABELS)
    at_half = mean_iou(halved(np.stack(found).astype(np.uint8)), halved(masks), num_labels=NUM_LABELS)
    return {
        "mean_iou": at_half["mean_iou"],
        "mean_iou_plain_size": at_plain["mean_iou"],
        "pixel_accuracy": at_half["pixel_accuracy"],
    }


def run(way: str, seed: int, args: argparse.Namespace) -> dict:
    encryption, embedding = WAYS[way]
    start = time.process_time()
    split = "train" if args.validation else "test"
    pictures, masks = scenes(args.train_scenes, 0, "train")
    test_pictures, test_masks = scenes(args.test_scenes, 1, split)
    labels = masks if encryption is None else halved(masks)
    if encryption is not None:
        pictures, test_pictures = encryption.encrypt_batch(pictures), encryption.encrypt_batch(test_pictures)
    torch.manual_seed(seed)
    model = build(encryption, embedding)
    tensors = [
        torch.from_numpy(np.ascontiguousarray(part.transpose(0, 3, 1, 2))).float() / 127.5 - 1
        for part in (pictures, test_pictures)
    ]
    train(model, tensors[0], torch.from_numpy(labels.astype(np.int64)), args)
    settings = ("train_scenes", "test_scenes", "epochs", "learning_rate")
    return {
        "setting": way,
        "seed": seed,
        **measure(model, tensors[1], test_masks),
        "parameters": model.num_parameters(),
        "cpu_seconds": round(time.process_time() - start),
        **{name: getattr(args, name) for name in settings},
    }


def rendered(runs: list[dict]) -> str:
    heads = ["scenes and embedding", "mean IoU, %", "at the plain size, %", "pixels right, %", "seeds"]
    heads += ["parameters", "seconds of one core"]
    rows = []
    for way in WAYS:
        of_way = [run for run in runs if run["setting"] == way]
        if not of_way:
            continue
        names = ("mean_iou", "mean_iou_plain_size", "pixel_accuracy")
        cells = [mean_and_deviation([100 * run[name] for run in of_way], 1) for name in names]
        seconds = round(np.mean([run["cpu_seconds"] for run in of_way]))
        rows.append([way, *cells, len(of_way), f"{of_way[0]['parameters']:,}", seconds])
    return table(heads, rows)


def main() -> None:
    args = parse_arguments()
    torch.set_num_threads(1)
    done = {(one["setting"], one["seed"]) for one in load_results(args.results) or []}
    todo = [(way, seed) for seed in args.seeds for way in args.only or WAYS if (way, seed) not in done]
    for way, seed in [] if args.report else todo:
        add_result(args.results, run(way, seed, args))
        print(load_results(args.results)[-1], flush=True)
    publish(MARK, rendered(load_results(args.results)), args.results)


if __name__ == "__main__":
    main()
