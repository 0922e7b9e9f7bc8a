"""The part of a card that tells which attacks were tried on the images, and what they recovered."""

import dataclasses
import re
from collections.abc import Sequence

from ..errors import InputValueError
from . import escaping

HEADING = "## Attacks tried on it"
NEXT_HEADING = "## What this does not protect"
# Whole lines, so that no name that stands in a line is taken for one of them.
_NEXT = re.compile(f"^{NEXT_HEADING}[ \\t\\r]*$", re.MULTILINE)
_SECTION = re.compile(f"^{HEADING}[ \\t\\r]*$.*?(?={_NEXT.pattern})", re.DOTALL | re.MULTILINE)


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
    table = "\n".join(["| attack | score | chance |", "|---|---|---|", *audit_rows(rows)])
    told = [escaping.without_comments(escaping.one_line(summary))] if summary else []
    return "\n\n".join([HEADING, *told, table]) + "\n"


def audit_rows(rows: Sequence[AuditRow]) -> list[str]:
    """Write the lines of the table.

    Example:

        >>> audit_rows([AuditRow("looking", ".86", ".28")])
        ['| looking | .86 | .28 |']
    """
    return [f"| {' | '.join(map(escaping.text, (row.attack, row.score, row.chance)))} |" for row in rows]


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
    if not _NEXT.search(text):
        raise InputValueError(
            "card: it lacks the part that hipmr-hf writes between its marks; encrypt the dataset again, or "
            "delete the card and write it anew."
        )
    section = f"{audit_section(rows, summary)}\n"
    return _NEXT.sub(lambda found: section + found[0], _SECTION.sub("", text), count=1)
