"""One permutation for many images is broken by adding up; fresh ones give the sum nothing."""

import numpy as np
import pytest

from hipmr_hf.attacks.base import encrypt_with_truth
from hipmr_hf.attacks.jigsaw.pair_scores import pair_top1
from hipmr_hf.attacks.jigsaw.shared_permutation import attack_shared_permutation, combined_scores
from hipmr_hf.attacks.jigsaw.solver.solver import JigsawAttack
from hipmr_hf.encryption import RandomShuffling

# Mixed patches with a gap: one image alone is hard.
SETTINGS = RandomShuffling(image_size=96, patch_size=16, interval=4, sub_patch_grid=2)
ATTACK = JigsawAttack(SETTINGS, rounds=1, steps=300)


@pytest.fixture(scope="module")
def crops():
    from sklearn.datasets import load_sample_image

    rng = np.random.default_rng(0)
    photos = [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    corners = [(rng.integers(0, 427 - 96), rng.integers(0, 640 - 96)) for _ in range(24)]
    return np.stack([photos[i % 2][y : y + 96, x : x + 96] for i, (y, x) in enumerate(corners)])


def test_many_images_under_one_permutation_say_more_than_one(crops):
    sample = encrypt_with_truth(SETTINGS, crops, share_permutation=True)
    truth = sample.positions[0]

    alone = pair_top1(combined_scores(ATTACK, sample.images[:1]), truth, (6, 6))
    together = pair_top1(combined_scores(ATTACK, sample.images), truth, (6, 6))

    assert together > 0.7
    assert together > alone + 0.2


def test_many_images_under_fresh_permutations_say_nothing(crops):
    sample = encrypt_with_truth(SETTINGS, crops)

    # Without the first image, whose own borders would speak for themselves.
    scores = combined_scores(ATTACK, sample.images[1:])

    assert pair_top1(scores, sample.positions[0], (6, 6)) < 0.15  # chance 1/35


def test_the_shared_order_puts_the_first_image_together(crops):
    sample = encrypt_with_truth(SETTINGS, crops, share_permutation=True)

    result = attack_shared_permutation(ATTACK, sample.images, sample.positions[0])

    assert (sample.positions == sample.positions[0]).all()
    assert result.scores["neighbour"] > 0.7
    assert result.effort["images"] == 24


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="images: got none"):
        attack_shared_permutation(ATTACK, np.zeros((0, 36, 36, 3), np.uint8))
