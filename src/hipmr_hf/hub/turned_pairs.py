"""What attackers that turn pieces put together, setting by setting, for cards and warnings.

From `benchmarks/attacks/turned.py` and `whole.py`: 12 Kodak photographs at 224 x 224 pixels with patches of
16; a test keeps the figures equal to the largest of their results and, where no piece is turned, of the
solver's that never turns one (`jigsaw.py`). Lower bounds: longer fitting, or a better
attacker, finds more. Settings that hide less are told at least what was found under those that hide more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..encryption.base import Encryption

CHANCE = 0.019
_WIDTH = 16


class Knobs(NamedTuple):
    """What hides order: all larger, and no more is put together.

    Args:
        interval: pixels lost between patches, of 16.
        grid: sub-patches a side that are mixed.
        symmetries: sub-patches are turned.
        normalization: patches are normalised.
        tones_apart: tones are dealt out.
    """

    interval: int = 0
    grid: int = 1
    symmetries: bool = False
    normalization: bool = False
    tones_apart: bool = False


PAIRS = {
    Knobs(): 1.00,
    Knobs(0, 1, True): 1.00,
    Knobs(0, 1, True, tones_apart=True): 0.37,
    Knobs(0, 1, True, normalization=True): 0.88,
    Knobs(0, 2): 0.33,
    Knobs(0, 2, True): 0.21,
    Knobs(0, 2, True, tones_apart=True): 0.08,
    Knobs(0, 2, True, normalization=True): 0.12,
    Knobs(0, 4, True): 0.18,
    Knobs(0, 4, True, tones_apart=True): 0.03,
    Knobs(0, 4, True, normalization=True): 0.10,
    Knobs(2): 0.68,
    Knobs(2, 1, True): 0.40,
    Knobs(4): 0.32,
    Knobs(4, 1, True): 0.26,
    Knobs(4, 1, True, tones_apart=True): 0.11,
    Knobs(4, 1, True, normalization=True): 0.15,
    Knobs(4, 2, True, tones_apart=True): 0.06,
    Knobs(4, 2, True, normalization=True): 0.09,
    Knobs(4, 4, True, normalization=True): 0.05,
    Knobs(8, 2, True, tones_apart=True): 0.03,
    Knobs(8, 2, True, normalization=True): 0.06,
    Knobs(8, 4, True, normalization=True): 0.04,
}
"""Share of the pairs put side by side that truly were, by settings."""


def pairs_put_together(encryption: Encryption) -> tuple[float, bool]:
    """Return what attackers that turn pieces put together under these settings or those next to them.

    Args:
        encryption: random shuffling; a drop, which was not measured, is taken to hide nothing.

    Returns:
        The share of adjacent pairs that truly were adjacent (chance .019), and whether it was measured with
        these settings. If not, it is the least of those measured with settings that hide no more.

    Example:
        >>> from hipmr_hf import Encryption, RandomShuffling
        >>> pairs_put_together(Encryption.from_preset("classification"))
        (0.03, True)
        >>> pairs_put_together(RandomShuffling(sub_patch_grid=2, interval=2))
        (0.33, False)
    """
    knobs = Knobs(
        round(encryption.interval * _WIDTH / encryption.patch_size),
        encryption.sub_patch_grid,
        encryption.sub_patch_symmetries,
        encryption.patch_normalization,
        encryption.shuffle_tones,
    )
    if knobs in PAIRS and not encryption.drop_ratio:
        return PAIRS[knobs], True
    weaker = [share for row, share in PAIRS.items() if all(a <= b for a, b in zip(row, knobs, strict=True))]
    return min(weaker), False
