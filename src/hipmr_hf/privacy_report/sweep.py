"""Settings from the paper's own to the strongest, for a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..encryption.mixing_up import MixingUp
from ..encryption.random_shuffling import RandomShuffling
from .bench import AUDITED_SIDE

if TYPE_CHECKING:
    from ..encryption.base import Encryption


def sweep(*, image_size: int | tuple[int, int] = AUDITED_SIDE, patch_size: int = 16) -> list[Encryption]:
    """List settings from the paper's own to the strongest knobs, for a comparison.

    Args:
        image_size: pixels, as in `RandomShuffling`.
        patch_size: width of a plain patch in pixels, a multiple of 4.

    Example:
        >>> from hipmr_hf.privacy_report.bench import described
        >>> [described(settings) for settings in sweep(image_size=64, patch_size=8)][:2]
        ['RS, 64x64, patch 8', 'RS, 64x64, patch 8, interval 2']
    """
    same = {"image_size": image_size, "patch_size": patch_size}
    interval = max(2, patch_size // 8 * 2)
    mixed = {**same, "sub_patch_grid": 2}
    return [
        RandomShuffling(**same),
        RandomShuffling(**same, interval=interval),
        RandomShuffling(**same, drop_ratio=0.5),
        RandomShuffling(**mixed),
        RandomShuffling(**mixed, sub_patch_symmetries=True),
        RandomShuffling(**mixed, sub_patch_symmetries=True, patch_normalization=True),
        MixingUp(**mixed),
        MixingUp(**mixed, sub_patch_symmetries=True, patch_normalization=True),
    ]
