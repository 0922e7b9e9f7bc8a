"""The page on scale tells what the model makes of measured figures, and that arithmetic holds."""

import dataclasses
import re

import pytest

from benchmarks.harness import pages
from benchmarks.harness.results_file import load_results, stored
from benchmarks.scale import model


@pytest.fixture
def measured() -> dict:
    return load_results(stored("scale"))


def seconds(work, count, nodes, cluster) -> float:
    return sum(time for time, _ in model.stages(work, count, nodes, cluster).values())


def test_the_page_holds_the_tables_of_the_model(measured):
    for name, table in model.tables(measured).items():
        assert pages.told(name) == table


def test_the_assumptions_on_the_page_are_those_of_the_model():
    page, cluster = pages.page_of("images").read_text(), model.Cluster()
    assert re.search(rf"cores of a node \| {cluster.cores},", page)
    assert f"| {cluster.node_gb_s} GB/s" in page and f"| {cluster.shared_gb_s:.0f} GB/s" in page


def test_predictions_come_near_to_what_was_measured(measured):
    ratios = [float(line.split("|")[-2]) for line in model.check_table(measured).splitlines()[2:]]
    assert len(ratios) >= 3 and all(0.7 < ratio < 1.4 for ratio in ratios)


@pytest.mark.parametrize("nodes", [2, 16, 256])
def test_more_nodes_are_never_slower_and_more_images_never_cheaper(measured, nodes):
    work, cluster = model.work_of(measured), model.Cluster()
    assert seconds(work, 10**8, 2 * nodes, cluster) <= seconds(work, 10**8, nodes, cluster)
    assert seconds(work, 10**9, nodes, cluster) > 9.9 * seconds(work, 10**8, nodes, cluster)


def test_what_limits_a_run_follows_from_the_inputs(measured):
    work, cluster = model.work_of(measured), model.Cluster()
    slow = dataclasses.replace(cluster, shared_gb_s=0.01)
    assert model.stages(work, 10**8, 16, cluster)["encrypt"][1] == "cores"
    assert model.stages(work, 10**8, 16, slow)["encrypt"][1] == "disk or network"
    fast = dataclasses.replace(cluster, speed=2.0, node_gb_s=1e6, shared_gb_s=1e6)
    assert seconds(work, 10**8, 4, fast) < 0.51 * seconds(work, 10**8, 4, cluster)


def test_io_takes_as_long_as_the_slower_of_node_and_storage():
    cluster = model.Cluster(node_gb_s=1, shared_gb_s=4)
    assert [cluster.seconds_of_io(8e9, nodes) for nodes in (1, 4, 100)] == [8, 2, 2]
