"""Measure what attackers get back from your own images under three settings.

    python examples/owner/run_privacy_audit.py --output_dir audit
    python examples/owner/run_privacy_audit.py --dataset_name photos/ --effort full --output_dir audit

Without a dataset it audits crops of two photographs that come with scikit-learn. The same as a command:
`hipmr audit photos/ --output-dir audit`. The report shows the plain images, so keep it where they are.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from transformers import HfArgumentParser

from hipmr_hf import MixingUp, RandomShuffling
from hipmr_hf.privacy_report import privacy_report
from hipmr_hf.privacy_report.sources import sample_pictures


@dataclass
class Arguments:
    output_dir: Path = field(metadata={"help": "A folder that does not exist yet."})
    dataset_name: str | None = field(
        default=None, metadata={"help": "Image folder, parquet file or dataset on the Hub; plain images."}
    )
    image_size: int = 224
    patch_size: int = 16
    max_samples: int = field(default=200, metadata={"help": "Images to read; attackers learn from most."})
    num_images: int | None = field(default=None, metadata={"help": "Images to attack. Default: 6, full: 12."})
    effort: Literal["quick", "full"] = "quick"
    seed: int = 0


def crops_of_sample_photographs() -> list[np.ndarray]:
    """Cut eight crops out of each of scikit-learn's two photographs."""
    from sklearn.datasets import load_sample_image

    rng = np.random.default_rng(0)
    crops = []
    for name in ("china.jpg", "flower.jpg"):
        photo = load_sample_image(name)
        corners = rng.integers(0, (photo.shape[0] - 300, photo.shape[1] - 300), (8, 2))
        crops += [np.ascontiguousarray(photo[top : top + 300, left : left + 300]) for top, left in corners]
    return crops


def main(args: Arguments) -> None:
    if args.dataset_name is None:
        images, labels = crops_of_sample_photographs(), [0] * 8 + [1] * 8
    else:
        pictures = sample_pictures([args.dataset_name], args.max_samples, seed=args.seed)
        images, labels = pictures.images, pictures.labels

    size = {"image_size": args.image_size, "patch_size": args.patch_size}
    settings = [
        RandomShuffling(**size),  # the paper's
        RandomShuffling(**size, sub_patch_grid=2, sub_patch_symmetries=True, patch_normalization=True),
        MixingUp(**size),
    ]
    report = privacy_report(
        images,
        settings,
        labels=labels,
        effort=args.effort,
        num_images=args.num_images,
        seed=args.seed,
        show_progress=True,
    )
    folder = report.save(args.output_dir)
    for audit in report.settings:
        print(f"{audit.name}: {audit.grade.letter}. {audit.grade.reason}")
    print(f"report: {folder / 'report.html'}")


if __name__ == "__main__":
    main(HfArgumentParser(Arguments).parse_args_into_dataclasses()[0])
