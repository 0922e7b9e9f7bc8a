"""The presets as a table, which needs nothing else: names, purposes, what is left, knobs."""

import dataclasses
from typing import Any

DEFAULT_PRESET = "classification"
"""What `hipmr encrypt` takes when no settings are given."""

_WIDTHS = (8, 16, 24, 32)
_PAPERS_WIDTHS = (8, 16)  # the paper's own is 16


@dataclasses.dataclass(frozen=True)
class Preset:
    """What a name stands for.

    Args:
        purpose: what it is for.
        left: what it leaves to an attacker, in a phrase.
        strategy: "rs" or "mi".
        knobs: arguments of the strategy that are the same at every size.
        interval: share of a patch's width that is lost between neighbours.
        widths: of patches, in pixels, to choose from.
    """

    purpose: str
    left: str
    strategy: str
    knobs: dict[str, Any] = dataclasses.field(default_factory=dict)
    interval: float = 0.0
    widths: tuple[int, ...] = _WIDTHS


_APART = {"sub_patch_symmetries": True, "shuffle_tones": True}

PRESETS: dict[str, Preset] = {
    "classification": Preset(
        "pictures to classify, where colours tell more than shapes",
        "few neighbours can be found; the palette stays, and links pictures",
        "rs",
        {"sub_patch_grid": 2, **_APART},
        interval=1 / 2,
    ),
    "dense": Preset(
        "pictures with boxes or masks, whose patches keep their places",
        "textures in their places: outlines can be guessed; the palette stays, and links pictures",
        "mi",
        {"sub_patch_grid": 2, **_APART},
    ),
    "strongest": Preset(
        "pictures to classify, where hiding counts for more than accuracy",
        "little of the palette, so least is linked; some more neighbours than under classification",
        "rs",
        {"sub_patch_grid": 4, "sub_patch_symmetries": True, "patch_normalization": True},
    ),
    "reversible": Preset(
        "pictures that the holder of a key wants back, pixel by pixel",
        "whole patches: an attacker who turns them puts the picture back",
        "rs",
        {"sub_patch_symmetries": True},
    ),
    "paper-rs": Preset(
        "the paper's random shuffling, to compare with",
        "the whole picture: a jigsaw solver puts it back in seconds",
        "rs",
        widths=_PAPERS_WIDTHS,
    ),
    "paper-mi": Preset(
        "the paper's mixing-up, to compare with",
        "the scene, plain to the eye without any attack",
        "mi",
        {"sub_patch_grid": 2},
        widths=_PAPERS_WIDTHS,
    ),
}
"""The presets by name, the default first."""
