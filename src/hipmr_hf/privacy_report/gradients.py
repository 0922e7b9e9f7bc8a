"""Recovery of inputs from the gradients of a training step, which a server in federated training sees."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from .records import GRADIENT, AttackRecord

if TYPE_CHECKING:
    from ..encryption.base import Encryption
    from .bench import Bench

_MODEL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
_SIDE = 3
"""Patches a side of what is recovered: more tokens than the model is wide have no exact answer."""

_NAMES = ("recovered", "patch_psnr", "in_place")


def cannot_recover(bench: Bench) -> str | None:
    """Tell why nothing is recovered from gradients, or None."""
    if not bench.effort.gradient_steps:
        return f"{bench.effort.name} effort leaves it out"
    if min(bench.plain.shape[1:3]) < _SIDE * bench.encryption.patch_size:
        return f"images have fewer than {_SIDE} patches a side"
    return None


def gradient_leakage(bench: Bench) -> AttackRecord:
    """Recover the middle of one encrypted image from the gradients of a small, freshly built PEViT."""
    import torch

    from ..attacks.gradients.leakage import gradient_leakage as attack
    from ..training.classification import build_pevit

    encryption, encrypted = _middle(bench)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(bench.seed)
        # The paper's embeddings: the attack reads no invariant one, which is the default for turned patches.
        embedding = "nonlinear" if encryption.strategy == "mi" else "linear"
        model, _ = build_pevit(encryption, size="tiny", num_labels=10, patch_embedding=embedding, **_MODEL)
    result = attack(model, encrypted, [0], steps=bench.effort.gradient_steps, seed=bench.seed)
    return AttackRecord(
        attack="gradient_leakage",
        title="recovering encrypted patches from gradients",
        kind=GRADIENT,
        knows=f"the gradients of one training step on one image of {_SIDE**2} patches, and the model",
        measure="recovered",
        scores={name: [result.scores[name]] for name in _NAMES},
        chance={name: result.chance[name] for name in _NAMES},
        effort=dict(result.effort),
        cpu_seconds=result.cpu_seconds,
        notes=[
            "What comes back is the encrypted image, on which the other attackers go on. Larger batches and "
            "images of more patches than the model is wide are harder."
        ],
    )


def _middle(bench: Bench) -> tuple[Encryption, np.ndarray]:
    """Encrypt the middle of the first image like the rest, none of its patches dropped."""
    side = _SIDE * bench.encryption.patch_size
    changes = {"image_size": side} | ({"drop_ratio": 0.0} if bench.shuffled else {})
    encryption = dataclasses.replace(bench.encryption, **changes)
    top, left = ((size - side) // 2 for size in bench.plain.shape[1:3])
    return encryption, encryption.encrypt_batch(bench.plain[:1, top : top + side, left : left + side])
