"""README tells what was measured, links what exists, and never promises what does not hold."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "examples" / "README.md", *(ROOT / "docs").glob("*.md")])


def benchmark(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_accuracy_table_is_the_one_that_was_measured():
    module = benchmark("eurosat_accuracy")
    start, end = module.MARKS
    stands = (ROOT / "README.md").read_text().split(start)[1].split(end)[0].strip()
    assert stands == module.table(json.loads(module.RESULTS.read_text()))


def test_every_row_of_the_accuracy_table_has_two_seeds_and_one_budget():
    module = benchmark("eurosat_accuracy")
    runs = json.loads(module.RESULTS.read_text())
    for setting in module.SETTINGS:
        seeds = [run["seed"] for run in runs if run["setting"] == setting.name]
        assert len(seeds) == len(set(seeds)) >= 2
    assert (
        len({(run["epochs"], run["learning_rate"], run["evaluated_on"], *run["extra"]) for run in runs}) == 1
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_local_link_leads_somewhere(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
    headings = [line.lstrip("# ").lower() for line in text.splitlines() if line.startswith("#")]
    anchors = {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_promises_more_than_perceptual_encryption(page):
    assert not re.search(
        r"\b(intractable|anonymous|confidential|unbreakable|securely?)\b", page.read_text(), re.I
    )
