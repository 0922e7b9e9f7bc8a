"""The comb of rounding: found where it is plain, lost where there is none, and told as it was measured."""

import numpy as np

from benchmarks.attacks import tones_comb
from benchmarks.harness import pages
from benchmarks.harness.results_file import load_results, stored
from hipmr_hf import RandomShuffling


def steps(patches_a_side: int = 6) -> np.ndarray:
    """A picture of 16-pixel patches with 2 to 6 levels each, whole numbers at distances of their own."""
    rng = np.random.default_rng(0)
    side = 16 * patches_a_side
    levels = rng.integers(0, 6, (side, side, 3))
    spread = np.kron(rng.integers(8, 30, (patches_a_side, patches_a_side)), np.ones((16, 16)))
    return (40 + levels * spread[..., None]).astype(np.uint8)


def test_tones_of_plain_combs_are_dealt_back():
    found = tones_comb.attack(RandomShuffling(96, 16, shuffle_tones=True), steps())
    assert found["assigned"] > 10 * found["chance"]


def test_tones_of_noise_are_not():
    rng = np.random.default_rng(1)
    odds = tones_comb.log_odds(rng.integers(0, 256, (100, 16, 16, 3), dtype=np.uint8), 4)
    assert np.mean(odds.argmax(axis=1) == rng.permutation(100)) < 0.05


def test_the_page_shows_what_was_measured():
    measured = load_results(stored(tones_comb.MARK), "settings")
    assert set(measured) == set(tones_comb.SETTINGS)
    assert pages.told(tones_comb.MARK) == tones_comb.rendered(measured)
