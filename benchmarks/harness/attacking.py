"""A photograph encrypted so that an attack on it can be scored, and the solver ready before a clock runs."""

import numpy as np

from hipmr_hf import RandomShuffling
from hipmr_hf.attacks.base import encrypt_with_truth, split_mosaic
from hipmr_hf.attacks.jigsaw.solver import JigsawAttack


def compile_solver() -> None:
    """Solve something tiny; the first puzzle of a process compiles the search."""
    JigsawAttack(RandomShuffling(image_size=64), rounds=1, steps=10)(np.zeros((64, 64, 3), np.uint8))


def puzzle(encryption: RandomShuffling, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Encrypt a photograph afresh; return its patches, and the places where they belong."""
    sample = encrypt_with_truth(encryption, encryption.prepare(photo)[None])
    return split_mosaic(sample.images[0], encryption.encrypted_patch_size), sample.positions[0]
