"""What storing shuffled patches as JPEG costs in accuracy: EuroSAT, the same shuffles stored in three ways.

    python benchmarks/accuracy/jpeg.py --data_dir ../shared/data

A short training of a small PEViT for each way and seed, same order of batches and same weights to begin with;
reads about ten processor minutes at the defaults. Writes `benchmarks/results/jpeg_accuracy.json`.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from datasets import load_dataset
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness.arguments import script_parser
from benchmarks.harness.results_file import save_results
from hipmr_hf import RandomShuffling
from hipmr_hf.images.reading import read_image
from hipmr_hf.images.writing import encode_image
from hipmr_hf.models import PEViTForImageClassification
from hipmr_hf.training.classification import pevit_config_for

SHUFFLING = RandomShuffling(image_size=64, patch_size=8)
WAYS = {"PNG": ("png", 95), "JPEG, quality 95": ("jpeg", 95), "JPEG, quality 75": ("jpeg", 75)}


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(__doc__, results="jpeg_accuracy")
    parser.add_argument("--train_images", type=int, default=6000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    return parser.parse_args()


def shuffled(path: Path, count: int | None = None) -> tuple[np.ndarray, torch.Tensor]:
    rows = load_dataset("parquet", data_files=str(path), split="train").shuffle(seed=0)
    rows = rows.select(range(min(count or len(rows), len(rows))))
    plain = np.stack([np.asarray(image.convert("RGB")) for image in rows["image"]])
    return SHUFFLING.encrypt_batch(plain), torch.tensor(rows["label"])


def stored(images: np.ndarray, image_format: str, quality: int) -> tuple[torch.Tensor, float]:
    """Write and read back: float (images, 3, height, width) in -1..1, and bytes an image."""
    files = [encode_image(image, image_format, jpeg_quality=quality) for image in images]
    pixels = torch.from_numpy(np.stack([read_image(file) for file in files])).permute(0, 3, 1, 2)
    return pixels.float() / 127.5 - 1, sum(map(len, files)) / len(files)


def train(pixels: torch.Tensor, labels: torch.Tensor, epochs: int, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    sizes = {"hidden_size": 96, "num_hidden_layers": 4, "num_attention_heads": 3, "intermediate_size": 384}
    config = pevit_config_for(SHUFFLING, "tiny", num_labels=10, position_encoding="none", **sizes)
    model = PEViTForImageClassification(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    steps = epochs * (len(pixels) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.2)
    for _ in range(epochs):
        for batch in torch.randperm(len(pixels))[: len(pixels) // 64 * 64].split(64):
            optimizer.zero_grad()
            F.cross_entropy(model(pixels[batch]).logits, labels[batch]).backward()
            optimizer.step()
            schedule.step()
    return model.eval()


@torch.inference_mode()
def accuracy(model: torch.nn.Module, pixels: torch.Tensor, labels: torch.Tensor) -> float:
    right = [
        (model(p).logits.argmax(1) == y).float()
        for p, y in zip(pixels.split(256), labels.split(256), strict=True)
    ]
    return torch.cat(right).mean().item()


def main() -> None:
    args = parse_arguments()
    torch.set_num_threads(1)
    train_images, train_labels = shuffled(args.data_dir / "eurosat_train_6k.parquet", args.train_images)
    test_images, test_labels = shuffled(args.data_dir / "eurosat_test_1500.parquet")
    test_png, _ = stored(test_images, "png", 95)
    results = []
    for seed in args.seeds:
        for name, way in WAYS.items():
            start = time.process_time()
            pixels, size = stored(train_images, *way)
            model = train(pixels, train_labels, args.epochs, seed)
            result = {"stored": name, "seed": seed, "bytes": round(size)}
            result["accuracy"] = accuracy(model, stored(test_images, *way)[0], test_labels)
            result["accuracy_on_png"] = accuracy(model, test_png, test_labels)
            results.append(result | {"cpu_seconds": round(time.process_time() - start)})
            print(results[-1], flush=True)
    settings = {"train_images": len(train_images), "test_images": len(test_images), "epochs": args.epochs}
    save_results(args.results, {**settings, "results": results})


if __name__ == "__main__":
    main()
