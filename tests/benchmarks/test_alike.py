"""Scores of `kinds.py`: the usual ones where no two patches are equal, and kinder to blank ones."""

import numpy as np
import pytest

from benchmarks.harness.alike import Kinds, neighbours_alike, partners_alike
from hipmr_hf.attacks.jigsaw_whole.turns import AFTER, INVERSE, turned
from hipmr_hf.metrics.turned_order import partner_share, turned_scores

SHAPE = (4, 5)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def noise(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (20, 4, 4, 3), np.uint8)


def test_without_equal_patches_neighbours_are_those_of_turned_puzzles(rng):
    truth, true_turns = rng.permutation(20), rng.integers(0, 8, 20)
    cells = truth[:12].tolist() + sorted(set(range(20)) - set(truth[:12].tolist()))
    found, turns = np.array(cells), INVERSE[true_turns]
    turns[:3] = rng.integers(0, 8, 3)
    share, chance = neighbours_alike(Kinds(noise(rng), SHAPE), (found, turns), (truth, true_turns))

    usual = turned_scores(found, truth, SHAPE, found_turns=turns, true_turns=true_turns)
    assert share == pytest.approx(usual["neighbour_turned"]) and 0.2 < share < 1 and chance < 0.1


@pytest.mark.parametrize("turn", range(8))
def test_a_picture_that_is_turned_as_a_whole_is_right(rng, turn):
    truth, true_turns = np.arange(16), rng.integers(0, 8, 16)
    grid = turned(truth.reshape(1, 4, 4, 1))[turn, :, :, 0].ravel()
    found = np.argsort(grid)
    turns = AFTER[turn, INVERSE[true_turns]]
    kinds = Kinds(noise(rng)[:16], (4, 4))
    assert neighbours_alike(kinds, (found, turns), (truth, true_turns))[0] == 1


def test_blank_patches_may_be_exchanged_and_turned(rng):
    pieces, truth, turns = noise(rng), np.arange(20), np.zeros(20, int)
    pieces[:6] = 255
    found, own = truth.copy(), turns.copy()
    found[:6], own[:6] = truth[[3, 5, 1, 0, 2, 4]], rng.integers(0, 8, 6)
    share, chance = neighbours_alike(Kinds(pieces, SHAPE), (found, own), (truth, turns))
    assert share == 1 and 0 < chance < 0.5
    assert turned_scores(found, truth, SHAPE, found_turns=own, true_turns=turns)["neighbour_turned"] < 1


def test_a_blank_partner_is_right_beside_a_blank_patch(rng):
    scores, truth, pieces = rng.random((20, 20)), np.arange(20), noise(rng)
    share, chance = partners_alike(Kinds(pieces, SHAPE), scores, truth)
    assert share == pytest.approx(partner_share(scores, truth, SHAPE))
    assert chance == pytest.approx(2 * 31 / (20 * 19))

    pieces[[0, 1, 19]] = 255
    scores[0, 19] = 2
    assert partners_alike(Kinds(pieces, SHAPE), scores, truth)[0] > share
