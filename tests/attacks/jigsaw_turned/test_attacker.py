"""The attack on turned patches succeeds on smooth pictures and is at chance on noise."""

import dataclasses

import numpy as np
import pytest
import smooth_pictures

from hipmr_hf.attacks.base import encrypt_with_truth, split_mosaic
from hipmr_hf.attacks.jigsaw_turned.attacker import fit_turned, view_of
from hipmr_hf.attacks.jigsaw_turned.descriptors import UNIT, restored
from hipmr_hf.attacks.jigsaw_turned.pair_features import Metric, Patches, pair_features
from hipmr_hf.attacks.jigsaw_turned.places import gains, lay_out, layout_worth
from hipmr_hf.encryption import MixingUp, RandomShuffling
from hipmr_hf.encryption.patches import normalize_patches, turn_sub_patches
from hipmr_hf.errors import InputTypeError, InputValueError
from hipmr_hf.metrics.turned_order import true_neighbours

TURNED = RandomShuffling(image_size=112, patch_size=16, sub_patch_symmetries=True)
SEARCH = {"trees": 40, "steps": 500, "runs": 1}


def smooth(seed, side=112):
    return smooth_pictures.smooth(seed, side)


def attacked(encryption, pictures, attacked_one):
    attacker = fit_turned(encryption, pictures, **SEARCH)
    sample = encrypt_with_truth(encryption, attacked_one[None])
    return attacker(sample.images[0], sample.positions[0])


def test_turned_patches_of_a_smooth_picture_find_their_neighbours():
    result = attacked(TURNED, [smooth(seed) for seed in range(1, 13)], smooth(0))

    assert result.scores["partner"] > 0.7
    assert result.scores["adjacent"] > 0.4
    assert result.chance["partner"] < 0.08
    assert result.reconstruction.shape == (112, 112, 3)


def test_several_models_see_encryptions_of_their_own_and_what_they_say_is_averaged():
    told = []
    pictures = [smooth(seed) for seed in range(1, 5)]
    settings = dataclasses.replace(TURNED, sub_patch_grid=2, shuffle_tones=True)

    attacker = fit_turned(
        settings, pictures, models=3, progress=lambda share, text: told.append((share, text)), **SEARCH
    )

    assert [share for share, _ in told] == sorted(share for share, _ in told) and told[-1][0] == 1
    assert {text[:7] for _, text in told} == {"model 1", "model 2", "model 3"}
    assert attacker.effort["trees"] == 3 * 2 * SEARCH["trees"] and attacker.effort["pictures"] == 4
    image = settings(smooth(0))
    said = [model(split_mosaic(image, settings.encrypted_patch_size)) for model in attacker.models]
    assert np.abs(said[0] - said[1]).max() > 0.1 and np.abs(said[1] - said[2]).max() > 0.1
    grid = lay_out(np.mean(said, axis=0), (7, 7), seed=0, steps=SEARCH["steps"], runs=SEARCH["runs"])
    np.testing.assert_array_equal(attacker(image).positions[grid.ravel()], np.arange(49))


def test_noise_stays_at_chance():
    noise = np.random.default_rng(0).integers(0, 256, (11, 112, 112, 3), dtype=np.uint8)

    result = attacked(TURNED, list(noise[1:]), noise[0])

    assert result.scores["partner"] < 0.25
    assert result.scores["adjacent"] < 0.2


@pytest.mark.parametrize("knobs", [{}, {"patch_normalization": True}, {"shuffle_tones": True}])
def test_features_do_not_see_how_patches_were_turned(knobs):
    rng = np.random.default_rng(0)
    pieces = rng.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    turned = turn_sub_patches(pieces, rng.integers(0, 8, (6, 1, 1, 1, 1)), patch_size=8, grid=1)
    view = view_of(RandomShuffling(sub_patch_symmetries=True, **knobs))
    described = [Patches(some, view) for some in (pieces, turned)]
    metric = Metric(np.eye(described[0].described.shape[1], dtype=np.float32))

    plain, other = (pair_features(some, metric) for some in described)

    np.testing.assert_allclose(plain, other, rtol=1e-3, atol=2e-3)


def test_normalization_loses_no_more_than_the_mean():
    """Its divisor, contrast plus 8, can be read off what contrast is left."""
    rng = np.random.default_rng(0)
    patch = (100 + rng.normal(0, [[[[5.0]]], [[[20.0]]]], (2, 16, 16, 3))).clip(0, 255).astype(np.uint8)
    normalized = np.concatenate(
        [normalize_patches(one[None].astype(np.uint16), patch_size=16, count=1) for one in patch]
    )

    back = restored(normalized, "centred")

    np.testing.assert_allclose(back, patch - patch.mean((1, 2), keepdims=True), atol=3)


def test_dealt_contrasts_do_not_change_what_is_compared():
    texture = np.random.default_rng(0).normal(size=(1, 16, 16, 3))
    strong, weak = (np.rint(128 + scale * texture).clip(0, 255).astype(np.uint8) for scale in (30, 15))

    np.testing.assert_allclose(restored(strong, UNIT), restored(weak, UNIT), atol=1.5)


def test_annealing_finds_a_layout_that_is_worth_as_much_as_the_true_one():
    beside = true_neighbours(np.arange(36), (6, 6))
    scores = np.where(beside, 4.0, -6.0)

    grid = lay_out(scores, (6, 6), steps=1000, seed=0)

    assert sorted(grid.ravel()) == list(range(36))
    assert layout_worth(grid, gains(scores)) > 0.9 * layout_worth(np.arange(36).reshape(6, 6), gains(scores))


def test_the_same_seed_finds_the_same_layout():
    scores = np.random.default_rng(0).normal(size=(9, 9))
    scores += scores.T

    first, second = (lay_out(scores, (3, 4), steps=50, seed=3) for _ in range(2))

    np.testing.assert_array_equal(first, second)
    assert (first < 0).sum() == 3


def test_settings_without_a_puzzle_are_refused():
    with pytest.raises(InputTypeError, match="MixingUp"):
        fit_turned(MixingUp(image_size=64), [smooth(0, 64)] * 2)
    with pytest.raises(InputValueError, match="plain: got 1"):
        fit_turned(TURNED, [smooth(0)])
    with pytest.raises(InputValueError, match="models: got 0"):
        fit_turned(TURNED, [smooth(0)] * 2, models=0)
