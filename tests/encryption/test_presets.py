"""Presets: names for settings, whose meaning stays."""

import itertools

import numpy as np
import pytest

from hipmr_hf import Encryption, MixingUp, RandomShuffling, SecretKey, Sides, new_nonce
from hipmr_hf.encryption.preset_table import DEFAULT_PRESET, PRESETS
from hipmr_hf.encryption.weaknesses import weaknesses

APART = {"sub_patch_symmetries": True, "shuffle_tones": True}
GRID_4 = {"sub_patch_grid": 4, "sub_patch_symmetries": True, "patch_normalization": True}
MEANT = {
    ("classification", 64): RandomShuffling(64, 8, interval=4, sub_patch_grid=2, **APART),
    ("classification", 224): RandomShuffling(224, 16, interval=8, sub_patch_grid=2, **APART),
    ("classification", 384): RandomShuffling(384, 24, interval=12, sub_patch_grid=2, **APART),
    ("dense", 64): MixingUp(64, 8, **APART),
    ("dense", 224): MixingUp(224, 16, **APART),
    ("dense", 384): MixingUp(384, 24, **APART),
    ("strongest", 64): RandomShuffling(64, 8, **GRID_4),
    ("strongest", 224): RandomShuffling(224, 16, **GRID_4),
    ("strongest", 384): RandomShuffling(384, 24, **GRID_4),
    ("reversible", 64): RandomShuffling(64, 8, sub_patch_symmetries=True),
    ("reversible", 224): RandomShuffling(224, 16, sub_patch_symmetries=True),
    ("reversible", 384): RandomShuffling(384, 24, sub_patch_symmetries=True),
    ("paper-rs", 64): RandomShuffling(64, 8),
    ("paper-rs", 224): RandomShuffling(),
    ("paper-rs", 384): RandomShuffling(384, 16),
    ("paper-mi", 64): MixingUp(64, 8),
    ("paper-mi", 224): MixingUp(224),
    ("paper-mi", 384): MixingUp(384, 16),
}


def test_a_name_and_a_size_mean_the_same_for_good():
    assert {name for name, _ in MEANT} == set(PRESETS)
    assert {(name, size): Encryption.from_preset(name, size) for name, size in MEANT} == MEANT


def test_the_default_preset_is_the_first_and_224_pixels_the_default_size():
    assert DEFAULT_PRESET == next(iter(PRESETS)) == "classification"
    assert Encryption.from_preset("dense") == MEANT["dense", 224]


@pytest.mark.parametrize(("name", "size"), [*itertools.product(PRESETS, [64, 224, 384, 96, (128, 192), 512])])
def test_every_preset_encrypts_pictures_of_its_size_and_travels_as_a_file(name, size, tmp_path):
    encryption = Encryption.from_preset(name, size)
    picture = np.random.default_rng(0).integers(0, 256, (*encryption._fixed_size, 3), dtype=np.uint8)
    assert encryption(picture).shape[:2] == encryption.encrypted_size
    encryption.save_pretrained(tmp_path)
    assert Encryption.from_pretrained(tmp_path) == encryption


@pytest.mark.parametrize("name", [name for name in PRESETS if not name.startswith("paper")])
@pytest.mark.parametrize("size", [64, 224, 384])
def test_only_the_papers_presets_and_the_reversible_one_hide_next_to_nothing(name, size):
    said = weaknesses(Encryption.from_preset(name, size))
    assert bool(said) == (name == "reversible"), said


@pytest.mark.parametrize("size", [64, (96, 128)])
def test_the_key_brings_every_pixel_of_the_reversible_preset_back(size):
    encryption = Encryption.from_preset("reversible", size)
    assert encryption.losses == ()
    picture = np.random.default_rng(0).integers(0, 256, (*encryption._fixed_size, 3), dtype=np.uint8)
    secret = {"key": SecretKey.generate(), "nonce": new_nonce()}
    encrypted = encryption(picture, **secret)
    assert (encrypted != picture).any() and (encryption.decrypt(encrypted, **secret) == picture).all()
    lossy = [name for name in PRESETS if Encryption.from_preset(name, size).losses]
    assert lossy == ["classification", "dense", "strongest", "paper-mi"]


def test_presets_that_mix_keep_the_shape_of_pictures():
    assert Encryption.from_preset("dense", None) == MixingUp(None, 16, **APART)
    sides = Encryption.from_preset("dense", Sides(800, 1333))
    assert sides == MixingUp(Sides(800, 1333), 32, **APART)
    assert Encryption.from_preset("paper-mi", Sides(224)).patch_size == 16


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("strong",), r"preset: got 'strong', expected one of classification, dense, .*hipmr presets"),
        ((None,), r"preset: got None, expected one of"),
        (
            ("classification", 100),
            r"image_size: got .*100.*whole patches of patch_size=8; the nearest are 96",
        ),
        (("classification", None), r"image_size: got None, but preset classification shuffles .*dense"),
        (("strongest", Sides(64)), r"image_size: got Sides.*, but preset strongest shuffles"),
        (("dense", Sides(4)), r"shorter: got 4"),
        (("dense", (64, 64, 64)), r"image_size: got \(64, 64, 64\)"),
    ],
)
def test_what_is_no_preset_or_no_size_is_told(arguments, said):
    with pytest.raises(ValueError, match=said):
        Encryption.from_preset(*arguments)


def test_a_strategy_takes_its_own_presets():
    assert RandomShuffling.from_preset("paper-rs") == RandomShuffling()
    with pytest.raises(ValueError, match="strategy: got 'mi', RandomShuffling reads 'rs'"):
        RandomShuffling.from_preset("dense")
    with pytest.raises(TypeError, match="image_size: got '224'"):
        Encryption.from_preset("classification", "224")
