"""Mixing is undone as far as a prior goes; what was seen is kept exactly."""

import numpy as np
import pytest

from hipmr_hf.attacks.mixing.inversion import invert_mixing, project, thumbnail, tile
from hipmr_hf.encryption import MixingUp, RandomShuffling

SETTINGS = MixingUp(image_size=64, patch_size=16)


def test_total_variation_beats_tiling_and_tiling_beats_one_grey(photo):
    plain = SETTINGS.prepare(photo)
    encrypted = SETTINGS(photo)

    tiled = invert_mixing(encrypted, SETTINGS, plain, steps=0)
    smoothed = invert_mixing(encrypted, SETTINGS, plain, steps=40)

    assert smoothed.scores["psnr"] > tiled.scores["psnr"] + 0.3
    assert smoothed.scores["ssim"] > tiled.scores["ssim"]
    assert tiled.scores["psnr"] > tiled.chance["psnr"] + 3


def test_noise_cannot_be_inverted():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)

    result = invert_mixing(SETTINGS(noise), SETTINGS, noise, steps=40)

    assert result.scores["psnr"] < result.chance["psnr"] + 2
    assert result.scores["ssim"] < 0.6


def test_a_projected_guess_encrypts_to_what_was_seen(photo):
    encrypted = SETTINGS(photo)
    guess = np.random.default_rng(0).uniform(0, 255, (64, 64, 3))

    projected = project(guess, encrypted, SETTINGS)

    mixed = projected.reshape(4, 2, 8, 4, 2, 8, 3).mean(axis=(1, 4)).reshape(32, 32, 3)
    np.testing.assert_allclose(mixed, encrypted, atol=1e-9)
    np.testing.assert_allclose(project(projected, encrypted, SETTINGS), projected, atol=1e-9)


def test_tile_is_the_projection_of_nothing(photo):
    encrypted = SETTINGS(photo)

    np.testing.assert_allclose(project(np.zeros((64, 64, 3)), encrypted, SETTINGS), tile(encrypted, SETTINGS))


def test_the_thumbnail_is_exact_to_the_rounding(photo):
    plain = SETTINGS.prepare(photo).astype(float)

    means = plain.reshape(4, 16, 4, 16, 3).mean(axis=(1, 3))

    assert np.abs(thumbnail(SETTINGS(photo), SETTINGS) - means).max() <= 1


@pytest.mark.parametrize(
    "settings",
    [
        RandomShuffling(),
        MixingUp(sub_patch_symmetries=True),
        MixingUp(patch_normalization=True),
        MixingUp(shuffle_tones=True),
    ],
)
def test_settings_without_a_linear_map_are_refused(settings):
    with pytest.raises(ValueError, match="linear map"):
        invert_mixing(np.zeros((16, 16, 3), np.uint8), settings)
