"""Weights that a training starts from: random ones, DINOv2-small's converted, and those adapted."""

import argparse
import json
import os
import subprocess
import sys

import numpy as np

from benchmarks.accuracy.pretrained_data import public_file
from benchmarks.harness.pages import ROOT
from hipmr_hf import Encryption, RandomShuffling
from hipmr_hf.adaptation.refit import refit_patch_embedding
from hipmr_hf.encryption.preset_table import PRESETS
from hipmr_hf.models import PEViTForImageClassification, PEViTImageProcessorPil
from hipmr_hf.models.convert_transformers import load_pevit_from_transformers

SIDE = 64
PRESET, QUARTER = "preset classification", "quarter interval"
"""The preset, which loses half of each patch's width, and the same with the quarter that it lost at first."""
SETTINGS = ("plain", "RS", QUARTER, PRESET)
WEIGHTS = ("random", "converted", "adapted")
Model = tuple[PEViTForImageClassification, PEViTImageProcessorPil]
_FITTED_ON = 1000  # public pictures that a new embedding is fitted on


def encryption_of(name: str, patch: int) -> Encryption | None:
    """Settings by name, for pictures of 64 pixels and patches of any width.

    The preset itself takes patches of 8 at that size; wider ones have its knobs.

    Example:
        >>> encryption_of(PRESET, 8) == Encryption.from_preset("classification", image_size=SIDE)
        True
    """
    if name == "plain":
        return None
    size = {"image_size": SIDE, "patch_size": patch}
    if name == "RS":
        return RandomShuffling(**size)
    preset = PRESETS["classification"]
    interval = patch // 4 if name == QUARTER else round(preset.interval * patch)
    return RandomShuffling(**size, interval=interval, **preset.knobs)


def build(args: argparse.Namespace, name: str, weights: str, public: list[np.ndarray]) -> tuple[Model, dict]:
    """Return a model with its processor, and what the adaptation told of itself.

    Args:
        args: of `pretrained.py`.
        name: one of SETTINGS.
        weights: one of WEIGHTS.
        public: pictures that may be seen plain.
    """
    encryption = encryption_of(name, args.patch)
    if weights == "random":
        return untrained(args, encryption), {}
    if weights == "converted":
        return converted(args, encryption, public)
    return adapted(args, encryption, public, name)


def converted(
    args: argparse.Namespace, encryption: Encryption | None, public: list[np.ndarray]
) -> tuple[Model, dict]:
    """Convert the weights, with a new embedding where patches are changed."""
    positions = "absolute" if encryption is None else "none"
    model, processor, _ = load_pevit_from_transformers(
        str(args.weights), position_encoding=positions, patch_size=args.patch, image_size=SIDE
    )
    if encryption is None or encryption.sub_patch_grid == 1:
        return (model, processor), {}
    model, processor, report = refit_patch_embedding(
        model, processor, encryption, public[:_FITTED_ON], patch_embedding="invariant"
    )
    return (model, processor), {"explained": report.explained}


def untrained(args: argparse.Namespace, encryption: Encryption | None) -> Model:
    """The same architecture with random weights."""
    width = args.patch if encryption is None else encryption.encrypted_patch_size
    invariant = encryption is not None and encryption.sub_patch_grid > 1
    model, _, _ = load_pevit_from_transformers(
        str(args.weights),
        position_encoding="absolute" if encryption is None else "none",
        patch_embedding="invariant" if invariant else "linear",
        patch_size=width,
        image_size=SIDE * width // args.patch,
    )
    return PEViTForImageClassification(model.config), PEViTImageProcessorPil(patch_size=width)


def adapted(
    args: argparse.Namespace, encryption: Encryption, public: list[np.ndarray], name: str
) -> tuple[Model, dict]:
    """Adapt the converted weights with the example, which goes on where it was stopped."""
    named = f"{args.data}_{args.train}_{args.public}_{name}_{args.patch}"
    slug = "".join(letter if letter.isalnum() else "_" for letter in named)
    start = args.output_dir / f"{slug}_converted"
    folder = args.output_dir / f"{slug}_{args.adapt_steps}_{args.adapt_rate}"
    if not (start / "model.safetensors").exists():
        (model, processor), _ = converted(args, encryption, public)
        for part in (processor, encryption, model):
            part.save_pretrained(start)
    options = {
        "model_name_or_path": start,
        "teacher_name_or_path": args.weights,
        "pictures": public_file(args),
        "output_dir": folder,
        "max_train_steps": args.adapt_steps,
        "learning_rate": args.adapt_rate,
        "layer_decay": args.layer_decay,
        "per_device_train_batch_size": 16,
        "checkpoint_every": max(1, args.adapt_steps // 4),
    }
    command = [sys.executable, str(ROOT / "examples" / "adapt_backbone.py"), "--resume"]
    command += [part for option, value in options.items() for part in (f"--{option}", str(value))]
    if not (folder / "all_results.json").exists():
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
        subprocess.run(command, env=environment, check=True)
    told = json.loads((folder / "all_results.json").read_text())
    model = PEViTForImageClassification.from_pretrained(folder)
    return (model, PEViTImageProcessorPil.from_pretrained(folder)), told
