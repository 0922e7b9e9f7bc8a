"""README and the cards tell what was measured, and README stays one screen."""

import importlib
import itertools
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RESULTS, ATTACKS = ROOT / "docs" / "results.md", ROOT / "docs" / "attacks.md"


@pytest.fixture
def benchmark(monkeypatch):
    """Import a benchmark by name, as it is when it runs as a script."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


@pytest.mark.parametrize(
    ("name", "key", "page"),
    [
        ("eurosat_accuracy", None, RESULTS),
        ("bccd_detection", None, RESULTS),
        ("jigsaw_attack", "settings", ATTACKS),
    ],
)
def test_the_tables_are_those_that_were_measured(benchmark, name, key, page):
    module = benchmark(name)
    results = json.loads(module.RESULTS.read_text())
    measured = module.table(results if key is None else results[key])
    assert benchmark("pages").told(name, page) == measured


def test_the_solver_was_not_tuned_on_the_photographs_of_the_table(benchmark):
    """Photographs 0 to 3 were looked at while the jigsaw solver was built."""
    settings = json.loads(benchmark("jigsaw_attack").RESULTS.read_text())["settings"]
    images = {name: sorted(run["image"] for run in runs) for name, runs in settings.items()}
    assert all(min(numbers) >= 4 and len(set(numbers)) >= 12 for numbers in images.values())


def test_every_row_of_the_accuracy_table_has_two_seeds_and_one_budget(benchmark):
    module = benchmark("eurosat_accuracy")
    runs = json.loads(module.RESULTS.read_text())
    for setting in module.SETTINGS:
        seeds = [run["seed"] for run in runs if run["setting"] == setting.name]
        assert len(seeds) == len(set(seeds)) >= 2
    assert (
        len({(run["epochs"], run["learning_rate"], run["evaluated_on"], *run["extra"]) for run in runs}) == 1
    )


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


def test_the_cards_tell_the_figures_of_the_jigsaw_benchmark(benchmark):
    """Every figure in `limits` is the mean that the benchmark measured, rounded as its table rounds it."""
    from hipmr_hf.hub import limits

    module = benchmark("jigsaw_attack")
    measured = json.loads(module.RESULTS.read_text())["settings"]
    for name, encryption in module.SETTINGS.items():
        if encryption.strategy == "rs" and encryption.patch_size == 16:
            mean = module.mean(measured[name], "scores", "neighbour")
            assert limits._measured_neighbours(encryption) == pytest.approx(mean, abs=0.0051), name
