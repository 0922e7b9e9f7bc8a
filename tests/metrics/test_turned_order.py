"""Scores of turned patches do not move when the whole picture turns, and know chance from success."""

import numpy as np
import pytest

from hipmr_hf.encryption.patches import inverse_turns, turn_sub_patches
from hipmr_hf.errors import InputValueError
from hipmr_hf.metrics.turned_order import (
    as_matrices,
    partner_share,
    true_neighbours,
    turned_chance,
    turned_scores,
)

SHAPE = (6, 6)


def puzzle(seed=0):
    rng = np.random.default_rng(seed)
    return rng.permutation(36), rng.integers(0, 8, 36)


@pytest.mark.parametrize("symmetry", range(8))
def test_the_true_picture_scores_one_however_the_whole_is_turned(symmetry):
    truth, turns = puzzle()
    whole = np.arange(36, dtype=np.uint8).reshape(1, 6, 6, 1)
    turned = turn_sub_patches(whole, np.full((1, 1, 1, 1, 1), symmetry), patch_size=6, grid=1)[0, ..., 0]
    cell_after = np.argsort(turned.ravel())  # where each cell of the plain picture lies now
    # Each patch is turned back, and then with the whole picture: matrices tell which symmetry does both.
    wanted = as_matrices(np.full(36, symmetry)) @ as_matrices(inverse_turns(turns))
    found_turns = (wanted[:, None] == as_matrices(np.arange(8))[None]).all(axis=(2, 3)).argmax(axis=1)

    scores = turned_scores(cell_after[truth], truth, SHAPE, found_turns=found_turns, true_turns=turns)

    assert scores["adjacent"] == scores["neighbour_turned"] == 1
    assert scores["distance"] < 0.4


def test_a_wrong_turn_counts_against_type_2_alone():
    truth, turns = puzzle()
    found = inverse_turns(turns)
    found[0] = (found[0] + 1) % 8

    scores = turned_scores(truth, truth, SHAPE, found_turns=found, true_turns=turns)

    assert scores["adjacent"] == 1
    assert 0.9 < scores["neighbour_turned"] < 1


def test_guesses_score_what_chance_says():
    rng, chance = np.random.default_rng(0), turned_chance(36, SHAPE)
    drawn = []
    for _ in range(300):
        truth, turns = rng.permutation(36), rng.integers(0, 8, 36)
        guess = {"found_turns": rng.integers(0, 8, 36), "true_turns": turns}
        scores = turned_scores(rng.permutation(36), truth, SHAPE, **guess)
        drawn.append(scores | {"partner": partner_share(rng.random((36, 36)), truth, SHAPE)})
    means = {name: np.mean([one[name] for one in drawn]) for name in chance}

    assert means["adjacent"] == pytest.approx(chance["adjacent"], abs=0.01)
    assert means["partner"] == pytest.approx(chance["partner"], abs=0.01)
    assert means["distance"] == pytest.approx(1, abs=0.02)
    assert means["neighbour_turned"] == pytest.approx(chance["neighbour_turned"], abs=0.002)


def test_matrices_turn_directions_as_patches_are_turned():
    """The pixel that lies right of the middle goes where the matrix says."""
    patch = np.zeros((8, 3, 3, 1), np.uint8)
    patch[:, 1, 2] = 1
    turned = turn_sub_patches(patch, np.arange(8).reshape(8, 1, 1, 1, 1), patch_size=3, grid=1)

    for symmetry, matrix in enumerate(as_matrices(np.arange(8))):
        row, col, _ = np.argwhere(turned[symmetry])[0]
        assert (matrix @ [0, 1]).tolist() == [row - 1, col - 1]


def test_partners_do_not_count_where_all_neighbours_were_dropped():
    positions = np.array([0, 1, 8])
    scores = true_neighbours(positions, (3, 3)).astype(float)

    assert partner_share(scores, positions, (3, 3)) == 1


def test_cells_taken_twice_are_refused():
    with pytest.raises(InputValueError, match="twice"):
        turned_scores(np.array([0, 0]), np.array([0, 1]), (1, 2))


@pytest.mark.parametrize("kind", [np.uint8, np.uint64, np.int32])
def test_cells_may_be_of_any_whole_number_type(kind):
    truth = np.array([3, 0, 2, 1])

    np.testing.assert_array_equal(true_neighbours(truth.astype(kind), (2, 2)), true_neighbours(truth, (2, 2)))
    assert turned_scores(truth.astype(kind), truth.astype(kind), (2, 2))["adjacent"] == 1
