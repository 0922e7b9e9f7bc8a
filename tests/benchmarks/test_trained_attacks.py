"""What trained attackers found stands on the page as measured, and is no less than weaker probes found."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benchmark(monkeypatch):
    """Import a benchmark by name, as it is when it runs as a script."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


@pytest.fixture
def results(benchmark):
    return benchmark("trained_attacks_table").load_results()


def average(results, name: str, score: str) -> float:
    return float(np.mean([run["scores"][score] for run in results[name]["runs"]]))


def test_the_page_shows_what_was_measured(benchmark, results):
    table = benchmark("trained_attacks_table")
    assert benchmark("pages").told(table.MARK, table.PAGE) == table.rendered(results)


def test_every_experiment_was_measured_on_pictures_that_nothing_learned_from(benchmark, results):
    module = benchmark("trained_attacks")
    assert set(results) == set(module.EXPERIMENTS)
    for name, result in results.items():
        images = [run["image"] for run in result["runs"]]
        assert len(set(images)) == len(images) >= (4 if name.startswith("gradients") else 12), name
        if "faces" not in name:
            assert set(images) <= set(range(module.FIRST, module.FIRST + module.IMAGES)), name


@pytest.mark.parametrize(
    ("name", "score", "found"),
    [
        ("position: faces, RS", "direct", 0.34),
        ("position: faces, RS, interval 4", "direct", 0.26),
        ("solver: RS", "neighbour", 0.97),
        ("smoothness prior: MI", "psnr", 22.8),
        ("decoder: MI", "psnr", 22.8),
        ("gradients: PEViT, 9 patches", "recovered", 0.9),
        ("gradients: ViT with positions, hidden size 192", "in_place", 0.9),
    ],
)
def test_attackers_are_no_weaker_than_earlier_ones(results, name, score, found):
    assert average(results, name, score) >= found


def test_places_help_the_solver_where_a_gap_hides_borders(results):
    runs = results["position: faces, RS, interval 4"]["runs"]
    alone, helped = (
        np.mean([run["solver"][f"{who}_neighbour"] for run in runs]) for who in ("alone", "helped")
    )
    assert helped > alone + 0.1


def test_the_neighbour_table_in_readme_was_measured_and_is_no_weaker_than_earlier_attackers(benchmark):
    module = benchmark("neighbour_attack")
    runs = json.loads(module.RESULTS.read_text())["runs"]

    assert benchmark("pages").told("neighbour_attack") == module.table(runs)
    assert {run["setting"] for run in runs} == set(module.SETTINGS)
    top1 = {run["setting"]: module.mean(run, "trained") for run in runs}
    assert top1["RS, interval 4"] >= 0.29 and top1["RS+MI"] >= 0.35
    assert top1["RS+MI, normalization"] >= 0.22
    assert top1["RS+MI, symmetries, normalization"] >= 0.024
