"""The comb of rounding: found under RS, nearly lost under RS+MI, not found by luck, and told as measured."""

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from benchmarks.attacks import tones_comb
from benchmarks.harness import pages
from benchmarks.harness.results_file import load_results, stored
from benchmarks.harness.settings import MIXED, shuffling
from hipmr_hf.attacks.base import encrypt_with_truth, split_mosaic
from hipmr_hf.attacks.tones.attacker import assigned
from hipmr_hf.attacks.tones.comb import rounding_odds

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
    plain, met = encryption.prepare(photo), []
    for _ in range(DRAWS):
        sample, another = (encrypt_with_truth(encryption, plain[None]) for _ in range(2))
        odds = rounding_odds(split_mosaic(sample.images[0], encryption.encrypted_patch_size), 1)
        met.append(np.mean(assigned(odds) == another.tone_holders[0]))
    assert np.mean(met) < 4 / encryption.num_patches


def test_the_page_shows_what_was_measured():
    measured = load_results(stored(tones_comb.MARK), "settings")
    assert set(measured) == set(tones_comb.SETTINGS)
    assert pages.told(tones_comb.MARK) == tones_comb.rendered(measured)
