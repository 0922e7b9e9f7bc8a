"""The comb of rounding: found under RS, nearly lost under RS+MI, not found by luck, and told as measured."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.datasets import load_sample_image

from benchmarks.attacks import tones_comb, tones_learned
from benchmarks.harness import pages
from benchmarks.harness.results_file import load_results, stored
from benchmarks.harness.settings import MIXED, shuffling

DRAWS = 5
"""Orders are drawn afresh each time, so a test judges a mean over several of them."""


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return load_sample_image("china.jpg")


def mean_found(photo: np.ndarray, **knobs) -> float:
    """Share of the tones dealt back, in units of chance."""
    encryption = shuffling(shuffle_tones=True, **knobs)
    found = [tones_comb.attack(encryption, photo) for _ in range(DRAWS)]
    return float(np.mean([one["assigned"] / one["chance"] for one in found]))


def test_tones_of_shuffled_patches_are_dealt_back(photo):
    assert mean_found(photo) > 20


def test_few_tones_of_mixed_and_turned_patches_are(photo):
    assert mean_found(photo, **MIXED, **tones_comb.TURNED) < 10


def test_the_order_of_another_encryption_is_met_by_chance_alone(photo):
    encryption = shuffling(shuffle_tones=True)
    plain = encryption.prepare(photo)
    met = []
    for _ in range(DRAWS):
        mosaic, _ = tones_comb.encrypt(encryption, plain)
        _, another = tones_comb.encrypt(encryption, plain)
        odds = tones_comb.log_odds(tones_comb.split_mosaic(mosaic, encryption.encrypted_patch_size), 1)
        met.append(np.mean(linear_sum_assignment(-odds)[1] == another))
    assert np.mean(met) < 4 / encryption.num_patches


def test_the_page_shows_what_was_measured():
    measured = load_results(stored(tones_comb.MARK), "settings")
    assert set(measured) == set(tones_comb.SETTINGS)
    assert pages.told(tones_comb.MARK) == tones_comb.rendered(measured)


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
    regression = tones_learned.fit([finer_where_brighter(rng, coupled=coupled) for _ in range(40)])
    found = []
    for _ in range(20):
        patches, own = finer_where_brighter(rng, coupled=coupled)
        odds = tones_learned.log_odds(patches, regression)
        found.append(np.mean(linear_sum_assignment(-odds)[1] == own))

    assert np.mean(found) > 3 / PATCHES if coupled else np.mean(found) < 2 / PATCHES
