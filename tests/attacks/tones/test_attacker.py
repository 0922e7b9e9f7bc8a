"""Tones are dealt back where textures, rounding or places tell of them, and by chance where nothing does."""

import numpy as np
import pytest

from hipmr_hf.attacks.base import encrypt_with_truth, split_mosaic
from hipmr_hf.attacks.tones.attacker import fit_tones, tone_scores
from hipmr_hf.encryption import MixingUp, RandomShuffling
from hipmr_hf.errors import InputValueError
from hipmr_hf.metrics.likeness import likeness
from hipmr_hf.privacy_report.records import resized

SIDE, PATCH = 128, 16
KNOBS = {"image_size": SIDE, "patch_size": PATCH, "shuffle_tones": True}
IN_PLACE = MixingUp(**KNOBS, sub_patch_symmetries=True)
SHUFFLED = RandomShuffling(**KNOBS)


def hills(rng: np.random.Generator, *, told: bool) -> np.ndarray:
    """Brightness goes up and down over many patches, and the brighter the finer, unless nothing is told.

    Where nothing is told each patch is as bright, and as fine, as it happens to be.
    """
    down, across, first, second = rng.uniform(0.5, 1.2, 2).tolist() + rng.uniform(0, 6, 2).tolist()
    rows, cols = np.mgrid[: SIDE // PATCH, : SIDE // PATCH] / (SIDE // PATCH) * 2 * np.pi
    bright = (np.sin(down * rows + first) + np.sin(across * cols + second)) / 4 + 0.5
    fine = bright
    if not told:
        bright, fine = rng.uniform(size=(2, *bright.shape))
    bright, fine = (np.kron(field, np.ones((PATCH, PATCH)))[..., None] for field in (bright, fine))
    noise = rng.normal(size=(SIDE, SIDE, 3))
    coarse = np.kron(rng.normal(size=(SIDE // 4, SIDE // 4, 3)), np.ones((4, 4, 1)))
    return (
        np.rint(40 + 170 * bright + 14 * (fine * noise + (1 - fine) * coarse)).clip(0, 255).astype(np.uint8)
    )


def attacked(encryption, *, told: bool, pictures: int = 6):
    """Fit on twelve pictures, attack others: attacker, mean scores, likeness drawn and encrypted, chance."""
    rng = np.random.default_rng(0)
    attacker = fit_tones(encryption, [hills(rng, told=told) for _ in range(12)])
    plain = np.stack([hills(rng, told=told) for _ in range(pictures)])
    sample, found = encrypt_with_truth(encryption, plain), []
    for image, holders, one in zip(sample.images, sample.tone_holders, plain, strict=True):
        result = attacker(image, holders)
        drawn = [
            likeness(resized(each, one.shape[:2]), one)["brightness"]
            for each in (result.reconstruction, image)
        ]
        found.append([result.scores["dealt_back"], result.scores["tone_distance"], *drawn])
    return attacker, *np.mean(found, axis=0), result.chance["dealt_back"]


def test_places_draw_a_picture_whose_textures_tell_of_its_tones():
    attacker, share, distance, drawn, encrypted, chance = attacked(IN_PLACE, told=True)
    assert attacker.strength > 0 and share > 3 * chance and distance < 0.5
    assert drawn > 0.8 > 0.5 > encrypted


def test_nothing_is_drawn_where_neither_texture_nor_place_tells_of_a_tone():
    _, _, distance, drawn, _, _ = attacked(IN_PLACE, told=False)  # a few are told by rounding
    assert distance > 0.8 and drawn < 0.5


def test_tones_of_shuffled_patches_are_dealt_back_without_places():
    attacker, share, _, _, _, chance = attacked(SHUFFLED, told=True, pictures=2)
    assert attacker.precision is None and share > 10 * chance


@pytest.mark.parametrize(
    "encryption",
    [SHUFFLED, RandomShuffling(**KNOBS, drop_ratio=0.25), MixingUp(**KNOBS)],
    ids=["shuffled", "dropped", "in place"],
)
def test_the_truth_names_the_patch_that_has_a_tone(encryption):
    levels = np.random.default_rng(0).permutation(64).reshape(8, 8) * 3 + 20
    plain = np.kron(levels, np.ones((PATCH, PATCH)))[..., None].repeat(3, axis=2).astype(np.uint8)
    sample = encrypt_with_truth(encryption, np.stack([plain, plain]))
    for number, (image, holders) in enumerate(zip(sample.images, sample.tone_holders, strict=True)):
        places = np.arange(64) if sample.positions is None else sample.positions[number]
        shown = split_mosaic(image, encryption.encrypted_patch_size).mean((1, 2, 3))
        assert (shown[holders] == levels.ravel()[places]).all()


def test_equal_tones_count_as_one_another():
    patches = np.zeros((4, 2, 2, 3), np.uint8)
    scores, chance = tone_scores(np.array([1, 0, 3, 2]), np.arange(4), patches)
    assert scores["dealt_back"] == chance["dealt_back"] == 1


def test_what_cannot_be_fitted_is_refused():
    pictures = [np.zeros((SIDE, SIDE, 3), np.uint8)]
    with pytest.raises(InputValueError, match="shuffle_tones"):
        fit_tones(RandomShuffling(image_size=SIDE), pictures * 4)
    with pytest.raises(InputValueError, match="got 1, expected 2"):
        fit_tones(IN_PLACE, pictures)
