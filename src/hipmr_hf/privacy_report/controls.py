"""Puzzles that every audit must solve, and others that it must not, before its figures mean anything."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..attacks.base import encrypt_with_truth
from ..attacks.jigsaw.solver import JigsawAttack
from ..encryption.random_shuffling import RandomShuffling
from .bench import Effort, described
from .grade import share
from .records import plain_json

if TYPE_CHECKING:
    from ..encryption.base import Encryption

SOLVED = 0.95
"""Share of true neighbours that must be put back in the easy puzzles of the owner's images."""

_PIECES, _SMALLEST = 8, 14
_GUESSES = 3.0


@dataclasses.dataclass(frozen=True)
class Control:
    """An easy puzzle, which must fall, or a hopeless one, which must not.

    Args:
        name: what was tried.
        settings: the puzzle, in words.
        n: images.
        neighbour: share of true neighbours put back, mean over images.
        chance: what guessing gives.
        expected: in words.
        passed: whether it came out as expected.
    """

    name: str
    settings: str
    n: int
    neighbour: float
    chance: float
    expected: str
    passed: bool

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return plain_json(dataclasses.asdict(self))


def easy_settings(encryption: Encryption) -> RandomShuffling:
    """Give the easy puzzle for images of the size that a setting uses: patch 28 at 224 pixels, nothing lost.

    Smaller images get an eighth of their shorter side as patch, and never less than 14 pixels where a puzzle
    of 9 patches or more is left; below that, a third of the side.

    Example:
        >>> easy_settings(RandomShuffling()).patch_size
        28
        >>> described(easy_settings(RandomShuffling(image_size=64, patch_size=8)))
        'RS, 56x56, patch 14'
    """
    size = encryption.image_size
    side = min(size) if isinstance(size, tuple) else size
    patch = min(max(side // _PIECES, _SMALLEST), side // 3)
    return RandomShuffling(image_size=side // patch * patch, patch_size=patch)


def run_controls(
    encryption: Encryption, images: Sequence[np.ndarray], *, effort: Effort, seed: int
) -> list[Control]:
    """Solve easy puzzles of the owner's images, and try others of noise.

    Args:
        encryption: a setting under audit, of fixed size.
        images: uint8 (height, width, 3) each; the first `effort.images` are used.
        effort: how hard to try.
        seed: of the search and the noise.
    """
    settings = easy_settings(encryption)
    # By way of the setting's own size: images smaller than an easy patch are enlarged there.
    plain = np.stack([settings.prepare(encryption.prepare(image)) for image in images[: effort.images]])
    noise = np.random.default_rng(seed).integers(0, 256, plain.shape, dtype=np.uint8)
    found, chance = _neighbours(settings, plain, effort, seed)
    by_luck, _ = _neighbours(settings, noise, effort, seed)
    bound = max(_GUESSES * chance, chance + 0.1)
    return [
        Control(
            "easy puzzles of the sampled images",
            described(settings),
            len(plain),
            found,
            chance,
            f"more than {share(SOLVED)}",
            found > SOLVED,
        ),
        Control(
            "puzzles of noise",
            described(settings),
            len(noise),
            by_luck,
            chance,
            f"less than {share(bound)}",
            by_luck < bound,
        ),
    ]


def _neighbours(
    settings: RandomShuffling, plain: np.ndarray, effort: Effort, seed: int
) -> tuple[float, float]:
    sample = encrypt_with_truth(settings, plain)
    attack = JigsawAttack(settings, rounds=effort.rounds, steps=effort.steps, seed=seed)
    results = [attack(image, truth) for image, truth in zip(sample.images, sample.positions, strict=True)]
    return float(np.mean([result.scores["neighbour"] for result in results])), results[0].chance["neighbour"]
