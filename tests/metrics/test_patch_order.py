"""Shares of a recovered order, against puzzles whose answer is known."""

import numpy as np
import pytest

from hipmr_hf.metrics import PatchOrder
from hipmr_hf.metrics.patch_order import chance_scores, order_scores

TRUTH = np.arange(16)


def test_the_true_order_scores_one_everywhere():
    assert set(order_scores(TRUTH, TRUTH, (4, 4)).values()) == {1.0}


def test_a_shifted_picture_keeps_its_neighbours_and_no_place():
    rolled = np.roll(TRUTH.reshape(4, 4), 1, axis=1).ravel()
    found = np.argsort(rolled)  # every patch one cell to the right, the last column comes in on the left

    scores = order_scores(found, TRUTH, (4, 4))

    assert scores["direct"] == 0
    assert scores["neighbour"] == pytest.approx((8 + 12) / 24)
    assert scores["largest_component"] == pytest.approx(12 / 16)


def test_only_pairs_that_were_kept_count():
    truth, found = np.array([0, 1, 15]), np.array([4, 5, 6])

    scores = order_scores(found, truth, (4, 4))

    assert scores["neighbour"] == 1.0
    assert scores["adjacency_precision"] == 0.5


def test_a_row_end_is_no_neighbour_of_the_next_row():
    scores = order_scores(np.array([3, 4]), np.array([1, 2]), (4, 4))

    assert scores["neighbour"] == 0.0
    assert np.isnan(scores["adjacency_precision"])


@pytest.mark.parametrize("kept", [20, 12])
def test_chance_is_what_random_layouts_score(kept):
    rng = np.random.default_rng(1)
    draws = [
        order_scores(rng.permutation(20)[:kept], rng.permutation(20)[:kept], (4, 5)) for _ in range(4000)
    ]

    chance = chance_scores(kept, (4, 5))

    for name in ("neighbour", "direct"):
        assert np.nanmean([draw[name] for draw in draws]) == pytest.approx(chance[name], rel=0.1)
    assert chance["perfect"] < 1e-10


def test_the_metric_averages_over_images():
    swapped = TRUTH.copy()
    swapped[:2] = 1, 0

    scores = PatchOrder().compute(predictions=[TRUTH, swapped], references=[TRUTH, TRUTH], shape=(4, 4))

    assert scores["perfect"] == 0.5
    assert scores["direct"] == pytest.approx((1 + 14 / 16) / 2)
    assert scores["chance_direct"] == 1 / 16


@pytest.mark.parametrize(
    ("found", "message"),
    [([0, 0, 1], "got a cell twice"), ([0, 1, 16], "0 to 15"), ([0, 1], "one for each of the 3 patches")],
)
def test_impossible_places_are_refused(found, message):
    with pytest.raises(ValueError, match=message):
        order_scores(np.array(found), np.array([0, 1, 2]), (4, 4))
