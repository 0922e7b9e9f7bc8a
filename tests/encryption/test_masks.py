from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hipmr_hf import MixingUp, Sides
from hipmr_hf.encryption.boxes import move_boxes
from hipmr_hf.encryption.masks import move_mask


def majority(cell: np.ndarray) -> int:
    """The most frequent value, and of several the first, row by row; one cell, the slow way."""
    values = cell.ravel().tolist()
    return max(values, key=lambda value: (values.count(value), -values.index(value)))


@pytest.mark.parametrize("size", [(90, 130), (64, 64), (33, 200), (300, 40)])
@pytest.mark.parametrize(
    "mixing",
    [
        MixingUp(patch_size=8),
        MixingUp(image_size=(64, 96), patch_size=16, sub_patch_grid=4),
        MixingUp(image_size=Sides(48, 100), patch_size=8),
    ],
)
def test_a_mask_has_the_size_of_its_picture_and_the_majority_of_each_cell(size, mixing):
    random = np.random.default_rng(0)
    mask = random.choice(np.array([0, 3, 255], np.uint8), size)
    picture = random.integers(0, 256, (*size, 3), dtype=np.uint8)
    placement, grid = mixing.placement(*size), mixing.sub_patch_grid
    moved = move_mask(mask, placement, sub_patch_grid=grid)
    assert moved.shape == mixing(picture).shape[:2] and moved.dtype == np.uint8
    # In exact fractions: where the centre of each new pixel lies in the old picture.
    rows, columns = (
        [floor((first + i + Fraction(1, 2)) * old / new) for i in range(count)]
        for old, new, first, count in zip(size, placement[:2], placement[2:4], placement[4:], strict=True)
    )
    window = mask[np.ix_(rows, columns)]
    expected = [
        [majority(window[y : y + grid, x : x + grid]) for x in range(0, placement.width, grid)]
        for y in range(0, placement.height, grid)
    ]
    np.testing.assert_array_equal(moved, expected)


@given(
    size=st.tuples(st.integers(60, 140), st.integers(60, 140)),
    box=st.tuples(*[st.floats(0, 0.6)] * 2, *[st.floats(0.2, 0.4)] * 2),
    mixing=st.sampled_from([MixingUp(patch_size=8), MixingUp(image_size=(48, 64), patch_size=8)]),
)
@settings(max_examples=60, deadline=None)
def test_masks_go_exactly_where_boxes_go(size, box, mixing):
    """A rectangle that is drawn as a mask ends up within a pixel of where its box does."""
    x, y, width, height = (round(share * size[axis]) for share, axis in zip(box, (1, 0, 1, 0), strict=True))
    mask = np.zeros(size, np.uint8)
    mask[y : y + height, x : x + width] = 1
    placement, grid = mixing.placement(*size), mixing.sub_patch_grid
    moved = move_mask(mask, placement, sub_patch_grid=grid)
    boxes, _ = move_boxes([[x, y, width, height]], placement, image_size=size, sub_patch_grid=grid)
    assume(len(boxes) and min(boxes[0, 2:]) > 2)  # else cropped away, or too thin for a cell's majority
    left, top, wide, high = boxes[0]
    rows, columns = (np.flatnonzero(moved.any(axis=axis)) for axis in (1, 0))
    assert abs(rows[0] - top) <= 1 and abs(rows[-1] + 1 - (top + high)) <= 1
    assert abs(columns[0] - left) <= 1 and abs(columns[-1] + 1 - (left + wide)) <= 1


def test_what_is_no_mask_is_named():
    placement = MixingUp(patch_size=8).placement(16, 16)
    with pytest.raises(ValueError, match=r"mask: got uint8 \(16, 16, 3\)"):
        move_mask(np.zeros((16, 16, 3), np.uint8), placement)
    with pytest.raises(TypeError, match="mask: got list"):
        move_mask([[0]], placement)
