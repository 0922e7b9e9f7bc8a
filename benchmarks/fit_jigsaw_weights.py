"""Fit the weights that the jigsaw attack ships with, on photographs that the benchmark does not attack.

    python benchmarks/fit_jigsaw_weights.py --data_dir ../shared/data --output outputs/jigsaw_weights.py

One random crop of each scikit-image and COCO photograph is encrypted with each setting; a conditional logit
then weighs the dissimilarities (`hipmr_hf.attacks.jigsaw.pair_scores.fit_weights`). The output is the table
of `src/hipmr_hf/attacks/jigsaw/weights.py`, first for images stored without loss, then for JPEG with
subsampled chroma (quality 75, 90 or 95 at random). About 20 CPU seconds a setting.
"""

import argparse
import io
import time
from pathlib import Path

import numpy as np
from datasets import load_dataset
from PIL import Image

from hipmr_hf import RandomShuffling
from hipmr_hf.attacks.jigsaw.compatibility import DISSIMILARITIES
from hipmr_hf.attacks.jigsaw.pair_scores import PairWeights, fit_weights

ROOT = Path(__file__).resolve().parent.parent
SIDE = 224
MIXED = {"sub_patch_grid": 2}
SETTINGS = [
    {},
    {"interval": 2},
    {"interval": 4},
    {"interval": 8},
    {"drop_ratio": 0.25},
    {"drop_ratio": 0.5},
    {"interval": 2, "drop_ratio": 0.25},
    {"interval": 4, "drop_ratio": 0.25},
    {"patch_normalization": True},
    {"sub_patch_symmetries": True},
    {"sub_patch_symmetries": True, "patch_normalization": True},
    MIXED,
    {**MIXED, "patch_normalization": True},
    {**MIXED, "sub_patch_symmetries": True},
    {**MIXED, "sub_patch_symmetries": True, "patch_normalization": True},
]

# Stored with chroma subsampled (4:2:0), as most programs write JPEG; half of the crops will do.
JPEG_SETTINGS = [{}, {"interval": 4}, MIXED, SETTINGS[-1]]
QUALITIES = (75, 90, 95)


def jpeg_420(pixels: np.ndarray, quality: int) -> np.ndarray:
    """Store an image as JPEG with chroma at half the resolution, and read it again."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(file).convert("RGB"))


def random_crop(photo: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """Resize by a random factor, never up, and cut a square of SIDE pixels out."""
    smallest = SIDE / min(photo.size)
    scale = np.exp(rng.uniform(np.log(smallest), np.log(max(smallest, min(1, 2 * smallest)))))
    size = tuple(max(SIDE, round(side * scale)) for side in photo.size)
    left, top = (int(rng.integers(0, side - SIDE + 1)) for side in size)
    return np.asarray(photo.resize(size, Image.Resampling.BICUBIC).crop((left, top, left + SIDE, top + SIDE)))


def training_crops(data_dir: Path) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    crops = []
    for name in ("photos_skimage", "coco128_free_train"):
        rows = load_dataset("parquet", data_files=str(data_dir / f"{name}.parquet"), split="train")
        photos = (row["image"].convert("RGB") for row in rows)
        crops += [random_crop(photo, rng) for photo in photos if min(photo.size) >= SIDE]
    return crops


def entry(encryption: RandomShuffling, weights: PairWeights) -> str:
    keys = ("interval", "drop_ratio", "sub_patch_grid", "sub_patch_symmetries", "patch_normalization")
    key = tuple(getattr(encryption, name) for name in keys)
    return f"    {key}: ({weights.weights}, {weights.absent}),"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--output", type=Path, default=ROOT / "outputs" / "jigsaw_weights.py")
    parser.add_argument("--formats", nargs="+", default=["png", "jpeg420"], choices=["png", "jpeg420"])
    args = parser.parse_args()
    crops = training_crops(args.data_dir)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text("")
    rng = np.random.default_rng(0)
    for stored in args.formats:
        for knobs in SETTINGS if stored == "png" else JPEG_SETTINGS:
            started = time.process_time()
            encryption = RandomShuffling(image_size=SIDE, patch_size=16, **knobs)
            if stored == "png":
                weights = fit_weights(encryption, crops)
            else:
                names, storage = tuple(DISSIMILARITIES), lambda x: jpeg_420(x, int(rng.choice(QUALITIES)))
                weights = fit_weights(encryption, crops[::2], names=names, storage=storage)
            with args.output.open("a") as lines:
                lines.write(entry(encryption, weights) + "\n")
            print(f"{stored} {knobs}: {time.process_time() - started:.0f} CPU s", flush=True)


if __name__ == "__main__":
    main()
