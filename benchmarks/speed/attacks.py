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

LARGE, AIM = 8, 10
REASON = "most of it is comparing borders, each of nine ways for 614,000 ordered pairs in two directions"


def measure(quick: bool) -> list[Row]:
    """Solve puzzles of 64, 196 and 784 patches, one photograph each."""
    effort = {"rounds": 1, "steps": 10} if quick else {}
    compile_solver()
    pictures = photographs(1 if quick else 3, SIDE, SIDE)
    rows = []
    for patch_size in (28, 16) if quick else (28, 16, LARGE):
        encryption = shuffling(patch_size=patch_size)
        results = [solve(encryption, picture, effort) for picture in pictures]
        right = np.mean([result.scores["neighbour"] for result in results])
        what = f"jigsaw, {encryption.num_patches} patches of {patch_size} pixels, Nc {right:.2f}"
        seconds = quartiles([result.cpu_seconds for result in results])
        line: Row = {"what": what, "unit": "s a puzzle", "rate": seconds, "rounds": len(results)}
        if patch_size == LARGE:
            line |= {"aim": AIM, "at_most": True, "absolute": True, "reason": REASON}
        rows.append(line)
    return rows


def solve(encryption: RandomShuffling, picture: np.ndarray, effort: dict) -> JigsawResult:
    sample = encrypt_with_truth(encryption, encryption.prepare(picture)[None])
    return JigsawAttack(encryption, **effort)(sample.images[0], sample.positions[0])
