"""Pages link what exists, promise only what holds, and name every room and every public name."""

import importlib
import re
from pathlib import Path

import pytest
from house import FLOORS, PACKAGE

import hipmr_hf

ROOT = Path(__file__).resolve().parent.parent
API = ROOT / "docs" / "api"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("[be]*/README.md"),
        *ROOT.glob("clients/*/README.md"),
        *(ROOT / "docs").rglob("*.md"),
    ]
)


def anchors(page: Path) -> set[str]:
    """Where a link into the page can lead, as the Hub and the site name its headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = [line.lstrip("# ").lower() for line in text.splitlines() if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_local_link_leads_somewhere(page):
    for target, _, anchor in re.findall(r"\]\(([^)#\s]*)(#([^)\s]+))?\)", page.read_text()):
        if not target.startswith("http"):
            there = page.parent / target if target else page
            assert there.exists(), target
            assert not anchor or anchor in anchors(there), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_script_that_a_page_names_is_there(page):
    scripts = re.findall(r"\b(?:examples|benchmarks|tests)/[a-z\d_/]+\.(?:py|yaml|json)\b", page.read_text())
    assert [script for script in scripts if not (ROOT / script).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_promises_more_than_perceptual_encryption(page):
    assert not re.search(
        r"\b(intractable|anonymous|confidential|unbreakable|securely?)\b", page.read_text(), re.I
    )


# CONTRIBUTING


def rows_after(heading: str) -> list[list[str]]:
    """The cells of the table below a heading of CONTRIBUTING."""
    text = (ROOT / "CONTRIBUTING.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def test_contributing_has_a_row_for_every_room_with_its_floor():
    built = {"hipmr_hf", *(path.stem for path in PACKAGE.iterdir())}
    floors = {room: number for number, floor in enumerate(FLOORS) for room in floor if room in built}
    assert {room.strip("`"): int(floor) for room, floor, _ in rows_after("The house")} == floors


def test_ten_questions_are_answered_by_folders():
    questions = rows_after("Where is X?")
    assert len(questions) == 10
    assert all((PACKAGE / folder.strip("`")).is_dir() for _, folder in questions)


# The API reference


def documented(page: Path) -> set[str]:
    return set(re.findall(r"^::: hipmr_hf\.([\w.]+)$", page.read_text(), re.MULTILINE))


def test_the_api_has_every_public_name():
    told = {name.rpartition(".")[2] for page in API.glob("*.md") for name in documented(page)}
    names = set(hipmr_hf.__all__) - {"__version__"}
    assert names <= told
    assert {name for name in names if f"`{name}`" not in (ROOT / "docs" / "api.md").read_text()} == set()


@pytest.mark.parametrize("page", sorted(API.glob("*.md")), ids=lambda page: page.stem)
def test_every_name_of_the_api_is_there(page):
    for name in documented(page):
        module, _, last = name.rpartition(".")
        assert hasattr(importlib.import_module(f"hipmr_hf.{module}".rstrip(".")), last), name


@pytest.mark.parametrize("page", sorted(API.glob("*.md")), ids=lambda page: page.stem)
def test_the_api_has_what_a_room_says_is_public(page):
    """Names in a room's `__all__`, and those that its docstring names as `module.name`."""
    room = PACKAGE / page.stem
    if not room.is_dir():
        return
    text = (room / "__init__.py").read_text()
    listed = re.findall(r'"(\w+)"', "".join(re.findall(r"__all__ \+?= \[(.*?)\]", text, re.DOTALL)))
    named = re.findall(r"`(\w+\.\w+)`", text.split('"""')[1])
    told = {name.removeprefix(f"{page.stem}.") for name in documented(page)}
    assert {name for name in listed if not name.endswith("PreTrainedModel")} <= {
        name.rpartition(".")[2] for name in told
    }
    assert {name for name in named if not name.startswith("evaluate.")} <= told
