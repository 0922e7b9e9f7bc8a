"""An audit tells what is recognised in every version of a picture, or that nobody looked."""

import dataclasses

import numpy as np
import pytest

from hipmr_hf import MixingUp, RandomShuffling
from hipmr_hf.privacy_report import QUICK
from hipmr_hf.privacy_report.assets import who_can_learn_what
from hipmr_hf.privacy_report.bench import set_up
from hipmr_hf.privacy_report.grade import largest_leak, level, sentence
from hipmr_hf.privacy_report.people import AS_IT_IS, PLAIN, PeoplesTerms
from hipmr_hf.privacy_report.rendering import rows_of
from hipmr_hf.privacy_report.untrained import look, mixing_inversion
from hipmr_hf.recognisers import Box, Line

MIXED = MixingUp(image_size=64, patch_size=8)
TINY = dataclasses.replace(QUICK, images=3, smoothing_steps=5)


def square_in(pictures):
    """Finds one bright square in a dark picture."""
    boxes = []
    for picture in pictures:
        rows, columns = (np.flatnonzero((picture[..., 0] > 100).any(axis=axis)) for axis in (1, 0))
        square = len(rows) and abs(len(rows) - len(columns)) < 3
        boxes.append([Box(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)] if square else [])
    return boxes


def level_in(pictures, boxes):
    return np.array(
        [
            [picture[int(box.top) : int(box.bottom), int(box.left) : int(box.right)].mean()]
            for picture, box in zip(pictures, boxes, strict=True)
        ]
    )


def reads_level(pictures):
    """Reads the name of the level in the middle of a picture."""
    names = {5: "alpha", 7: "gamma", 9: "omega"}
    return [[Line(names.get(int(picture[32, 32, 0]) // 25, ""), 9)] for picture in pictures]


@pytest.fixture(scope="module")
def bench():
    pictures = [np.zeros((64, 64, 3), np.uint8) for _ in range(3)]
    for picture, grey in zip(pictures, (130, 180, 230), strict=True):
        picture[16:48, 16:48] = grey
    return set_up(MIXED, pictures, None, [], effort=TINY, seed=0)


def colours(pictures):
    features = np.stack([picture.mean(axis=(0, 1)) + np.array([100, 0, 0]) for picture in pictures])
    return features / np.linalg.norm(features, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def recognised(bench):
    terms = PeoplesTerms(square_in, level_in, reads_level, colours)
    return terms.recognise(bench, [look(bench), mixing_inversion(bench)])


def test_every_version_stands_beside_the_plain_one_and_chance(recognised):
    records, left_out = recognised
    assert [record.attack for record in records] == ["faces", "words", "scenes"] and not left_out
    for record in records:
        versions = [PLAIN, AS_IT_IS, "after inversion under a smoothness prior"]
        assert list(record.baselines) == versions and record.n == 3
        assert record.baselines[PLAIN][record.measure] == record.value == 1
        assert record.by_chance == pytest.approx(0 if record.attack == "words" else 1 / 3)
        assert level(record) and "(plain 100%, chance" in sentence(record)
    faces = records[0].to_dict()
    assert [row["measure"] for row in rows_of(faces)] == ["faces identified", "faces found"]


def test_what_is_recognised_can_be_the_largest_leak_and_stands_among_who_learns_what(recognised):
    records, _ = recognised
    assert largest_leak(records).attack in ("faces", "words", "scenes")
    public = who_can_learn_what(MIXED, records)[0]
    assert "of the faces identified" in public["faces"] and "of the words read" in public["words"]


def test_the_worst_version_counts_and_is_named(bench):
    def blank(record):
        return dataclasses.replace(record, pictures=[np.zeros_like(image) for image in bench.plain])

    records, _ = PeoplesTerms(square_in, level_in).recognise(bench, [blank(mixing_inversion(bench))])
    assert records[0].value == 1 and records[0].notes == [f"Most was recognised in this: {AS_IT_IS}."]
    assert records[0].baselines["after inversion under a smoothness prior"]["faces_found"] == 0


def test_pictures_that_show_nothing_and_recognisers_that_are_missing_are_told():
    settings = RandomShuffling(image_size=64, patch_size=16)
    flat = set_up(settings, [np.full((64, 64, 3), 9, np.uint8)] * 3, None, [], effort=TINY, seed=0)
    assert PeoplesTerms(square_in, level_in, reads_level).recognise(flat, []) == (
        [],
        {
            "faces": "no face was found in the plain pictures",
            "words": "no word of four letters or more was read in the plain pictures",
            "scenes": "no backbone was named by whose features to compare; --backbone names its folder",
        },
    )
    _, left_out = PeoplesTerms().recognise(flat, [])
    assert left_out["faces"] == left_out["words"] == 'pip install "hipmr-hf[recognisers]" looks for them'
