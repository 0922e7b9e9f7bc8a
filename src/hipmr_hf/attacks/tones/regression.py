"""What other pictures teach: which tones go with which textures.

A regression tells the tone of a patch from its texture, by what turning the patch does not change. Both are
taken beside their means over the picture, for the palette of every picture is public.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.multioutput import MultiOutputRegressor

from ..jigsaw_turned.descriptors import UNIT, restored, texture_descriptors, textures, to_opponent

_LEAST_CONTRAST = 1.0
_RIDGE = 1e-3  # of a variance: grey pictures have no colours that vary
_GREY_LEVELS = 30  # in which means are counted, so that they vary about as much as the contrasts' logarithms
_ITERATIONS = 60

Picture = tuple[np.ndarray, np.ndarray]
"""Patches uint8 (num_patches, size, size, channels), and for each the index of the one that has its tone."""


class Regression(NamedTuple):
    """What was learned, and how far it is out on patches that it did not learn from."""

    model: MultiOutputRegressor
    precision: np.ndarray  # (values, values), of what is left when the tone was told
    prior: np.ndarray  # the same of a tone about which nothing is told


def describe(patches: np.ndarray) -> np.ndarray:
    """Describe textures, and once more beside the picture's mean: (num_patches, descriptors)."""
    texture = textures(to_opponent(restored(patches, UNIT)))
    described = texture_descriptors(texture, patches)
    return np.concatenate([described, described - described.mean(axis=0)], axis=1)


def measure_tones(patches: np.ndarray) -> np.ndarray:
    """Means and contrasts beside those of the whole picture, about of unit size: (num_patches, values)."""
    values = to_opponent(patches.astype(np.float32))
    mean = values.mean(axis=(1, 2))
    contrast = patches.astype(np.float32).std(axis=(1, 2))
    tones = np.concatenate([mean / _GREY_LEVELS, np.log(contrast + _LEAST_CONTRAST)], axis=1)
    return tones - tones.mean(axis=0)


def fit(learned: Sequence[Picture], kept: Sequence[Picture]) -> Regression:
    """Learn from encrypted pictures whose truth is known.

    Args:
        learned: patches, and for each the index of the patch that has its tone now.
        kept: the same; tell how far the regression is out.
    """
    model = MultiOutputRegressor(HistGradientBoostingRegressor(max_iter=_ITERATIONS, random_state=0))
    model.fit(*_pairs(learned))
    described, tones = _pairs(kept)
    return Regression(model, precision_of(tones - model.predict(described)), precision_of(tones))


def _pairs(pictures: Sequence[Picture]) -> tuple[np.ndarray, np.ndarray]:
    described = np.concatenate([describe(patches) for patches, _ in pictures])
    return described, np.concatenate([measure_tones(patches)[own] for patches, own in pictures])


def precision_of(values: np.ndarray) -> np.ndarray:
    """Invert the covariance of values: (count, values) to (values, values)."""
    return np.linalg.inv(np.cov(values, rowvar=False) + _RIDGE * np.eye(values.shape[1]))


def learned_odds(patches: np.ndarray, regression: Regression) -> np.ndarray:
    """Tell how much likelier than by chance each tone is a texture's own: (num_patches, num_patches)."""
    tones = measure_tones(patches)
    told = distances(regression.model.predict(describe(patches)), tones, regression.precision)
    return distances(np.zeros_like(tones[:1]), tones, regression.prior) - told


def distances(told: np.ndarray, tones: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Half the squared distance of what was told of each texture from each tone, in units of its spread.

    Example:
        >>> distances(np.zeros((1, 2)), np.array([[0.0, 0.0], [2.0, 0.0]]), np.eye(2)).tolist()
        [[0.0, 2.0]]
    """
    factor = np.linalg.cholesky(precision)
    return cdist(told @ factor, tones @ factor, "sqeuclidean") / 2
