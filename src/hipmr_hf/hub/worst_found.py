"""What the worst of all attackers found under each setting that was measured, as `worst_found.json` has it.

`python benchmarks/attacks/worst_found.py` writes that file from the stored results of the benchmarks: 4 to 12
Kodak photographs at 224 x 224 pixels with patches of 16. Lower bounds: longer fitting, or a better attacker,
finds more.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..encryption.base import Encryption

PLACE = Path(__file__).parent / "worst_found.json"
EXACTLY, LESS, MORE = "these settings", "the next weaker settings", "settings that hide more"
"""With which settings a figure was measured, in words."""
_WIDTH = 16


class Knobs(NamedTuple):
    """What hides a picture: all larger, and no more is found.

    Args:
        interval: pixels lost between patches, of 16.
        grid: sub-patches a side that are mixed.
        symmetries: sub-patches are turned.
        normalization: patches are normalised.
        tones_apart: tones are dealt out.
        drop: share of the patches that is left out. Shares are of the pairs that are left, so that rows of
            different drops are not said to bound each other from above.
    """

    interval: int = 0
    grid: int = 1
    symmetries: bool = False
    normalization: bool = False
    tones_apart: bool = False
    drop: float = 0.0

    def hides_no_more_than(self, other: Knobs) -> bool:
        """Whether every knob is at most as large."""
        return all(mine <= theirs for mine, theirs in zip(self, other, strict=True))


class Found(NamedTuple):
    """The most that was found.

    Attributes:
        share: of pairs put together that truly were beside each other, or likeness of what was drawn.
        chance: what guessing gives; the likeness of another photograph.
        photographs: so many were attacked.
        by: "solver" (learned nothing), "fitted" (its weights), "trained" (a network), which never turn a
            piece, "turned" (turns pieces) or "drawn".
    """

    share: float
    chance: float
    photographs: int
    by: str


class Worst(NamedTuple):
    """What a setting leaves to the worst attacker.

    Attributes:
        found: what was measured.
        measured_with: `EXACTLY`, `LESS` or `MORE`.
    """

    found: Found
    measured_with: str


@functools.cache
def measured(part: str) -> dict[Knobs, Found]:
    """Return the rows of "put_together" or "drawn", setting by setting."""
    rows = json.loads(PLACE.read_text(encoding="utf-8"))[part]
    return {Knobs(**row.pop("knobs")): Found(**row) for row in rows}


def knobs_of(encryption: Encryption) -> Knobs:
    """Return what of an encryption hides, with its interval as of patches of 16.

    Example:
        >>> from hipmr_hf import Encryption
        >>> knobs_of(Encryption.from_preset("classification", 64))[:3]
        (8, 2, True)
    """
    return Knobs(
        round(getattr(encryption, "interval", 0) * _WIDTH / encryption.patch_size),
        encryption.sub_patch_grid,
        encryption.sub_patch_symmetries,
        encryption.patch_normalization,
        encryption.shuffle_tones,
        getattr(encryption, "drop_ratio", 0.0),
    )


def worst_found(encryption: Encryption) -> Worst:
    """Return the most that any attacker found under these settings, or under those next to them.

    Whatever was found under settings that hide more can be found here as well. Of settings that nobody
    measured it is the least of those that hide no more.

    Args:
        encryption: random shuffling: pairs put together; or mixing-up: likeness of what was drawn.

    Example:
        >>> from hipmr_hf import MixingUp, RandomShuffling
        >>> found, measured_with = worst_found(RandomShuffling(sub_patch_grid=2))
        >>> round(found.share, 2), found.by, measured_with
        (0.36, 'trained', 'these settings')
        >>> worst_found(MixingUp(sub_patch_grid=4)).measured_with
        'the next weaker settings'
    """
    rows = measured("put_together" if encryption.strategy == "rs" else "drawn")
    knobs = knobs_of(encryption)
    harder = _hiding_more(knobs, rows)
    if knobs in rows:
        return Worst(harder[0], EXACTLY if harder[0] == rows[knobs] else MORE)
    weaker = min(_hiding_more(row, rows)[0] for row in rows if row.hides_no_more_than(knobs))
    return Worst(harder[0], MORE) if harder and harder[0] > weaker else Worst(weaker, LESS)


def _hiding_more(knobs: Knobs, rows: dict[Knobs, Found]) -> list[Found]:
    """What was found where all of this hides, or more besides, the most first."""
    found = [one for row, one in rows.items() if row.drop == knobs.drop and knobs.hides_no_more_than(row)]
    return sorted(found, reverse=True)
