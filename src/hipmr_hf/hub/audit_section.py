"""The part of a card that tells which attacks were tried on the images, and what they recovered."""

import dataclasses
import re
from collections.abc import Sequence

from ..errors import InputValueError

HEADING = "## Attacks tried on it"
NEXT_HEADING = "## What this does not protect"
_SECTION = re.compile(f"{HEADING}.*?(?={NEXT_HEADING})", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class AuditRow:
    """One attack that was tried.

    Args:
        attack: its name, and what it was trained on, if anything.
        score: what it recovered.
        chance: what guessing recovers.
    """

    attack: str
    score: str
    chance: str


def audit_section(rows: Sequence[AuditRow], summary: str | None = None) -> str:
    """Write the part in Markdown.

    Args:
        rows: the attacks.
        summary: what they come to, and how that was found.

    Example:

        >>> print(audit_section([AuditRow("looking", ".86", ".28")]))
        ## Attacks tried on it
        <BLANKLINE>
        | attack | score | chance |
        |---|---|---|
        | looking | .86 | .28 |
        <BLANKLINE>
    """
    lines = [f"| {row.attack} | {row.score} | {row.chance} |" for row in rows]
    table = "\n".join(["| attack | score | chance |", "|---|---|---|", *lines])
    return "\n\n".join([HEADING, *([summary] if summary else []), table]) + "\n"


def renew_audit_section(text: str, rows: Sequence[AuditRow], summary: str) -> str:
    """Put the part before what is not protected, in place of an earlier one.

    Args:
        text: of a dataset card, or of the part that is ours.
        rows, summary: as in `audit_section`.

    Raises:
        ValueError: the text does not say what is not protected, so it is no card of ours.

    Example:

        >>> text = renew_audit_section("## What this does not protect", [AuditRow("a", "1", "0")], "Grade F.")
        >>> renew_audit_section(text, [AuditRow("a", "2", "0")], "Grade E.").count("Grade")
        1
    """
    if NEXT_HEADING not in text:
        raise InputValueError(
            "card: it lacks the part that hipmr-hf writes between its marks; encrypt the dataset again, or "
            "delete the card and write it anew."
        )
    section = f"{audit_section(rows, summary)}\n"
    return _SECTION.sub("", text).replace(NEXT_HEADING, section + NEXT_HEADING, 1)
