"""Images that keep their shape when they are resized, and the boxes that follow them."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.yolos.image_processing_pil_yolos import get_size_with_aspect_ratio_yolos

from hipmr_hf import Encryption, MixingUp, Sides
from hipmr_hf.encryption.boxes import move_boxes


@pytest.mark.parametrize(
    ("sides", "image", "encrypted"),
    [
        (Sides(800, 1333), (480, 640), (400, 528)),
        (Sides(800, 1333), (640, 480), (528, 400)),
        (Sides(800, 1333), (300, 1000), (192, 664)),  # the longer side decides
        (Sides(800), (300, 1000), (400, 1328)),
        (Sides(16), (20, 500), (8, 200)),
    ],
)
def test_sides_are_resized_and_rounded_down_to_whole_patches(sides, image, encrypted):
    mixing = MixingUp(image_size=sides)
    assert mixing(np.zeros((*image, 3), np.uint8)).shape[:2] == encrypted
    assert mixing.encrypted_size is None and mixing.num_patches is None


@given(height=st.integers(32, 700), width=st.integers(32, 700), shorter=st.integers(64, 300))
@settings(max_examples=200, deadline=None)
def test_sizes_are_those_that_yolos_is_trained_with(height, width, shorter):
    longer = int(shorter * 1333 / 800)
    theirs = get_size_with_aspect_ratio_yolos((height, width), shorter, longer, mod_size=16)
    placement = MixingUp(image_size=Sides(shorter, longer)).placement(height, width)
    # YOLOS rounds the shorter side to a whole pixel before it computes the longer one
    ours = (placement.height, placement.width)
    assert all(abs(a - max(b, 16)) in (0, 16) for a, b in zip(ours, theirs, strict=True))
    assert min(ours) >= 16 and max(ours) <= longer and min(ours) <= shorter


@given(data=st.data(), height=st.integers(40, 160), width=st.integers(40, 160))
@settings(max_examples=60, deadline=None)
def test_a_box_follows_its_pixels(data, height, width):
    mixing = MixingUp(image_size=Sides(64, 128), patch_size=8)
    x, y = data.draw(st.integers(0, width - 9)), data.draw(st.integers(0, height - 9))
    w, h = data.draw(st.integers(8, width - x)), data.draw(st.integers(8, height - y))
    plain = np.zeros((height, width, 3), np.uint8)
    plain[y : y + h, x : x + w] = 255
    placement = mixing.placement(height, width)
    (box,), _ = move_boxes([[x, y, w, h]], placement, image_size=(height, width), sub_patch_grid=2)
    # Whatever is lit lies in the box, and the box has nothing dark at its ends, both to one encrypted patch
    # (4 pixels) and the reach of the bicubic resize (2 pixels of the plain image at the most, on each side).
    lit = np.argwhere(mixing(plain)[:, :, 0] > 25)
    reach = 4 + 2 * max(placement.height / height, placement.width / width)
    (top, left), (bottom, right) = lit.min(axis=0), lit.max(axis=0) + 1
    ends = np.array([box[0], box[1], box[0] + box[2], box[1] + box[3]])
    assert np.abs(ends - [left, top, right, bottom]).max() <= reach


def test_settings_survive_json():
    mixing = MixingUp(image_size=Sides(800, 1333), patch_size=16)
    stored = json.loads(json.dumps(mixing.to_dict()))
    assert stored["image_size"] == {"shorter": 800, "longer": 1333}
    assert Encryption.from_dict(stored) == mixing and hash(Encryption.from_dict(stored)) == hash(mixing)


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        (lambda: Sides(0), "shorter: got 0"),
        (lambda: Sides(800, 700), "longer: got 700"),
        (lambda: MixingUp(image_size=Sides(8)), "shorter: got 8"),
    ],
)
def test_wrong_sides_are_named(sides, message):
    with pytest.raises(ValueError, match=message):
        sides()
