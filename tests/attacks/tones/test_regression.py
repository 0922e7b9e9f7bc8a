"""What is learned deals tones back where textures tell of them, and by chance where they do not."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from hipmr_hf.attacks.tones import regression

PATCHES = 16


def finer_where_brighter(rng: np.random.Generator, *, coupled: bool) -> tuple[np.ndarray, np.ndarray]:
    """Patches of noise, finer the brighter they were, or not, with tones dealt out; who has whose tone."""
    fineness, order = rng.permutation(PATCHES) / PATCHES, rng.permutation(PATCHES)
    brightness = fineness if coupled else rng.permutation(fineness)
    noise = rng.normal(size=(PATCHES, 16, 16, 3))
    share = fineness[:, None, None, None]
    texture = share * noise + (1 - share) * np.cumsum(noise, axis=1) / 2
    texture = (texture - texture.mean((1, 2), keepdims=True)) / texture.std((1, 2), keepdims=True)
    dealt = 60 + 120 * brightness[order][:, None, None, None] + 12 * texture
    return np.rint(dealt).clip(0, 255).astype(np.uint8), np.argsort(order)


@pytest.mark.parametrize("coupled", [True, False])
def test_what_is_learned_deals_tones_back_only_where_textures_tell_of_them(coupled):
    rng = np.random.default_rng(0)
    pictures = [finer_where_brighter(rng, coupled=coupled) for _ in range(40)]
    fitted = regression.fit(pictures[10:], pictures[:10])
    found = []
    for _ in range(20):
        patches, own = finer_where_brighter(rng, coupled=coupled)
        odds = regression.learned_odds(patches, fitted)
        found.append(np.mean(linear_sum_assignment(-odds)[1] == own))

    assert np.mean(found) > 3 / PATCHES if coupled else np.mean(found) < 2 / PATCHES


def test_grey_pictures_can_be_learned_from():
    rng = np.random.default_rng(0)
    pictures = [finer_where_brighter(rng, coupled=True) for _ in range(4)]
    grey = [(np.repeat(patches[..., :1], 3, axis=-1), own) for patches, own in pictures]

    fitted = regression.fit(grey[1:], grey[:1])

    assert np.isfinite(regression.learned_odds(grey[0][0], fitted)).all()
