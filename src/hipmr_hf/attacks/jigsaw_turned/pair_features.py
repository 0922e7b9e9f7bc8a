"""Features of pairs of patches that stay the same however each of the two was turned.

Borders are compared side with side in both directions, and the best fits count; descriptors are compared one
by one and, with a metric learned from true neighbours, all at once (the likelihood ratio of Koestinger et
al., "Large scale metric learning from equivalence constraints", CVPR 2012). Each figure comes as it is and
relative to what both patches have with all others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..jigsaw.compiled import compiled
from .descriptors import (
    CENTRED,
    UNIT,
    WHOLE,
    restored,
    sides,
    texture_descriptors,
    textures,
    to_opponent,
    tone_descriptors,
)

if TYPE_CHECKING:
    from ...encryption.random_shuffling import RandomShuffling

Learned = Callable[[np.ndarray], np.ndarray]
"""Uint8 (num_patches, size, size, channels) to scores of all pairs, as a trained network gives them."""

UPRIGHT = ((0, 1), (1, 0), (2, 3), (3, 2))


@dataclasses.dataclass(frozen=True)
class View:
    """What an attacker can use of the settings.

    Args:
        left: what the settings leave of a patch, as in `descriptors.restored`.
        upright: whether no patch was turned, so that only facing sides need to be compared.
    """

    left: str
    upright: bool


def view_of(encryption: RandomShuffling) -> View:
    """Tell what the settings leave to compare.

    Example:
        >>> from hipmr_hf import RandomShuffling
        >>> view_of(RandomShuffling(sub_patch_symmetries=True))
        View(left='whole', upright=False)
    """
    left = CENTRED if encryption.patch_normalization else UNIT if encryption.shuffle_tones else WHOLE
    return View(left, upright=not encryption.sub_patch_symmetries)


class Patches:
    """The patches of one picture, described.

    Args:
        pieces: uint8 (num_patches, size, size, channels).
        view: what can be used.
        learned: scores the pairs of such pieces, float (num_patches, num_patches); None without a network.
    """

    def __init__(self, pieces: np.ndarray, view: View, learned: Learned | None = None):
        values = to_opponent(restored(pieces, view.left))
        texture = values / 20 if view.left == UNIT else textures(values)
        described = texture_descriptors(texture, pieces), tone_descriptors(values)
        self.described = np.concatenate(described, axis=1)
        # How much of a texture its contrast carries through the rounding, and how much there is to compare.
        self.weights = np.log(np.stack([pieces.std((1, 2)).mean(1), values.std((1, 2))[:, 0]], 1) + 1)
        kinds = [texture] if view.left == UNIT else [texture, values / 25]
        self.borders = [sides(kind, beyond=beyond) for kind in kinds for beyond in (0.0, 0.5)]
        self.borders.append(_affine(sides(values, beyond=0.0), values.shape[-1]))
        self.upright = view.upright
        self.learned = None if learned is None else learned(pieces)

    def __len__(self) -> int:
        return len(self.described)


def pair_features(patches: Patches, metric: Metric) -> np.ndarray:
    """Compute the features of all pairs i < j, in the order of `np.triu_indices`.

    Args:
        patches: of one picture.
        metric: from `Metric.fit`.

    Returns:
        float32 (pairs, features).
    """
    first, second = np.triu_indices(len(patches), 1)
    described = patches.described
    columns = [np.abs(described[first] - described[second])]
    columns.append(np.stack([metric(described, first, second), np.square(columns[0]).mean(1)], 1))
    for border in patches.borders:
        columns.append(border_costs(border, border_combinations(upright=False)))
        if patches.upright:
            columns.append(border_costs(border, border_combinations(upright=True)))
    if patches.learned is not None:
        columns.append(patches.learned[first, second][:, None])
    plain = np.concatenate(columns, axis=1)
    own = patches.weights[first], patches.weights[second]
    relative = _relative(plain, first, second, len(patches))
    return np.concatenate([plain, relative, np.minimum(*own), np.maximum(*own)], axis=1, dtype=np.float32)


class Metric:
    """How much likelier a difference of descriptors is between neighbours than between any two patches."""

    def __init__(self, matrix: np.ndarray):
        self.matrix = matrix

    @classmethod
    def fit(cls, beside: np.ndarray, apart: np.ndarray) -> Metric:
        """Learn it from differences of descriptors, (pairs, descriptors) each."""
        inverses = []
        for differences in (beside, apart):
            covariance = differences.T.astype(np.float64) @ differences / len(differences)
            covariance += np.eye(len(covariance)) * (1e-3 * np.trace(covariance) / len(covariance) + 1e-9)
            inverses.append(np.linalg.inv(covariance))
        return cls((inverses[0] - inverses[1]).astype(np.float32))

    def __call__(self, described: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Score pairs of patches: lower for neighbours."""
        products = described @ self.matrix @ described.T
        own = np.diag(products)
        distance = own[:, None] + own[None] - products - products.T
        return distance[first, second]


def border_combinations(*, upright: bool) -> np.ndarray:
    """Which directed sides of two patches can touch: int (combinations, 2)."""
    if upright:
        return np.array([(2 * a, 2 * b) for a, b in UPRIGHT])
    return np.array([(2 * a, b) for a in range(4) for b in range(8)])


def border_costs(border: np.ndarray, combinations: np.ndarray) -> np.ndarray:
    """Compare borders by the mean root of their differences.

    Returns:
        float32 (pairs, 3): the best fit, the second best, and the mean over all combinations.
    """
    count = len(border)
    out = np.empty((count * (count - 1) // 2, 3), np.float32)
    _border_costs(border, combinations, out)
    return out


@compiled
def _border_costs(border, combinations, out):
    count, length = len(border), border.shape[2]
    at = 0
    for i in range(count):
        for j in range(i + 1, count):
            best, second, total = np.float32(1e9), np.float32(1e9), np.float32(0)
            for k in range(len(combinations)):
                a, b = border[i, combinations[k, 0]], border[j, combinations[k, 1]]
                cost = np.float32(0)
                for m in range(length):
                    cost += np.sqrt(np.abs(a[m] - b[m]))
                total += cost
                if cost < best:
                    best, second = cost, best
                elif cost < second:
                    second = cost
            out[at, 0], out[at, 1] = best / length, second / length
            out[at, 2] = total / (length * len(combinations))
            at += 1


def _affine(border: np.ndarray, channels: int) -> np.ndarray:
    """Take away the mean and contrast of each border, per channel."""
    shaped = border.reshape(*border.shape[:2], -1, channels)
    centred = shaped - shaped.mean(2, keepdims=True)
    return np.ascontiguousarray((centred / (shaped.std(2, keepdims=True) + 3)).reshape(border.shape))


def _relative(plain: np.ndarray, first: np.ndarray, second: np.ndarray, count: int) -> np.ndarray:
    """Each figure against the mean that its two patches have with all others."""
    square = np.zeros((count, count, plain.shape[1]), np.float32)
    square[first, second] = plain
    means = (square.sum(1) + square.sum(0)) / max(1, count - 1)
    return plain - (means[first] + means[second]) / 2
