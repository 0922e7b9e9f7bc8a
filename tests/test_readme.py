"""README and the cards tell what was measured, and README stays one screen."""

import itertools
import re
from pathlib import Path

import pytest

from benchmarks.attacks import jigsaw
from benchmarks.harness.pages import page_of
from benchmarks.harness.results_file import load_results, stored

ROOT = Path(__file__).resolve().parent.parent
RESULTS, ATTACKS = page_of("eurosat_accuracy"), page_of("jigsaw_attack")

# Row of the summary: (row of the jigsaw table, row of the neighbour table, row of the accuracy table).
SUMMARY = {
    "RS, the paper's default": ("RS, patch 16", None, "RS, PEViT with RPE"),
    "RS, drop .5": ("RS, patch 16, drop .5", None, "RS drop .5, PEViT without RPE"),
    "RS, interval 2": (
        "RS, patch 16, interval 2",
        "RS, interval 2",
        "RS interval 2, PEViT without RPE",
    ),
    "RS, interval 4": ("RS, patch 16, interval 4", "RS, interval 4", None),
    "RS+MI": ("RS+MI, patch 16", "RS+MI", "RS+MI, PEViT without RPE"),
    "RS+MI, symmetries": ("RS+MI, patch 16, symmetries", "RS+MI, symmetries", None),
    "RS+MI, symmetries, normalization": (
        "RS+MI, patch 16, symmetries, normalization",
        "RS+MI, symmetries, normalization",
        "RS+MI, symmetries, normalization, PEViT without RPE",
    ),
    "MI, the paper's default": (None, "MI", "MI, PEViT"),
    "MI, symmetries": (None, "MI, symmetries", None),
    "MI, symmetries, normalization": (None, "MI, symmetries, normalization", None),
}


def table_rows(text: str, after: str) -> dict[str, list[str]]:
    """First cell -> the other cells, of the first table behind `after`."""
    lines = itertools.dropwhile(lambda line: not line.startswith("|"), text.split(after, 1)[1].splitlines())
    rows = itertools.takewhile(lambda line: line.startswith("|"), lines)
    return {cells[0]: cells[1:] for row in rows if (cells := [cell.strip() for cell in row.split("|")[1:-1]])}


@pytest.mark.parametrize("name", SUMMARY)
def test_the_summary_tells_the_figures_of_the_tables(name):
    readme, attacks, results = (page.read_text() for page in (ROOT / "README.md", ATTACKS, RESULTS))
    found, accuracy = table_rows(readme, "## What it protects, and what not")[name]
    jigsaw, neighbour, trained = SUMMARY[name]
    if jigsaw:
        told = float(table_rows(attacks, "<!-- jigsaw_attack: start -->")[jigsaw][2])
        assert f"{told:.2f}".lstrip("0") in found
        if neighbour:
            told = float(table_rows(attacks, "<!-- neighbour_attack: start -->")[neighbour][6])
            assert f"/ {told:.2f}".replace("0.", ".") in found
    else:
        decoder = re.search(rf"^\| {neighbour} \| decoder \| 12 \| 0(\.\d\d)", attacks, re.MULTILINE)
        assert f"likeness {decoder[1]}" in found
    told = (
        table_rows(results, "<!-- eurosat_accuracy: start -->")[trained][0][:4] if trained else "not measured"
    )
    assert accuracy == told


def test_readme_is_one_screen():
    text = (ROOT / "README.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(text.split()) <= 1000 and len(rows) <= 30


def test_the_cards_tell_the_figures_of_the_jigsaw_benchmark():
    """Every figure in `limits` is the mean that the benchmark measured, rounded as its table rounds it."""
    from hipmr_hf.hub import limits

    measured = load_results(stored("jigsaw_attack"), "settings")
    for name, encryption in jigsaw.SETTINGS.items():
        if encryption.strategy == "rs" and encryption.patch_size == 16:
            mean = jigsaw.mean(measured[name], "scores", "neighbour")
            assert limits._measured_neighbours(encryption) == pytest.approx(mean, abs=0.0051), name
