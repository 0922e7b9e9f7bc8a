import numpy as np
import pytest

from hipmr_hf.encryption import MixingUp, RandomShuffling
from hipmr_hf.metrics.likeness import likeness


def enlarged(image: np.ndarray, factor: int) -> np.ndarray:
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


@pytest.fixture
def plain(photo):
    return np.ascontiguousarray(photo[:224, :224])


def test_a_shifted_darkened_picture_is_the_picture(plain):
    scores = likeness(np.roll(plain // 2, (16, 32), axis=(0, 1)), plain)
    assert scores["likeness"] > 0.98


def test_a_thumbnail_is_seen_where_ssim_sees_grey(plain):
    mixed = MixingUp(patch_size=16)(plain)
    assert likeness(enlarged(mixed, 2), plain)["brightness"] > 0.7


def test_a_sketch_of_edges_is_seen_without_any_brightness(plain):
    sketch = enlarged(MixingUp(patch_size=16, patch_normalization=True)(plain), 2)
    scores = likeness(sketch, plain)
    assert scores["edges"] > scores["brightness"] and scores["likeness"] > 0.4


def test_shuffled_patches_are_no_more_like_it_than_another_photograph(plain):
    from sklearn.datasets import load_sample_image

    other = np.array(load_sample_image("flower.jpg"))[:224, :224]
    shuffled = RandomShuffling(patch_size=16)(plain)
    assert likeness(shuffled, plain)["likeness"] <= max(0.3, likeness(other, plain)["likeness"])


def test_images_of_other_shapes_are_refused(plain):
    with pytest.raises(ValueError, match=r"expected \(224, 224, 3\)"):
        likeness(plain[:100], plain)
