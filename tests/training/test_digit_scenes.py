import numpy as np
import pytest

from hipmr_hf.training.digit_scenes import digit_scenes


def test_a_seed_gives_the_same_scenes_with_or_without_the_digits_names():
    named, one = digit_scenes(6, seed=3), digit_scenes(6, seed=3, one_class=True)
    assert named.features["objects"]["category"].feature.num_classes == 10
    assert one.features["objects"]["category"].feature.names == ["digit"]
    for left, right in zip(named, one, strict=True):
        np.testing.assert_array_equal(np.asarray(left["image"]), np.asarray(right["image"]))
        assert left["objects"]["bbox"] == right["objects"]["bbox"]
        assert right["objects"]["category"] == [0] * len(left["objects"]["category"])
    assert len({category for row in named for category in row["objects"]["category"]}) > 1


def test_the_ink_lies_in_the_boxes():
    for row in digit_scenes(8, seed=0):
        pixels, outside = np.asarray(row["image"]).astype(float), np.ones((96, 128), bool)
        for x, y, width, height in row["objects"]["bbox"]:
            inside = np.s_[int(y) : int(y + height), int(x) : int(x + width)]
            assert pixels[inside].max() > 150
            outside[inside] = False
        assert pixels[outside].max() < 150


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="split: got 'dev'"):
        digit_scenes(1, seed=0, split="dev")
    with pytest.raises(ValueError, match="digit_sizes: got"):
        digit_scenes(1, seed=0, size=(32, 32), digit_sizes=(20, 44))


def test_masks_show_the_digits_in_their_boxes_and_leave_the_pictures_as_they_are():
    masked, plain = digit_scenes(8, seed=0, with_masks=True), digit_scenes(8, seed=0)
    for row, same in zip(masked, plain, strict=True):
        np.testing.assert_array_equal(np.asarray(row["image"]), np.asarray(same["image"]))
        mask, outside = np.asarray(row["mask"]), np.ones((96, 128), bool)
        for (x, y, width, height), category in zip(*row["objects"].values(), strict=True):
            inside = np.s_[int(y) : int(y + height), int(x) : int(x + width)]
            assert set(np.unique(mask[inside])) <= {0, category + 1} and mask[inside].any()
            pixels = np.asarray(row["image"])[inside].astype(float).mean(axis=-1)
            assert pixels[mask[inside] > 0].mean() > 1.5 * pixels[mask[inside] == 0].mean()
            outside[inside] = False
        assert not mask[outside].any()
    one = digit_scenes(8, seed=0, with_masks=True, one_class=True)
    assert {value for row in one for value in np.unique(np.asarray(row["mask"]))} == {0, 1}
