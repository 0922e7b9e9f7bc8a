"""Weights that a training starts from: random ones, DINOv2-small's converted, and those adapted."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np

from benchmarks.accuracy.pretrained_data import public_file
from benchmarks.harness.pages import ROOT
from hipmr_hf import Encryption, MixingUp, RandomShuffling
from hipmr_hf.adaptation.refit import refit_patch_embedding
from hipmr_hf.encryption.preset_table import PRESETS
from hipmr_hf.models import PEViTForImageClassification, PEViTImageProcessorPil
from hipmr_hf.models.convert_transformers import load_pevit_from_transformers
from hipmr_hf.training.patch_embedding import fitting_embedding

SIDE = 64
PRESET, QUARTER = "preset classification", "quarter interval"
"""The preset, which loses half of each patch's width, and the same with the quarter that it lost at first."""
OTHERS = ("preset reversible", "preset dense", "preset strongest", "preset paper-mi")
_ALL = {"interval": 0.5, "sub_patch_symmetries": True, "shuffle_tones": True}
PARTS = {
    "RS, half interval": {"interval": 0.5},
    "RS, tones apart": {"shuffle_tones": True},
    "RS, half interval, turns, tones apart": _ALL,
}
"""What of the preset's knobs costs what, beside turns alone, `reversible`; and all of them but its mixing."""
SETTINGS = ("plain", "RS", *PARTS, QUARTER, PRESET, *OTHERS)
"""The preset `paper-rs` is RS."""
WEIGHTS = ("random", "own_embedding", "own_embedding_adapted", "converted", "adapted")
"""Converted with DINOv2's own patch embedding, or with one fitted where patches are changed."""
Model = tuple[PEViTForImageClassification, PEViTImageProcessorPil]
_FITTED_ON = 1000  # public pictures that a new embedding is fitted on


def encryption_of(name: str, patch: int) -> Encryption | None:
    """Settings by name, for pictures of 64 pixels and patches of any width.

    The presets themselves take patches of 8 at that size; wider ones have their knobs.

    Example:
        >>> encryption_of(PRESET, 8) == Encryption.from_preset("classification", image_size=SIDE)
        True
    """
    if name == "plain":
        return None
    size = {"image_size": SIDE, "patch_size": patch}
    if name == "RS":
        return RandomShuffling(**size)
    if name in PARTS:
        knobs = PARTS[name]
        return RandomShuffling(**size, **knobs | {"interval": round(knobs.get("interval", 0) * patch)})
    preset = PRESETS["classification" if name == QUARTER else name.removeprefix("preset ")]
    if preset.strategy == "mi":
        return MixingUp(**size, **preset.knobs)
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
    if weights == "own_embedding":
        return own_embedding(args, encryption), {}
    if weights == "converted":
        return converted(args, encryption, public)
    if weights == "own_embedding_adapted":
        return adapted(args, encryption, lambda: own_embedding(args, encryption), f"{name} own")
    return adapted(args, encryption, lambda: converted(args, encryption, public)[0], name)


def refits(encryption: Encryption | None) -> bool:
    """Whether patches are changed, so that converted weights get a new embedding beside DINOv2's own."""
    return encryption is not None and fitting_embedding(encryption) != "linear"


def own_embedding(args: argparse.Namespace, encryption: Encryption | None) -> Model:
    """Convert the weights; the patch embedding is their own, at the width of the encrypted patches."""
    width = args.patch if encryption is None else encryption.encrypted_patch_size
    model, processor, _ = load_pevit_from_transformers(
        str(args.weights),
        position_encoding=_positions(encryption),
        patch_size=width,
        image_size=SIDE // args.patch * width,
    )
    return model, processor


def converted(
    args: argparse.Namespace, encryption: Encryption | None, public: list[np.ndarray]
) -> tuple[Model, dict]:
    """Convert the weights, with a new embedding where patches are changed."""
    if not refits(encryption):
        return own_embedding(args, encryption), {}
    model, processor, _ = load_pevit_from_transformers(
        str(args.weights),
        position_encoding=_positions(encryption),
        patch_size=args.patch,
        image_size=SIDE,
    )
    kind = fitting_embedding(encryption)
    model, processor, report = refit_patch_embedding(
        model, processor, encryption, public[:_FITTED_ON], patch_embedding=kind
    )
    return (model, processor), {"explained": report.explained}


def untrained(args: argparse.Namespace, encryption: Encryption | None) -> Model:
    """The same architecture with random weights."""
    width = args.patch if encryption is None else encryption.encrypted_patch_size
    model, _, _ = load_pevit_from_transformers(
        str(args.weights),
        position_encoding=_positions(encryption),
        patch_embedding="linear" if encryption is None else fitting_embedding(encryption),
        patch_size=width,
        image_size=SIDE // args.patch * width,
    )
    return PEViTForImageClassification(model.config), PEViTImageProcessorPil(patch_size=width)


def _positions(encryption: Encryption | None) -> str:
    """Positions for patches that keep their places, none for those that are shuffled."""
    return "none" if encryption is not None and encryption.strategy == "rs" else "absolute"


def adapted(
    args: argparse.Namespace, encryption: Encryption, convert: Callable[[], Model], name: str
) -> tuple[Model, dict]:
    """Adapt converted weights with the example, which goes on where it was stopped."""
    named = f"{args.data}_{args.train}_{args.public}_{name}_{args.patch}"
    slug = "".join(letter if letter.isalnum() else "_" for letter in named)
    start = args.output_dir / f"{slug}_converted"
    folder = args.output_dir / f"{slug}_{args.adapt_steps}_{args.adapt_rate}"
    if not (start / "model.safetensors").exists():
        model, processor = convert()
        for part in (processor, encryption, model):
            part.save_pretrained(start)
    options = {
        "model_name_or_path": start,
        "teacher_name_or_path": args.weights,
        "pictures": public_file(args),
        "output_dir": folder,
        "max_pictures": args.public,
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
