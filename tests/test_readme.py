"""README and the cards tell what was measured, and README stays one screen."""

import itertools
import re
from pathlib import Path

import pytest

from benchmarks.attacks import frontier
from benchmarks.harness.pages import page_of

ROOT = Path(__file__).resolve().parent.parent
FRONTIER = page_of(frontier.MARK)
ROWS = {row.name: row for row in frontier.ROWS}


def table_rows(text: str, after: str) -> dict[str, list[str]]:
    """First cell -> the other cells, of the first table behind `after`."""
    lines = itertools.dropwhile(lambda line: not line.startswith("|"), text.split(after, 1)[1].splitlines())
    rows = itertools.takewhile(lambda line: line.startswith("|"), lines)
    return {cells[0]: cells[1:] for row in rows if (cells := [cell.strip() for cell in row.split("|")[1:-1]])}


def summary() -> dict[str, list[str]]:
    return table_rows((ROOT / "README.md").read_text(), "## What it protects, and what not")


@pytest.mark.parametrize("name", [name for name in summary() if not set(name) <= set("-")][1:])
def test_the_summary_tells_the_worst_attacker_and_the_accuracy(name):
    found, accuracy = summary()[name]
    results, row = frontier.stored_results(), ROWS[name]
    if row.setting.startswith("MI"):
        worst, before = max(frontier.drawn(row, results)), "likeness "
    else:
        worst, before = max(frontier.never_turning(row, results) + frontier.turning(row, results)), ": "
    assert f"{before}{worst:.2f}".replace(" 0.", " .") in found
    cost = frontier.cost(row, results)
    assert accuracy == ("not measured" if cost is None else f"{cost.points:+.1f}")


def test_the_summary_has_every_preset():
    assert {row.name for row in frontier.ROWS if row.preset} <= summary().keys()


def test_turning_pieces_found_as_much_more_as_readme_says():
    """Of figures that were published before: the solver that never turns a piece met tones apart later."""
    results = frontier.stored_results()
    more = [
        max(frontier.turning(row, results)) / max(frontier.never_turning(row, results))
        for row in frontier.ROWS
        if "tones apart" not in row.setting
        and frontier.turning(row, results)
        and frontier.never_turning(row, results)
    ]
    assert 23 <= max(more) < 24


def test_readme_is_one_screen():
    text = (ROOT / "README.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(text.split()) <= 1000 and len(rows) <= 30


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if name in summary()])
def test_the_cards_tell_the_figures_of_the_summary(name):
    """Of every setting that README has: the same worst attacker, rounded alike."""
    from benchmarks.attacks.turned import SETTINGS
    from benchmarks.attacks.worst_found import DRAWN
    from hipmr_hf.hub.limits import what_is_not_protected

    encryption = {**SETTINGS, **DRAWN}[ROWS[name].setting]
    (told,) = re.findall(r"(?:: |likeness )([01]?\.\d\d)\b", summary()[name][0])[:1]
    said = "all" if told == "1.00" else told
    assert re.search(rf"(so that|puts back|likeness of) {said} ", what_is_not_protected(encryption)[0])
