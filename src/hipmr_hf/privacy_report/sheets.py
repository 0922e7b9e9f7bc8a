"""Which pictures stand in a contact sheet, and what is written below them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .pictures import contact_sheet
from .records import CONTROL, AttackRecord

if TYPE_CHECKING:
    from .bench import Bench


def measured_sheet(bench: Bench, records: Sequence[AttackRecord], count: int) -> np.ndarray:
    """Draw the first images of a bench: plain, encrypted, and what each attacker made of them."""
    first = [("plain", list(bench.plain)), ("encrypted", list(bench.sample.images))]
    titles, rows, captions = _columns(first, records)
    return contact_sheet(titles, rows[:count], captions[:count])


def blind_sheet(encrypted: Sequence[np.ndarray], records: Sequence[AttackRecord]) -> np.ndarray:
    """Draw all encrypted images, and what each attacker made of them."""
    titles, rows, captions = _columns([("encrypted", encrypted)], records)
    return contact_sheet(titles, rows, captions)


def _columns(
    first: Sequence[tuple[str, Sequence[np.ndarray]]], records: Sequence[AttackRecord]
) -> tuple[list[str], list[list[np.ndarray]], list[list[str]]]:
    """Lay out the pictures of attackers that drew every attacked image, each with its score."""
    count = len(first[0][1])
    drawn = [record for record in records if len(record.pictures) == count and record.kind != CONTROL]
    titles = [title for title, _ in first] + [record.title for record in drawn]
    columns = [pictures for _, pictures in first] + [record.pictures for record in drawn]
    blank = [[""] * count for _ in first]
    notes = blank + [[_caption(record, number) for number in range(count)] for record in drawn]
    return (
        titles,
        [list(row) for row in zip(*columns, strict=True)],
        [list(row) for row in zip(*notes, strict=True)],
    )


def _caption(record: AttackRecord, number: int) -> str:
    if not record.scores:
        return ""
    value = record.scores[record.measure][number]
    words = {
        "neighbour": "neighbours {:.0%}",
        "neighbour_turned": "neighbours {:.0%}",
        "direct": "in place {:.0%}",
    }
    return words.get(record.measure, record.measure + " {:.2f}").format(value)
