"""Fit the weights that the jigsaw attack ships with, on photographs that the benchmark does not attack.

    python benchmarks/attacks/fit_jigsaw_weights.py --output outputs/jigsaw_weights.py

One random crop of each scikit-image and COCO photograph is encrypted with each setting; a conditional logit
then weighs the dissimilarities (`hipmr_hf.attacks.jigsaw.pair_scores.fit_weights`). The output is the table
of `src/hipmr_hf/attacks/jigsaw/weights.py`, first for images stored without loss, then for JPEG with
subsampled chroma (quality 75, 90 or 95 at random). About 20 CPU seconds a setting.
"""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import ROOT
from benchmarks.harness.photographs import collection, jpeg_file, random_crop
from benchmarks.harness.settings import BOTH, HARDENED, MIXED, SIDE, shuffling
from hipmr_hf import RandomShuffling
from hipmr_hf.attacks.jigsaw.compatibility import DISSIMILARITIES
from hipmr_hf.attacks.jigsaw.pair_scores import fit_weights
from hipmr_hf.attacks.jigsaw.weights import PairWeights
from hipmr_hf.images.reading import read_image

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
    BOTH,
    MIXED,
    {**MIXED, "patch_normalization": True},
    {**MIXED, "sub_patch_symmetries": True},
    HARDENED,
]

# Stored with chroma subsampled (4:2:0), as most programs write JPEG; half of the crops will do.
JPEG_SETTINGS = [{}, {"interval": 4}, MIXED, HARDENED]
QUALITIES = (75, 90, 95)


def training_crops(data_dir: Path) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    photos = collection(data_dir, "photos_skimage", "coco128_free_train", smallest=SIDE)
    return [random_crop(photo, SIDE, rng) for photo in photos]


def entry(encryption: RandomShuffling, weights: PairWeights) -> str:
    keys = ("interval", "drop_ratio", "sub_patch_grid", "sub_patch_symmetries", "patch_normalization")
    key = tuple(getattr(encryption, name) for name in keys)
    return f"    {key}: ({weights.weights}, {weights.absent}),"


def main() -> None:
    parser = script_parser(__doc__)
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
            encryption = shuffling(**knobs)
            if stored == "png":
                weights = fit_weights(encryption, crops)
            else:
                weights = fit_weights(
                    encryption,
                    crops[::2],
                    names=tuple(DISSIMILARITIES),
                    storage=lambda pixels: read_image(jpeg_file(pixels, int(rng.choice(QUALITIES)))),
                )
            with args.output.open("a") as lines:
                lines.write(entry(encryption, weights) + "\n")
            print(f"{stored} {knobs}: {time.process_time() - started:.0f} CPU s", flush=True)


if __name__ == "__main__":
    main()
