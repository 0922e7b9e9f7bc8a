"""Warnings come where a patch is too small or too large for what the pictures show, and only there."""

import pytest

from hipmr_hf import MixingUp, RandomShuffling
from hipmr_hf.recognisers.sizes import Sizes, size_warnings

TURNED = {"sub_patch_symmetries": True}


@pytest.mark.parametrize(
    ("encryption", "sizes", "told"),
    [
        (MixingUp(patch_size=16), Sizes((79.0,), (39.0,), 1), []),
        (MixingUp(patch_size=16), Sizes((40.0, 97.0), (), 1), ["faces up to 6.1 patches wide"]),
        (MixingUp(patch_size=16), Sizes((), (12.0, 40.0), 1), ["letters up to 2.5 patches high"]),
        (MixingUp(patch_size=16, **TURNED), Sizes((150.0,), (60.0,), 1), []),
        (MixingUp(patch_size=8, **TURNED), Sizes((97.0,), (41.0,), 1), ["faces up to", "letters up to"]),
        (MixingUp(patch_size=8, **TURNED, shuffle_tones=True), Sizes((200.0,), (90.0,), 1), []),
        (MixingUp(patch_size=8, patch_normalization=True), Sizes((200.0,), (90.0,), 1), []),
        (RandomShuffling(image_size=224), Sizes((40.0,), (10.0,), 1), []),
        (RandomShuffling(image_size=224, patch_size=56), Sizes((50.0, 90.0), (), 1), ["faces down to 50"]),
        (RandomShuffling(image_size=224, patch_size=56), Sizes((), (14.0,), 1), ["letters 14 pixels high"]),
        (RandomShuffling(image_size=224, patch_size=56, interval=8), Sizes((50.0,), (14.0,), 1), []),
        (RandomShuffling(image_size=224, patch_size=56, sub_patch_grid=2), Sizes((50.0,), (14.0,), 1), []),
        (MixingUp(patch_size=16), Sizes((), (), 3), []),
    ],
)
def test_warnings_name_the_size_in_patches_and_what_to_change(encryption, sizes, told):
    warnings = size_warnings(encryption, sizes)
    assert len(warnings) == len(told)
    for warning, start in zip(warnings, told, strict=True):
        assert start in warning and "--" in warning
