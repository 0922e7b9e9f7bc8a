"""What the figures mean: a level for each attacker, a sentence about it, and a grade for the settings."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .records import CONTROL, GRADIENT, LINK, ORDER, PEOPLE, PICTURE, TONES, AttackRecord

if TYPE_CHECKING:
    from .bench import Effort
    from .controls import Control

TIMES_CHANCE = 2.0
"""Where chance is above a third, half of the way from it to 1 counts: twice chance may be out of reach."""

ORDER_BOUNDS = (0.10, 0.35, 0.70)
PICTURE_BOUNDS = (0.05, 0.20, 0.45, 0.70)
SEARCH_LIMITED = 0.1

THRESHOLDS = {
    "A": f"No attacker, finding a photograph among candidates included, scores more than {TIMES_CHANCE:g} "
    "times chance (where chance is above a third: gets more than half of the way from it to 100%), and "
    f"pictures come at most {PICTURE_BOUNDS[0]:.0%} of the way. Only at full effort, and "
    f"only if at most {SEARCH_LIMITED:.0%} of the searches were cut short.",
    "B": "As A for every attacker that restores the picture; but an encrypted image can be linked to a "
    "photograph or to its subject, something is recognised, or tones are dealt back.",
    "C": f"At most {ORDER_BOUNDS[0]:.0%} of neighbours or places put back, and pictures at most "
    f"{PICTURE_BOUNDS[1]:.0%} of the way: scraps, hardly an outline.",
    "D": f"At most {ORDER_BOUNDS[1]:.0%} put back, and pictures at most {PICTURE_BOUNDS[2]:.0%} of the way: "
    "fragments, or an outline.",
    "E": f"At most {ORDER_BOUNDS[2]:.0%} put back, and pictures at most {PICTURE_BOUNDS[3]:.0%} of the way: "
    "large pieces, or a blurred scene.",
    "F": "More than that: the picture is back, or what it shows is plain to see.",
}
"""What each grade means, in words; a report prints them all."""

WAY = (
    "The way of a picture goes from the likeness of another photograph of the sample (0%) to 1 (100%). "
    "Likeness is the correlation of brightness or of edges, whichever is higher, with the plain picture at "
    "about 56 pixels a side, after the best shift."
)
"""How pictures are measured for the grade, in words."""

INVALID = "invalid"

_NO_MORE = "no more than twice what guessing finds"
_SEEN = {
    ORDER: (_NO_MORE, "scraps", "fragments", "large pieces", "the picture is back"),
    PICTURE: (
        "no more than another photograph",
        "hardly an outline",
        "an outline",
        "a blurred scene",
        "what it shows is plain to see",
    ),
}
_LETTERS = "BCDEF"
_SHARES = {
    "neighbour": "of the neighbouring patches",
    "direct": "of the patches in their places",
    "adjacent": "of the adjacent patches truly adjacent",
    "neighbour_turned": "of the neighbouring patches, each the right way round",
}
_RECOGNISED = {
    "faces_identified": "of the faces identified",
    "faces_found": "of the faces found",
    "words_read": "of the words read",
    "scene_retrieved": "of the scenes retrieved",
}


@dataclasses.dataclass(frozen=True)
class Grade:
    """The grade of one setting.

    Args:
        letter: "A" to "F", or "invalid".
        reason: a sentence.
    """

    letter: str
    reason: str


def level(record: AttackRecord) -> int:
    """How much came back: 0 hardly more than guessing finds, up to 4, the picture.

    Example:
        >>> found = AttackRecord("j", "", ORDER, "", "neighbour", {"neighbour": [0.5]}, {"neighbour": 0.005})
        >>> level(found)
        3
    """
    value, chance = record.value, record.by_chance
    if math.isnan(value):
        return 0
    if record.kind == PICTURE:
        return sum(_way(record) > bound for bound in PICTURE_BOUNDS)
    if value <= beyond_chance(chance):
        return 0
    return 1 + sum(value > bound for bound in ORDER_BOUNDS)


def beyond_chance(chance: float) -> float:
    """The share above which an attacker did better than guessing.

    Example:
        >>> beyond_chance(0.01), beyond_chance(0.5)
        (0.02, 0.75)
    """
    return min(TIMES_CHANCE * chance, (1 + chance) / 2)


def grade(records: Sequence[AttackRecord], effort: Effort, *, valid: bool, hard: bool = False) -> Grade:
    """Grade a setting by the strongest of its attackers.

    Args:
        records: of all attackers.
        effort: of the audit; a quick one gives nothing better than C.
        valid: whether the audit's own controls came out as expected.
        hard: whether even easy puzzles of these images withstood the solver; then nothing better than C.

    Example:
        >>> from hipmr_hf.privacy_report import FULL
        >>> half = AttackRecord(
        ...     "jigsaw", "a solver", ORDER, "", "neighbour", {"neighbour": [0.5]}, {"neighbour": 0.005})
        >>> grade([half], FULL, valid=True).letter
        'E'
    """
    if not valid:
        return Grade(INVALID, "The audit's own controls failed, so its figures say nothing about privacy.")
    restoring = [record for record in records if record.kind in (ORDER, PICTURE)]
    worst = max(restoring, key=lambda record: (level(record), _way(record)))
    if level(worst):
        return Grade(_LETTERS[level(worst)], sentence(worst))
    if not effort.training_seconds:
        return Grade(
            "C", "The picture did not come back, but no attacker was trained: only a full audit gives A or B."
        )
    if hard:
        return Grade(
            "C",
            "The picture did not come back, but images of this kind are hard for the solver anyhow.",
        )
    cut_short = [record for record in restoring if (record.search_limited or 0) > SEARCH_LIMITED]
    if cut_short:
        return Grade(
            "C", f"The picture did not come back, but {cut_short[0].title} searched too short to tell."
        )
    linked = [record for record in records if record.kind in (LINK, PEOPLE, TONES) and level(record)]
    if linked:
        return Grade("B", f"The picture did not come back; {linked[0].title}: {said(linked[0])}.")
    return Grade("A", "No attacker that was tried did better than twice chance.")


def passed(controls: Sequence[Control]) -> bool:
    """Tell whether an audit with these controls is valid."""
    return all(control.passed for control in controls if control.counts)


def withstood(controls: Sequence[Control]) -> bool:
    """Tell whether the owner's images, though not empty, are hard for the solver: it finds too little."""
    return any(not control.passed and not control.counts for control in controls)


def largest_leak(records: Sequence[AttackRecord]) -> AttackRecord | None:
    """Find the attacker that got furthest from chance, finding the photograph among candidates included.

    Returns:
        Its record; None where no attacker did better than guessing.

    Example:
        >>> found = AttackRecord("link", "", LINK, "", "top1", {"top1": [0.9]}, {"top1": 0.02})
        >>> largest_leak([found]).attack, largest_leak([])
        ('link', None)
    """
    kinds = (ORDER, PICTURE, LINK, PEOPLE, TONES)
    found = [record for record in records if record.kind in kinds and level(record)]
    return max(found, key=_way, default=None)


def sentence(record: AttackRecord) -> str:
    """Tell in one plain sentence what an attacker got.

    Example:
        >>> found = AttackRecord(
        ...     "jigsaw", "a jigsaw solver", ORDER, "the settings alone", "neighbour",
        ...     {"neighbour": [1.0]}, {"neighbour": 0.005})
        >>> sentence(found)
        'A jigsaw solver: 100% of the neighbouring patches (chance 0.5%), the picture is back.'
    """
    return f"{record.title[:1].upper()}{record.title[1:]}: {said(record)}."


def said(record: AttackRecord) -> str:
    """The figure that counts, its chance, and what it means to the eye."""
    value, chance = record.value, record.by_chance
    if record.kind == PICTURE:
        return f"likeness {value:.2f} (another photograph {chance:.2f}), {_SEEN[PICTURE][level(record)]}"
    if record.kind == GRADIENT:
        return f"{share(value)} of the patches of the encrypted image (chance {share(chance)})"
    figures = f"{share(value)} {{}} (chance {share(chance)})"
    if record.kind == PEOPLE:
        plain = next(iter(record.baselines.values()))[record.measure]
        return f"{share(value)} {_RECOGNISED[record.measure]} (plain {share(plain)}, chance {share(chance)})"
    if record.kind == LINK:
        times = "linked" if level(record) else _NO_MORE
        return f"{figures.format('found first')}, {times}"
    if record.kind == TONES:
        more = "more than twice what guessing finds" if level(record) else _NO_MORE
        return f"{figures.format('of the tones dealt back')}, {more}"
    figures = figures.format(_SHARES.get(record.measure, ""))
    if record.kind == CONTROL:
        return f"{figures}, from {record.knows}"
    return f"{figures}, {_SEEN[ORDER][level(record)]}"


def share(value: float) -> str:
    """Write a share for people.

    Example:
        >>> share(0.005), share(0.97), share(float("nan"))
        ('0.5%', '97%', 'not defined')
    """
    if math.isnan(value):
        return "not defined"
    return f"{value:.1%}" if value < 0.1 else f"{value:.0%}"


def _way(record: AttackRecord) -> float:
    """How far from chance to all of it: 0 to 1."""
    value, chance = record.value, record.by_chance
    return 0.0 if math.isnan(value) or chance >= 1 else (value - chance) / (1 - chance)
