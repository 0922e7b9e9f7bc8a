"""Deal tones back by what other photographs teach: which tones go with which textures.

A regression tells the tone of a patch from its texture, by what turning the patch does not change. Both are
taken beside their means over the picture, for the palette of every picture is public.
"""

from typing import NamedTuple

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.multioutput import MultiOutputRegressor

from hipmr_hf.attacks.jigsaw_turned.descriptors import (
    UNIT,
    restored,
    texture_descriptors,
    textures,
    to_opponent,
)

_LEAST_CONTRAST = 1.0


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
    tones = np.concatenate([mean / 30, np.log(contrast + _LEAST_CONTRAST)], axis=1)
    return tones - tones.mean(axis=0)


def fit(pictures: list[tuple[np.ndarray, np.ndarray]]) -> Regression:
    """Learn from encrypted pictures whose truth is known.

    Args:
        pictures: patches, and for each the index of the patch that has its tone now. Every fourth is kept to
            tell how far the regression is out.
    """

    def pairs(chosen: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
        described = np.concatenate([describe(patches) for patches, _ in chosen])
        return described, np.concatenate([measure_tones(patches)[own] for patches, own in chosen])

    learned, kept = [one for number, one in enumerate(pictures) if number % 4], pictures[::4]
    model = MultiOutputRegressor(HistGradientBoostingRegressor(max_iter=60, random_state=0)).fit(
        *pairs(learned)
    )
    described, tones = pairs(kept)
    left = np.cov(tones - model.predict(described), rowvar=False)
    return Regression(model, np.linalg.inv(left), np.linalg.inv(np.cov(tones, rowvar=False)))


def log_odds(patches: np.ndarray, regression: Regression) -> np.ndarray:
    """Tell how much likelier than by chance each tone is a texture's own: (num_patches, num_patches)."""
    told, tones = regression.model.predict(describe(patches)), measure_tones(patches)
    apart = told[:, None] - tones
    conditional = np.einsum("tij,jk,tik->ti", apart, regression.precision, apart)
    marginal = np.einsum("ij,jk,ik->i", tones, regression.prior, tones)
    return (marginal - conditional) / 2
