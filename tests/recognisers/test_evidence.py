"""Evidence counts what is left of what was there, beside guessing, whatever the recogniser."""

import numpy as np
import pytest

from hipmr_hf.errors import InputTypeError, InputValueError
from hipmr_hf.recognisers import Box, Evidence, FaceEvidence, Line, SceneEvidence, WordEvidence
from hipmr_hf.recognisers.base import check_pictures
from hipmr_hf.recognisers.evidence import best_turned, scramble


def bright_squares(pictures):
    """Finds one bright square in a picture: a recogniser small enough to be right beyond doubt."""
    found = []
    for picture in pictures:
        rows, columns = (np.flatnonzero((picture[..., 0] > 128).any(axis=axis)) for axis in (1, 0))
        whole = (
            len(rows) and (picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] > 128).mean() > 0.8
        )
        found.append([Box(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)] if whole else [])
    return found


def levels(pictures, boxes):
    """Describes what stands in a box by its level."""
    return np.array(
        [
            [picture[int(box.top) : int(box.bottom), int(box.left) : int(box.right)].mean()]
            for picture, box in zip(pictures, boxes, strict=True)
        ]
    )


@pytest.fixture
def squares():
    pictures = [np.zeros((64, 64, 3), np.uint8) for _ in range(4)]
    for picture, level in zip(pictures[:3], (150, 190, 230), strict=True):
        picture[8:40, 8:40] = level
    return pictures  # the last one shows nothing


def test_all_faces_are_found_in_the_plain_pictures_and_none_in_tiles(squares):
    evidence = FaceEvidence(squares, bright_squares, levels)
    found = evidence(squares)
    assert evidence.with_something == [0, 1, 2]
    assert found["faces_found"].values == found["faces_identified"].values == (1.0, 1.0, 1.0)
    assert found["faces_identified"].chance == pytest.approx(1 / 3)
    assert found["faces_found"].chance < 0.5  # tiles of a square rarely make one


def test_a_face_that_moved_is_found_one_that_shrank_too_much_is_not(squares):
    evidence = FaceEvidence(squares, bright_squares, levels)
    moved = [np.roll(picture, 20, axis=1) for picture in squares]
    assert evidence(moved)["faces_found"].share == 1
    shrunk = [np.zeros_like(picture) for picture in squares]
    for one, picture in zip(shrunk, squares, strict=True):
        one[8:18, 8:18] = picture[8:18, 8:18]
    assert evidence(shrunk)["faces_found"].share == 0


def test_faces_of_others_are_no_identification(squares):
    gallery = levels(squares[:3], [Box(8, 8, 40, 40)] * 3)
    evidence = FaceEvidence(
        squares, bright_squares, levels, people=[0, 1, 2, 9], gallery=gallery, gallery_people=[1, 2, 0]
    )
    assert evidence(squares)["faces_identified"].share == 0
    with pytest.raises(InputValueError, match="gallery_people"):
        FaceEvidence(squares, bright_squares, levels, gallery=gallery)


def test_pictures_of_another_size_are_compared_at_the_plain_ones(squares):
    small = [np.ascontiguousarray(picture[::2, ::2]) for picture in squares]
    assert FaceEvidence(squares, bright_squares, levels)(small)["faces_found"].share == 1


def test_words_are_counted_where_there_were_some_beside_those_of_another_page():
    read = {1: [Line("Harvest Window", 9)], 2: [Line("silvergarden", 9), Line("harvest", 8)], 3: []}

    def reader(pictures):
        return [read[int(picture[0, 0, 0])] for picture in pictures]

    def page(number):
        return np.full((16, 16, 3), number, np.uint8)

    evidence = WordEvidence(
        [page(1), page(3), page(2)], reader, words=[["harvest", "window"], [], ["garden"]]
    )
    found = evidence([page(2), page(2), page(2)])["words_read"]
    assert found.values == (0.5, 1.0) and found.chance == pytest.approx(0.75)
    assert evidence.with_something == [0, 2]


def test_scenes_are_retrieved_by_the_most_similar_features():
    rng = np.random.default_rng(0)
    plain = list(rng.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8))

    def flat(pictures):
        features = np.stack([picture.astype(float).ravel() - 128 for picture in pictures])
        return features / np.linalg.norm(features, axis=1, keepdims=True)

    evidence = SceneEvidence(plain, flat)
    assert evidence(plain[:4])["scene_retrieved"] == Evidence((1.0,) * 4, 1 / 6)
    assert evidence([plain[5], plain[1]])["scene_retrieved"].share == 0.5


def test_an_error_needs_two_pictures():
    assert np.isnan(Evidence((1.0,), 0.1).error) and np.isnan(Evidence((), 0.1).share)


def test_tiles_are_the_same_in_another_order():
    picture = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    mixed = scramble(picture, np.random.default_rng(1))
    assert (mixed != picture).any() and (np.sort(mixed.ravel()) == np.sort(picture.ravel())).all()


@pytest.mark.parametrize("turns", range(4))
def test_a_picture_is_turned_as_its_plain_one_is(turns):
    from sklearn.datasets import load_sample_image

    plain = load_sample_image("china.jpg")[:224, :224]
    for side in (plain, plain[:, ::-1]):
        assert (best_turned(np.rot90(side, turns), plain) == plain).all()


@pytest.mark.parametrize(
    ("picture", "error"),
    [
        (np.zeros((4, 4, 3)), InputTypeError),
        (np.zeros((4, 4), np.uint8), InputValueError),
        ("a", InputTypeError),
    ],
    ids=["float", "grey", "text"],
)
def test_what_is_no_picture_is_refused(picture, error):
    with pytest.raises(error, match=r"^pictures: got .* read_image"):
        check_pictures([picture])
