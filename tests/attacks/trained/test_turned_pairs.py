"""A network learns which turned patches are neighbours; the attacker that is fitted afterwards uses it."""

import numpy as np
import pytest
import smooth_pictures
import torch

from hipmr_hf.attacks.base import encrypt_with_truth
from hipmr_hf.attacks.jigsaw_turned.attacker import fit_turned
from hipmr_hf.attacks.trained.training_crops import TrainingCrops
from hipmr_hf.attacks.trained.turned_pairs import TurnedPairNetwork, pair_loss, train_turned_pairs
from hipmr_hf.encryption import MixingUp, RandomShuffling
from hipmr_hf.encryption.patches import NUM_SYMMETRIES, turn_sub_patches
from hipmr_hf.errors import InputTypeError
from hipmr_hf.metrics.turned_order import true_neighbours

SIDE = 112
TURNED = RandomShuffling(image_size=SIDE, patch_size=16, sub_patch_symmetries=True)


def test_it_learns_who_is_beside_whom():
    crops = TrainingCrops([smooth_pictures.smooth(seed, SIDE) for seed in range(1, 13)], (SIDE, SIDE))

    learned = train_turned_pairs(TURNED, crops, cpu_seconds=60, max_steps=30)

    assert learned.effort["steps"] == 30 and learned.effort["source_images"] == 12
    assert learned.curve[-1]["partner"] > 0.4, learned.curve  # chance .07
    assert learned.curve[-1]["loss"] < learned.curve[0]["loss"]
    scores = learned(np.zeros((49, 16, 16, 3), np.uint8))
    assert scores.shape == (49, 49) and scores.dtype == np.float32


def test_turning_patches_changes_no_score():
    rng = np.random.default_rng(0)
    pieces = rng.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    turns = rng.integers(0, NUM_SYMMETRIES, (6, 1, 1, 1, 1))
    torch.manual_seed(0)
    network = TurnedPairNetwork(8, 3).eval()
    scores = [
        network(torch.from_numpy(some)[None]).detach()
        for some in (pieces, turn_sub_patches(pieces, turns, patch_size=8, grid=1))
    ]

    torch.testing.assert_close(*scores, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(scores[0], scores[0].mT)


def test_the_loss_wants_every_neighbour_above_all_others():
    beside = torch.zeros(1, 4, 4, dtype=torch.bool)
    beside[0, 0, 1] = beside[0, 1, 0] = beside[0, 0, 2] = beside[0, 2, 0] = True

    assert pair_loss(20.0 * beside, beside) < 1e-3
    assert pair_loss(-20.0 * beside, beside) > 19


def test_scores_of_a_network_are_a_feature_of_the_fitted_attacker():
    pictures = [numbered_noise(seed) for seed in range(9)]
    sample = encrypt_with_truth(TURNED, pictures[0][None])

    def found(learned):
        attacker = fit_turned(TURNED, pictures[1:], trees=60, steps=200, runs=1, learned=learned)
        return attacker(sample.images[0], sample.positions[0]).scores["partner"]

    assert found(None) < 0.25
    assert found(by_number) > 0.95


def numbered_noise(seed):
    """Noise in which the number of odd red pixels of a patch is its cell, which no feature sees."""
    noise = np.random.default_rng(seed).integers(0, 128, (7, 7, 256, 3), dtype=np.uint8) * 2
    noise[..., 0] += np.arange(256) < np.arange(49).reshape(7, 7, 1)
    return noise.reshape(7, 7, 16, 16, 3).swapaxes(1, 2).reshape(SIDE, SIDE, 3)


def by_number(pieces):
    cells = (pieces[..., 0] % 2).sum(axis=(1, 2))
    return true_neighbours(cells, (7, 7)).astype(np.float32)


def test_settings_that_leave_patches_in_place_are_refused():
    with pytest.raises(InputTypeError, match="expected RandomShuffling"):
        train_turned_pairs(MixingUp(), TrainingCrops([np.zeros((9, 9, 3), np.uint8)], (9, 9)), cpu_seconds=1)
