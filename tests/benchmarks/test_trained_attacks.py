"""What trained attackers found stands on the page as measured, and is no less than weaker probes found."""

import numpy as np
import pytest

from benchmarks.attacks import neighbour, trained, trained_table, turned
from benchmarks.harness import pages
from benchmarks.harness.photographs import ATTACKED
from benchmarks.harness.results_file import load_results, stored


@pytest.fixture
def results():
    return load_results(stored("trained_attacks"), "experiments")


def average(results, name: str, score: str) -> float:
    return float(np.mean([run["scores"][score] for run in results[name]["runs"]]))


def test_the_page_shows_what_was_measured(results):
    assert pages.told("trained_attacks") == trained_table.rendered(results)


def test_every_experiment_was_measured_on_pictures_that_nothing_learned_from(results):
    assert set(results) == set(trained.EXPERIMENTS)
    for name, result in results.items():
        images = [run["image"] for run in result["runs"]]
        assert len(set(images)) == len(images) >= (4 if name.startswith("gradients") else 12), name
        if "faces" not in name:
            assert set(images) <= set(ATTACKED), name


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


def test_the_neighbour_table_was_measured_and_is_no_weaker_than_earlier_attackers():
    runs = load_results(stored("neighbour_attack"), "runs")

    assert pages.told("neighbour_attack") == neighbour.rendered(runs)
    assert {run["setting"] for run in runs} == set(neighbour.SETTINGS)
    top1 = {run["setting"]: neighbour.mean(run, "trained") for run in runs}
    assert top1["RS, interval 4"] >= 0.29 and top1["RS+MI"] >= 0.35
    assert top1["RS+MI, normalization"] >= 0.22
    assert top1["RS+MI, symmetries, normalization"] >= 0.024


def test_the_table_of_turned_patches_is_the_stored_one():
    runs = turned.stored_runs(stored("turned"))
    assert pages.told("turned") == turned.rendered(runs)
    assert all(min(image["image"] for image in run["images"]) >= 4 for run in runs)
