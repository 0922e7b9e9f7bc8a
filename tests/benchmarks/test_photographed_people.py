"""Faces of photographs are matched to boxes that were found, one box to one face."""

import re

import numpy as np
import pytest
from PIL import Image

from benchmarks.attacks import photographed_faces
from benchmarks.attacks.photographed_people import (
    Photographed,
    PhotographedEvidence,
    anywhere,
    at_their_places,
    crop_about,
    found_in_nothing,
    overlap,
)
from benchmarks.harness import pages
from benchmarks.harness.results_file import load_results, stored
from hipmr_hf.encryption.preset_table import PRESETS
from hipmr_hf.recognisers import Box

LEFT, RIGHT = Box(0, 0, 40, 40), Box(100, 0, 140, 40)


def moved(box: Box, across: float, down: float = 0) -> Box:
    return Box(box.left + across, box.top + down, box.right + across, box.bottom + down)


@pytest.mark.parametrize(
    ("other", "share"), [(LEFT, 1), (moved(LEFT, 20), 1 / 3), (RIGHT, 0), (moved(LEFT, 60, 60), 0)]
)
def test_boxes_overlap_by_the_share_of_their_union(other, share):
    assert overlap(LEFT, other) == overlap(other, LEFT) == pytest.approx(share)


def test_a_face_is_found_where_it_is_or_only_somewhere():
    near, far = moved(LEFT, 10), moved(LEFT, 0, 150)
    assert at_their_places([LEFT, RIGHT], [near, far]) == [near, None]
    assert anywhere([LEFT, RIGHT], [near, far]) == [near, far]


def test_no_box_counts_for_two_faces_and_none_of_another_width_counts():
    assert anywhere([LEFT, RIGHT], [LEFT]) == [LEFT, None]
    assert at_their_places([LEFT, moved(LEFT, 4)], [LEFT]) == [LEFT, None]
    assert anywhere([LEFT], [Box(0, 0, 90, 90), Box(0, 0, 15, 15)]) == [None]
    assert anywhere([LEFT], []) == at_their_places([LEFT], []) == [None]


@pytest.mark.parametrize("box", [Box(200, 150, 240, 190), Box(0, 10, 40, 50)], ids=["middle", "edge"])
def test_the_crop_about_a_face_shows_it_where_it_is_said_to_be(box):
    photo = Image.new("RGB", (480, 360))
    photo.paste("white", tuple(map(int, box)))
    crop, place = crop_about(photo, box)
    shown = np.argwhere(crop[..., 0] > 127)
    assert crop.shape == (224, 224, 3) and place.width == pytest.approx(224 / 2.4)
    assert np.allclose(shown.min(axis=0), (place.top, place.left), atol=1)
    assert np.allclose(shown.max(axis=0) + 1, (place.bottom, place.right), atol=1)


def brightest(pictures):
    """Finds the bright square of each picture."""
    places = [np.argwhere(picture[..., 0] > 80) for picture in pictures]
    ends = [(*place.min(axis=0), *(place.max(axis=0) + 1)) if len(place) else None for place in places]
    return [[Box(one[1], one[0], one[3], one[2])] if one else [] for one in ends]


def level(pictures, boxes):
    """Describes a face by its brightness."""
    inside = zip(pictures, boxes, strict=True)
    return np.array([[picture[int(box.top), int(box.left), 0]] for picture, box in inside], float)


def square(bright: int, left: int) -> np.ndarray:
    picture = np.zeros((224, 224, 3), np.uint8)
    picture[96:144, left : left + 48] = bright
    return picture


def test_evidence_counts_faces_at_their_places_anywhere_and_by_whose_they_are():
    plain = [square(bright, 16) for bright in (100, 150, 200)]
    look = PhotographedEvidence(Photographed(plain, brightest(plain)), brightest, level)
    assert {name: one.values for name, one in look(plain).items()} == dict.fromkeys(
        ("at_its_place", "anywhere", "identified"), (1, 1, 1)
    )
    found = look([square(100, 160), square(210, 16), np.zeros((112, 112, 3), np.uint8)])
    assert found["at_its_place"].values == (0, 1, 0) and found["anywhere"].values == (1, 1, 0)
    assert found["identified"].values == (1, 0, 0) and found["identified"].chance == pytest.approx(1 / 3)


def test_a_face_that_is_found_where_there_is_none_is_counted():
    (found,) = found_in_nothing([square(100, 0), np.zeros((112, 112, 3), np.uint8)], brightest).values()
    assert found.values == (1, 0)


def test_every_preset_was_looked_at_and_the_minutes_are_told():
    looked = load_results(stored(photographed_faces.MARK))["looked"]
    seen = {(one["preset"], one["kind"]) for one in looked if one["source"] == photographed_faces.AS_IT_IS}
    assert seen == {(preset, kind) for preset in PRESETS for kind in photographed_faces.KINDS}
    seconds = {(one["preset"], one["source"], one["kind"]): one.get("cpu_seconds", 0) for one in looked}
    table = (pages.ROOT / "benchmarks" / "README.md").read_text()
    (minutes,) = re.findall(r"photographed_faces\.py`.*\| (\d+)\b[^|]*\|$", table, re.MULTILINE)
    assert int(minutes) == round(sum(seconds.values()) / 60)
