"""Puzzles that every audit must solve, and others that it must not, before its figures mean anything."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..attacks.base import encrypt_with_truth, grid_shape, split_mosaic
from ..attacks.jigsaw.pair_scores import fit_weights
from ..attacks.jigsaw.solver import JigsawAttack
from ..encryption.random_shuffling import RandomShuffling
from ..metrics.alike_patches import pairs_of_kinds, share_alike
from .bench import Effort, described
from .grade import share
from .records import plain_json
from .sample import LEAST_TO_LEARN_FROM

if TYPE_CHECKING:
    from ..attacks.jigsaw.weights import PairWeights
    from ..encryption.base import Encryption

SOLVED = 0.95
"""Share of true neighbours that must be put back in the easy puzzles of the owner's images."""

_PIECES, _SMALLEST = 8, 14
_FLAT, _LEAST_FILLED = 3.0, 0.1
"""Contrast in grey levels below which a patch is empty; share of patches below which images are."""
_NOISE = 0.9
"""Mean step between pixels, in contrasts, from which on a patch is noise; strangers have 1.13."""
_FITTED_ON = 16
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
        counts: whether the audit is invalid if it did not; where images are hard for the solver and not
            empty, other controls count instead.
    """

    name: str
    settings: str
    n: int
    neighbour: float
    chance: float
    expected: str
    passed: bool
    counts: bool = True

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
    encryption: Encryption,
    images: Sequence[np.ndarray],
    *,
    effort: Effort,
    seed: int,
    others: Sequence[np.ndarray] = (),
) -> list[Control]:
    """Solve easy puzzles of the owner's images, and try others of noise.

    The solver's weights come from photographs. Where it fails on the owner's images, it is weighed anew on
    others of them, as an attacker would; where it fails still, though there is something in them, photographs
    must fall, which shows that the audit works and that the images are hard for this attacker.

    Args:
        encryption: a setting under audit, of fixed size.
        images: uint8 (height, width, 3) each; the first `effort.images` are used.
        effort: how hard to try.
        seed: of the search and the noise.
        others: images of the owner's that are not attacked; with fewer than four nothing is weighed anew.
    """
    tried = _Tried(encryption, easy_settings(encryption), effort, seed)
    plain = tried.prepared(images[: effort.images])
    filled = _filled(tried.settings, plain) >= _LEAST_FILLED
    sampled = tried.easy("easy puzzles of the sampled images", plain)
    noise = tried.hopeless(np.random.default_rng(seed).integers(0, 256, plain.shape, dtype=np.uint8))
    if not filled:
        return [dataclasses.replace(sampled, passed=False), noise]
    if sampled.passed:
        return [sampled, noise]
    hard = [sampled]
    if len(others) >= LEAST_TO_LEARN_FROM:
        weights = fit_weights(tried.settings, tried.prepared(others[:_FITTED_ON]))
        anew = tried.easy("easy puzzles, weighed on others of your images", plain, weights)
        if anew.passed:
            return [anew, noise]
        hard.append(anew)
    known = tried.easy("easy puzzles of photographs", tried.prepared(_photographs(len(plain))))
    told = [dataclasses.replace(control, counts=False) for control in hard]
    return [told[0], noise, *told[1:], known]


@dataclasses.dataclass(frozen=True)
class _Tried:
    """What is the same for all puzzles of an audit."""

    encryption: Encryption
    settings: RandomShuffling
    effort: Effort
    seed: int

    def prepared(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """By way of the setting's own size: images smaller than an easy patch are enlarged there."""
        return np.stack([self.settings.prepare(self.encryption.prepare(image)) for image in images])

    def easy(self, name: str, plain: np.ndarray, weights: PairWeights | None = None) -> Control:
        """Puzzles that must fall."""
        found, chance = _neighbours(self.settings, plain, self.effort, self.seed, weights)
        expected = f"more than {share(SOLVED)}"
        return Control(name, described(self.settings), len(plain), found, chance, expected, found > SOLVED)

    def hopeless(self, noise: np.ndarray) -> Control:
        """Puzzles that must not."""
        found, chance = _neighbours(self.settings, noise, self.effort, self.seed)
        bound = max(_GUESSES * chance, chance + 0.1)
        expected = f"less than {share(bound)}"
        return Control(
            "puzzles of noise", described(self.settings), len(noise), found, chance, expected, found < bound
        )


def _filled(settings: RandomShuffling, plain: np.ndarray) -> float:
    """Share of patches with anything in them: neither flat nor noise, whose pixels do not know each other."""
    size, (count, height, width, channels) = settings.patch_size, plain.shape
    tiled = plain.reshape(count, height // size, size, width // size, size, channels).astype(np.float32)
    contrast = tiled.std(axis=(2, 4))
    steps = np.abs(np.diff(tiled, axis=4)).mean(axis=(2, 4))
    return float(((contrast > _FLAT) & (steps < _NOISE * contrast)).any(axis=-1).mean())


def _photographs(count: int) -> list[np.ndarray]:
    """Crops of the two photographs that come with scikit-learn."""
    from sklearn.datasets import load_sample_image

    photos = [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    return [np.ascontiguousarray(photos[k % 2][:, 40 * (k // 2) : 40 * (k // 2) + 427]) for k in range(count)]


def _neighbours(
    settings: RandomShuffling,
    plain: np.ndarray,
    effort: Effort,
    seed: int,
    weights: PairWeights | None = None,
) -> tuple[float, float]:
    """Mean share of neighbours put back, patches that are equal counted as one another, and chance."""
    sample, shape = encrypt_with_truth(settings, plain), grid_shape(settings)
    attack = JigsawAttack(settings, weights, rounds=effort.rounds, steps=effort.steps, seed=seed)
    shares, chance = [], 0.0
    for image, truth in zip(sample.images, sample.positions, strict=True):
        result = attack(image, truth)
        pieces = split_mosaic(image, settings.encrypted_patch_size)
        kinds = np.unique(pieces.reshape(len(pieces), -1), axis=0, return_inverse=True)[1].ravel()
        found, true = (pairs_of_kinds(kinds, cells, shape) for cells in (result.positions, truth))
        shares.append(share_alike(found, true))
        chance = result.chance["neighbour"]
    return float(np.mean(shares)), chance
