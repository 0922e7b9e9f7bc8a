"""Seconds that the jigsaw attack takes for a puzzle, by the width of its patches.

    python benchmarks/speed/run_all.py --only attacks

Photographs of 224x224, the default effort, compiling excluded; Nc, the share of neighbours found, beside it.
"""

import numpy as np

from benchmarks.harness.attacking import compile_solver
from benchmarks.harness.photographs import photographs
from benchmarks.harness.settings import SIDE, shuffling
from benchmarks.harness.timing import Row, quartiles
from hipmr_hf import RandomShuffling
from hipmr_hf.attacks.base import encrypt_with_truth
from hipmr_hf.attacks.jigsaw.solver import JigsawAttack, JigsawResult


def measure(quick: bool) -> list[Row]:
    """Solve puzzles of 64, 196 and 784 patches, one photograph each."""
    effort = {"rounds": 1, "steps": 10} if quick else {}
    compile_solver()
    pictures = photographs(1 if quick else 3, SIDE, SIDE)
    rows = []
    for patch_size in (28, 16) if quick else (28, 16, 8):
        encryption = shuffling(patch_size=patch_size)
        results = [solve(encryption, picture, effort) for picture in pictures]
        right = np.mean([result.scores["neighbour"] for result in results])
        what = f"jigsaw, {encryption.num_patches} patches of {patch_size} pixels, Nc {right:.2f}"
        seconds = quartiles([result.cpu_seconds for result in results])
        rows.append({"what": what, "unit": "s a puzzle", "rate": seconds, "rounds": len(results)})
    return rows


def solve(encryption: RandomShuffling, picture: np.ndarray, effort: dict) -> JigsawResult:
    sample = encrypt_with_truth(encryption, encryption.prepare(picture)[None])
    return JigsawAttack(encryption, **effort)(sample.images[0], sample.positions[0])
