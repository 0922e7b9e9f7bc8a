"""Whole turned patches are put together again, position and turn; noise is not."""

import numpy as np
import pytest
import smooth_pictures

from hipmr_hf.attacks.base import encrypt_with_truth, grid_shape
from hipmr_hf.attacks.jigsaw_whole.annealing import anneal_turned, layout_energy
from hipmr_hf.attacks.jigsaw_whole.attacker import fit_whole
from hipmr_hf.attacks.jigsaw_whole.costs import directed_costs
from hipmr_hf.attacks.jigsaw_whole.joining import joined_layout
from hipmr_hf.attacks.jigsaw_whole.turns import AFTER, INVERSE, below, from_upper_half, true_rights, turned
from hipmr_hf.encryption import MixingUp, RandomShuffling
from hipmr_hf.errors import InputTypeError, InputValueError
from hipmr_hf.metrics.turned_order import turned_scores

TURNED = RandomShuffling(image_size=80, patch_size=16, sub_patch_symmetries=True)
SEARCH = {"trees": 0, "steps": 400, "rounds": 1}


def smooth(seed, side=80):
    return smooth_pictures.smooth(seed, side)


def attacked(encryption, pictures, attacked_one):
    attacker = fit_whole(encryption, pictures, **SEARCH)
    sample = encrypt_with_truth(encryption, attacked_one[None])
    return attacker(sample.images[0], sample.positions[0], sample.turns[0])


def perfect_scores(positions, turns, shape):
    """Log-odds that only true neighbours under true turns have."""
    rights = true_rights(positions, turns, shape)
    right = np.full((len(rights), len(rights)), -5.0, np.float32)
    known = np.flatnonzero(rights >= 0)
    right[known, rights[known]] = 5.0
    return right


def test_turned_patches_of_a_smooth_picture_are_put_together_position_and_turn():
    result = attacked(TURNED, [smooth(seed) for seed in range(1, 6)], smooth(0))

    assert result.scores["side"] > 0.7 and result.scores["neighbour_turned"] > 0.7
    assert result.chance["side"] < 0.01 and result.chance["neighbour_turned"] < 0.01
    picture, plain = result.reconstruction.astype(float), smooth(0).astype(float)
    whole = [np.rot90(one, quarter) for one in (picture, picture[:, ::-1]) for quarter in range(4)]
    assert min(np.abs(one - plain).mean() for one in whole) < 15


def test_noise_stays_near_chance():
    noise = np.random.default_rng(0).integers(0, 256, (6, 80, 80, 3), dtype=np.uint8)

    result = attacked(TURNED, list(noise[1:]), noise[0])

    assert result.scores["side"] < 0.1 and result.scores["neighbour_turned"] < 0.15


def test_pair_scores_that_turns_do_not_change_can_be_added():
    attacker = fit_whole(TURNED, [smooth(seed) for seed in range(1, 9)], trees=5, steps=50, rounds=1)
    sample = encrypt_with_truth(TURNED, smooth(0)[None])

    result = attacker(sample.images[0], sample.positions[0], sample.turns[0])

    assert attacker.pairs is not None and result.scores["side"] > 0.5


def test_the_sample_tells_the_turn_of_every_patch_of_the_mosaic():
    sample = encrypt_with_truth(TURNED, smooth(0)[None])
    size, plain = 16, smooth(0).reshape(5, 16, 5, 16, 3).swapaxes(1, 2).reshape(25, 16, 16, 3)
    mosaic = sample.images[0].reshape(5, size, 5, size, 3).swapaxes(1, 2).reshape(25, size, size, 3)

    ways = turned(plain).reshape(25, 8, size, size, 3)

    np.testing.assert_array_equal(ways[sample.positions[0], sample.turns[0]], mosaic)
    assert encrypt_with_truth(RandomShuffling(image_size=80, sub_patch_grid=2), smooth(0)[None]).turns is None


def test_turns_follow_each_other_as_the_table_says():
    patch = np.arange(9).reshape(1, 3, 3, 1)
    ways = turned(patch)
    for second in range(8):
        for first in range(8):
            np.testing.assert_array_equal(turned(ways[[first]])[second], ways[AFTER[second, first]])
    assert (AFTER[INVERSE, np.arange(8)] == 0).all()


def test_costs_are_the_same_read_backwards_upside_down_and_transposed():
    pieces = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    costs = directed_costs(pieces, "whole")
    everyone = np.arange(24)
    for cost in costs:
        full = from_upper_half(cost)
        np.testing.assert_allclose(full, full[np.ix_(everyone ^ 1, everyone ^ 1)].T, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(full, full[np.ix_(everyone ^ 2, everyone ^ 2)], rtol=1e-3, atol=1e-3)
        np.testing.assert_array_equal(below(below(full)), full)


@pytest.mark.parametrize("size", [(80, 80), (48, 112)])
def test_perfect_scores_give_the_picture_back(size):
    encryption = RandomShuffling(image_size=size, sub_patch_symmetries=True, drop_ratio=0.1)
    shape = grid_shape(encryption)
    sample = encrypt_with_truth(encryption, np.zeros((1, *size, 3), np.uint8))
    positions, turns = sample.positions[0], sample.turns[0]
    right = perfect_scores(positions, turns, shape)

    grid = anneal_turned(
        joined_layout(right, below(right), shape, 1.0), right, below(right), steps=5000, seed=0, hot=1.0
    )

    cells = np.flatnonzero(grid.ravel() >= 0)
    patches, own = np.divmod(grid.ravel()[cells], 8)
    found, found_turns = np.empty_like(positions), np.empty_like(positions)
    found[patches], found_turns[patches] = cells, own
    scores = turned_scores(found, positions, shape, found_turns=found_turns, true_turns=turns)
    assert scores["neighbour_turned"] > 0.95


def test_annealing_keeps_every_patch_once_and_never_gets_worse():
    right = np.random.default_rng(0).normal(size=(72, 72)).astype(np.float32)
    start = np.append(np.arange(9) * 8, [-1, -1, -1]).reshape(3, 4)

    first, second = (anneal_turned(start, right, below(right), steps=3000, seed=3, hot=3.0) for _ in range(2))

    np.testing.assert_array_equal(first, second)
    assert sorted(first[first >= 0] // 8) == list(range(9)) and (first < 0).sum() == 3
    energies = [layout_energy(grid, right, below(right)) for grid in (start, first)]
    assert energies[1] > energies[0]


def test_settings_without_whole_turned_patches_are_refused():
    pictures = [smooth(seed) for seed in range(4)]
    with pytest.raises(InputTypeError, match="MixingUp"):
        fit_whole(MixingUp(image_size=64), pictures)
    with pytest.raises(InputValueError, match="no patch is turned"):
        fit_whole(RandomShuffling(image_size=80), pictures)
    with pytest.raises(InputValueError, match="mixed"):
        fit_whole(RandomShuffling(image_size=80, sub_patch_grid=2, sub_patch_symmetries=True), pictures)
    with pytest.raises(InputValueError, match="plain: got 3"):
        fit_whole(TURNED, pictures[:3])
