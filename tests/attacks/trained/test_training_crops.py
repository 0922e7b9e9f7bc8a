"""Training crops have the size of the images under attack, differ, and come again with a seed."""

import numpy as np
import pytest
from PIL import Image

from hipmr_hf.attacks.trained.training_crops import TrainingCrops
from hipmr_hf.encryption import RandomShuffling


@pytest.mark.parametrize("size", [(32, 64), (224, 224), (600, 600)])  # the last is larger than the photograph
def test_crops_have_the_size_asked_for(photo, size):
    crops = TrainingCrops([photo, Image.fromarray(photo).convert("L")], size)

    batch = crops.batch(3)

    assert batch.shape == (3, *size, 3) and batch.dtype == np.uint8
    assert len(crops) == 2


def test_crops_differ_from_one_another_and_are_the_same_for_a_seed(photo):
    first, again, other = (TrainingCrops([photo], (32, 32), seed=seed).batch(4) for seed in (1, 1, 2))

    np.testing.assert_array_equal(first, again)
    assert (first != other).any() and (first[0] != first[1]).any()


def test_a_crop_shows_part_of_the_image_and_both_orientations_come():
    ramp = np.repeat(np.linspace(0, 255, 300).astype(np.uint8)[None, :, None], 200, axis=0).repeat(3, axis=2)

    crops = TrainingCrops([ramp], (64, 64)).batch(20).astype(int)

    rises = crops[:, 0, -1, 0] - crops[:, 0, 0, 0]
    assert (rises > 0).any() and (rises < 0).any()
    assert np.abs(rises).max() < 200 and np.abs(rises).std() > 5  # a window, at several scales


def test_aligned_crops_are_what_the_encryption_prepares(photo):
    prepared = RandomShuffling(image_size=64, patch_size=16).prepare(photo).astype(int)

    batch = TrainingCrops([photo], (64, 64), aligned=True).batch(2).astype(int)

    np.testing.assert_array_equal(batch[0], batch[1])
    assert np.abs(batch[0] - prepared).mean() < 6  # the same view, up to rounding of the resize


def test_errors_name_what_came_and_what_is_allowed():
    with pytest.raises(ValueError, match="images: got none"):
        TrainingCrops([], (32, 32))
    with pytest.raises(ValueError, match=r"size: got \(0, 32\)"):
        TrainingCrops([np.zeros((8, 8, 3), np.uint8)], (0, 32))
    with pytest.raises(ValueError, match="expected uint8"):
        TrainingCrops([np.zeros((8, 8), np.uint8)], (4, 4))


def test_a_split_shares_no_image_and_is_always_the_same():
    images = [np.full((20, 20, 3), 10 * number, np.uint8) for number in range(10)]

    first, again = (TrainingCrops(images, (8, 8)).split(0.3) for _ in range(2))
    levels = [set(part.batch(100)[:, 0, 0, 0].tolist()) for part in first]

    assert [len(part) for part in first] == [7, 3]
    assert not levels[0] & levels[1]
    assert levels == [set(part.batch(100)[:, 0, 0, 0].tolist()) for part in again]


def test_a_single_image_serves_both_parts_of_a_split(photo):
    assert [len(part) for part in TrainingCrops([photo], (8, 8)).split(0.2)] == [1, 1]
