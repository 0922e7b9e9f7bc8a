"""setup.cfg declares what is imported, in the install that needs it, and nothing that is not."""

import ast
import configparser
import re
import sys
from collections.abc import Set
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from house import modules, room_of

ROOT = Path(__file__).resolve().parents[2]
ROOMS_OF_EXTRAS = {"models", "training", "metrics", "attacks", "recognisers", "privacy_report"}
# Needed without being imported by name.
BEHIND = {
    "base": {"jinja2"},  # huggingface_hub fills model cards with it
    "torch": {"accelerate"},  # transformers' Trainer stands on it
}


def declared() -> dict[str, set[str]]:
    """The libraries of the base and of each extra, without what one extra takes from another."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lists = {"base": config["options"]["install_requires"], **config["options.extras_require"]}
    return {
        name: {plain(line) for line in text.split("\n") if line.strip()} - {"hipmr-hf"}
        for name, text in lists.items()
    }


def plain(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement.strip())[0].lower().replace("_", "-")


def imported(paths: list[Path]) -> set[str]:
    """Distributions that files import anywhere in them."""
    names = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(str(node.module).partition(".")[0])
    of = packages_distributions()
    return {plain(of[name][0]) for name in names - set(sys.stdlib_module_names) - {"hipmr_hf"} if name in of}


def sources(but: Set[str] = frozenset()) -> list[Path]:
    return [path for name, path in modules().items() if room_of(name) not in but]


def test_the_base_is_what_the_owners_and_the_clients_rooms_import():
    lists = declared()
    base = lists.pop("base")
    asked = imported(sources(but=ROOMS_OF_EXTRAS)) - set().union(*lists.values())
    assert asked | BEHIND["base"] == base


@pytest.mark.parametrize("extra", ["torch", "audit", "detection", "dp", "fast", "ray"])
def test_an_extra_holds_what_is_imported_somewhere(extra):
    assert declared()[extra] <= imported(sources()) | BEHIND.get(extra, set())


def test_every_library_that_is_imported_is_declared():
    known = set().union(*declared().values())
    assert imported(sources()) <= known
    for folder in ("examples", "tests", "benchmarks"):
        assert imported(list((ROOT / folder).rglob("*.py"))) <= known | {"hipmr-hf"}, folder
