"""How large faces and letters must be, in patches, to be recognised under which settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Encryption

# Rules of thumb from a few dozen portraits and pages; `benchmarks/attacks/recognisers.py` measures them.
FOUND, IDENTIFIED, READ = 5.0, 8.5, 2.5
"""Patches that a face is wide to be found, and identified, and that a letter is high to be read, under MI."""
TURNED = 2.0
"""So many times that, where sub-patches are turned besides."""


def size_rule(encryption: Encryption) -> str:
    """Say how large faces and letters must be to be recognised under these settings, in patches.

    Args:
        encryption: the settings.

    Returns:
        A sentence; of what was measured, where nothing was recognised at these sizes.

    Example:
        >>> from hipmr_hf import MixingUp, RandomShuffling
        >>> print(size_rule(MixingUp()))
        Size decides: a face is found from about 5 patches in width and identified from about 8.5; letters ...
        >>> print(size_rule(RandomShuffling(sub_patch_grid=2)))
        A patch shows whatever fits into it, wherever it is put: here 8 pixels by 8, mixed.
    """
    if encryption.strategy != "mi":
        shown, mixed = shown_by_a_patch(encryption)
        return (
            f"A patch shows whatever fits into it, wherever it is put: here {shown} pixels by {shown}{mixed}."
        )
    if encryption.patch_normalization or encryption.shuffle_tones:
        return (
            "Measured were faces six patches wide and letters up to two patches high; larger ones may be "
            "recognised sooner."
        )
    times = TURNED if encryption.sub_patch_symmetries else 1.0
    return (
        f"Size decides: a face is found from about {times * FOUND:g} patches in width and identified from "
        f"about {times * IDENTIFIED:g}; letters are read from about {times * READ:g} patches in height."
    )


def shown_by_a_patch(encryption: Encryption) -> tuple[int, str]:
    """Pixels that a patch shows a side, and whether they are mixed."""
    shown = (encryption.patch_size - encryption.interval) // encryption.sub_patch_grid
    return shown, ", mixed" if encryption.sub_patch_grid > 1 else ""
