"""Encryption settings that are measured again and again."""

from hipmr_hf import MixingUp, RandomShuffling

SIDE, PATCH = 224, 16
MIXED = {"sub_patch_grid": 2}
BOTH = {"sub_patch_symmetries": True, "patch_normalization": True}
TONES_APART = {"sub_patch_symmetries": True, "shuffle_tones": True}
HARDENED = {**MIXED, **BOTH}


def shuffling(**knobs) -> RandomShuffling:
    """Random shuffling of 224x224 pixels with patches of 16, unless the knobs say otherwise."""
    return RandomShuffling(**{"image_size": SIDE, "patch_size": PATCH, **knobs})


def mixing(**knobs) -> MixingUp:
    """Mixing-up of 224x224 pixels with patches of 16, unless the knobs say otherwise."""
    return MixingUp(**{"image_size": SIDE, "patch_size": PATCH, **knobs})
