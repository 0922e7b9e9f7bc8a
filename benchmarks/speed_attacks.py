"""Seconds that the jigsaw attack takes for a puzzle, by the width of its patches.

    python benchmarks/speed_attacks.py

Photographs of 224x224, the default effort, compiling excluded; Nc, the share of neighbours found, beside it.
"""

import numpy as np
from photographs import photographs
from timing import Row, quartiles, run_alone

from hipmr_hf import RandomShuffling
from hipmr_hf.attacks.base import encrypt_with_truth
from hipmr_hf.attacks.jigsaw.solver.solver import JigsawAttack

SIZE = 224


def measure(quick: bool) -> list[Row]:
    """Solve puzzles of 64, 196 and 784 patches, one photograph each."""
    effort = {"rounds": 1, "steps": 10} if quick else {}
    JigsawAttack(RandomShuffling(64), rounds=1, steps=10)(np.zeros((64, 64, 3), np.uint8))  # compiles
    pictures = photographs(1 if quick else 3, SIZE, SIZE)
    rows = []
    for patch_size in (28, 16) if quick else (28, 16, 8):
        encryption = RandomShuffling(SIZE, patch_size)
        results = [solve(encryption, picture, effort) for picture in pictures]
        right = np.mean([result.scores["neighbour"] for result in results])
        what = f"jigsaw, {encryption.num_patches} patches of {patch_size} pixels, Nc {right:.2f}"
        seconds = quartiles([result.cpu_seconds for result in results])
        rows.append({"what": what, "unit": "s a puzzle", "rate": seconds, "rounds": len(results)})
    return rows


def solve(encryption: RandomShuffling, picture: np.ndarray, effort: dict):
    sample = encrypt_with_truth(encryption, encryption.prepare(picture)[None])
    return JigsawAttack(encryption, **effort)(sample.images[0], sample.positions[0])


if __name__ == "__main__":
    run_alone("attacks", __doc__, measure)
