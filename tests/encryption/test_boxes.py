import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipmr_hf.encryption import MixingUp, Placement
from hipmr_hf.encryption.boxes import move_boxes, move_objects

UNCHANGED = Placement(resized_height=32, resized_width=64, top=0, left=0, height=32, width=64)


def move(boxes, placement=UNCHANGED, image_size=(32, 64), grid=1):
    return move_boxes(boxes, placement, image_size=image_size, sub_patch_grid=grid)


def test_boxes_are_scaled_shifted_clipped_and_divided_by_the_grid():
    placement = Placement(resized_height=64, resized_width=96, top=0, left=16, height=64, width=64)
    boxes, kept = move([[10, 5, 20, 10], [0, 0, 16, 32]], placement, image_size=(32, 48), grid=2)
    assert boxes.tolist() == [[2, 5, 20, 10], [0, 0, 8, 32]] and kept.all()


def test_boxes_outside_of_the_window_are_dropped_and_told():
    placement = Placement(resized_height=32, resized_width=64, top=0, left=16, height=32, width=32)
    boxes, kept = move([[0, 0, 16, 32], [48, 0, 10, 10], [20, 4, 5, 5], [30, 3, 0, 8]], placement)
    assert kept.tolist() == [False, False, True, False] and boxes.tolist() == [[4, 4, 5, 5]]


def test_a_sliver_left_by_rounding_is_no_box():
    placement = Placement(resized_height=70, resized_width=70, top=0, left=0, height=64, width=64)
    edge = 64 / 70 * 210
    boxes, _ = move([[edge - 1e-9, 0, 10, 10]], placement, image_size=(210, 210))
    assert len(boxes) == 0


def test_no_boxes_give_no_boxes():
    boxes, kept = move([])
    assert boxes.shape == (0, 4) and boxes.dtype == np.float32 and kept.shape == (0,)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[1, 2, 3]], "four numbers"),
        ([[1, 2, 3, 4], [1, 2]], "four numbers"),
        ([[1, 2, 3, None]], "not finite"),
        ([[1, 2, float("nan"), 4]], "not finite"),
        ([[1, 2, -3, 4]], "negative"),
    ],
)
def test_broken_boxes_are_refused(boxes, message):
    with pytest.raises(ValueError, match=message):
        move(boxes)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), grid=st.sampled_from([2, 4]), image_size=st.sampled_from([None, 48, (32, 64)]))
def test_a_box_around_whole_patches_follows_its_pixels_under_mixing_up(data, grid, image_size):
    height, width = data.draw(st.integers(16, 70)), data.draw(st.integers(16, 70))
    mixing = MixingUp(image_size=image_size, patch_size=8, sub_patch_grid=grid)
    placement = mixing.placement(height, width)
    rows, cols = placement.height // 8, placement.width // 8
    top, left = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, cols - 1))
    bottom, right = data.draw(st.integers(top + 1, rows)), data.draw(st.integers(left + 1, cols))
    prepared = np.zeros((placement.height, placement.width, 3), dtype=np.uint8)
    prepared[8 * top : 8 * bottom, 8 * left : 8 * right] = 255

    scale = np.array([width / placement.resized_width, height / placement.resized_height] * 2)
    shift = np.array([placement.left, placement.top, 0, 0])
    box = (np.array([8 * left, 8 * top, 8 * (right - left), 8 * (bottom - top)]) + shift) * scale
    (moved,), _ = move([box], placement, image_size=(height, width), grid=grid)

    lit = np.argwhere(mixing.encrypt_batch(prepared[None])[0, :, :, 0])
    (y0, x0), (y1, x1) = lit.min(axis=0), lit.max(axis=0) + 1
    np.testing.assert_allclose(moved, [x0, y0, x1 - x0, y1 - y0], atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    box=st.tuples(st.floats(-40, 90), st.floats(-40, 90), st.floats(0, 90), st.floats(0, 90)),
    image_size=st.sampled_from([None, 32]),
)
def test_what_is_kept_lies_within_the_encrypted_image(box, image_size):
    mixing = MixingUp(image_size=image_size, patch_size=8)
    placement = mixing.placement(50, 70)
    boxes, _ = move([box], placement, image_size=(50, 70), grid=2)
    ends = boxes[:, :2] + boxes[:, 2:]
    assert (boxes >= 0).all() and (ends <= np.array([placement.width, placement.height]) / 2 + 1e-4).all()


@pytest.mark.parametrize("as_list_of_dicts", [False, True])
def test_objects_keep_the_published_fields_in_step_with_their_boxes(as_list_of_dicts):
    objects = {
        "id": [11, 12],
        "bbox": [[70, 0, 8, 8], [8, 8, 16, 8]],
        "category": [3, 5],
        "area": [1.0, 1.0],
        "segmentation": [[[1, 2, 3]], [[4, 5, 6]]],
    }
    if as_list_of_dicts:
        objects = [dict(zip(objects, values, strict=True)) for values in zip(*objects.values(), strict=True)]
    moved, dropped = move_objects(objects, UNCHANGED, image_size=(32, 64), sub_patch_grid=2)
    assert moved == {"bbox": [[4, 4, 8, 4]], "category": [5], "area": [32]} and dropped == 1


@pytest.mark.parametrize("objects", [None, [], {}, {"bbox": [], "category": []}, {"bbox": None}])
def test_an_image_without_objects_stays_one(objects):
    moved, dropped = move_objects(objects, UNCHANGED, image_size=(32, 64))
    assert not any(moved.values()) and dropped == 0


def test_objects_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="1 in 'bbox' but 2 in 'category'"):
        move_objects({"bbox": [[1, 2, 3, 4]], "category": [1, 2]}, UNCHANGED, image_size=(32, 64))
    with pytest.raises(ValueError, match="'bbox' is missing"):
        move_objects({"category": [1]}, UNCHANGED, image_size=(32, 64))
