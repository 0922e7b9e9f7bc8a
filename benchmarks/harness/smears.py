"""BCCD's blood smears, plain and mixed up, as detection and segmentation are measured on them."""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datasets import Dataset, load_dataset
from PIL import Image

from hipmr_hf.encryption import Sides

from .pages import IMAGES, ROOT
from .results_file import RESULTS
from .settings import BOTH, TONES_APART, mixing
from .trainings import encrypt_once

KNOBS = {"mi": {}, "mi_hardened": BOTH, "mi_tones_apart": TONES_APART}
"""Of mixing-up, by the folder of what is encrypted so."""
SIDES = Sides(240, 320)
SPLITS = ("train", "val", "test")
WIDTH = {"hidden_size": 192, "num_hidden_layers": 4, "num_attention_heads": 3}


def write_smears(
    args: argparse.Namespace, change: Callable[[Dataset], Dataset] | None = None, **options: Any
) -> None:
    """Write the plain rows without file names, and encrypt them once per setting.

    Args:
        args: of the script.
        change: what else to do to the plain rows of a split.
        options: of `encrypt_dataset`.
    """
    data = args.output_dir / "data"
    plain = {split: data / "plain" / "data" / f"{split}-00000-of-00001.parquet" for split in SPLITS}
    for split, file in plain.items():
        if not file.exists():
            source = str(args.data_dir / f"bccd_{split}.parquet")
            rows = load_dataset("parquet", data_files=source)["train"].select_columns(["image", "objects"])
            (rows if change is None else change(rows)).to_parquet(file)
    files = {split: str(file) for split, file in plain.items()}
    for name, knobs in KNOBS.items():
        encrypt_once(files, mixing(image_size=SIDES, **knobs), data / name, **options)


def read_from(args: argparse.Namespace, data: str, *, plain: bool) -> dict[str, Path]:
    """Return where a training reads its images; only the owner's baseline reads plain ones."""
    encrypted = args.output_dir / "data" / data
    if plain:
        return {"dataset_name": args.output_dir / "data" / "plain", "encrypted_dataset": encrypted}
    return {"dataset_name": encrypted}


def draw(script: str, checkpoint: Path, split: str, args: argparse.Namespace, *more: str) -> Path:
    """Draw on plain smears what a model found, as their owner can, with a script of `examples/owner`."""
    picture = checkpoint / "drawn.png"
    command = [sys.executable, str(ROOT / "examples" / "owner" / script), "--split", split, *more]
    command += ["--dataset_name", str(args.output_dir / "data" / "plain"), "--checkpoint", str(checkpoint)]
    subprocess.run([*command, "--output", str(picture)], check=True)
    return picture


def publish_pictures(
    pictures: dict[str, str], results: list[dict], args: argparse.Namespace, *, share: float = 1
) -> None:
    """Put the first picture of each row into the pages, if the results are the stored ones.

    Args:
        pictures: file in `docs/images` by the row.
        results: with "setting" and "picture", a path below the output directory.
        args: of the script.
        share: of the width that is shown, from the left.
    """
    for setting, name in pictures.items():
        shown = [args.output_dir / run["picture"] for run in results if run["setting"] == setting]
        if args.results.parent == RESULTS and shown and shown[0].exists():
            whole = Image.open(shown[0])
            whole.crop((0, 0, int(whole.width * share), whole.height)).save(IMAGES / name, optimize=True)
