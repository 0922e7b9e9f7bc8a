"""The laws of the house: rooms and floors, light imports, a blind builder's side. The table is in "
"`house.py`."""

import subprocess
import sys
from pathlib import Path

import pytest
from house import (
    FLOORS,
    LONGEST_CHAIN,
    PACKAGE,
    allowed,
    circle,
    graph,
    imports_of,
    longest_chain,
    modules,
    reachable,
    room_of,
)

import hipmr_hf

HEAVY = {"torch", "transformers", "ray", "matplotlib", "evaluate", "accelerate"}


def test_every_room_is_in_the_table():
    rooms = {room_of(module) for module in modules()}
    assert rooms <= set(allowed()), "say on which floor the new room is"


def test_every_import_is_allowed_by_the_table():
    may = allowed()
    for module, imports in graph(typing=True).items():
        room = room_of(module)
        for other in imports:
            assert room_of(other) in may[room] | {room}, f"{module} imports {other}"


def test_no_room_and_no_module_stands_in_a_circle():
    rooms: dict[str, set[str]] = {room_of(module): set() for module in modules()}
    for module, imports in graph().items():
        rooms[room_of(module)] |= {room_of(other) for other in imports} - {room_of(module)}
    assert circle(rooms) == []
    assert circle(graph()) == []


def test_the_longest_chain_of_imports_is_short():
    chain = longest_chain(graph())
    assert len(chain) <= LONGEST_CHAIN, " > ".join(chain)


def test_few_modules_stand_outside_of_the_rooms_and_no_file_is_long():
    assert len(list(PACKAGE.glob("*.py"))) <= 6
    long = {
        str(path.relative_to(PACKAGE)): lines(path) for path in PACKAGE.rglob("*.py") if lines(path) > 350
    }
    assert long == {}


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_the_builders_side_has_no_way_to_what_reads_plain_pictures():
    for room in ("models", "training", "metrics"):
        assert not reachable(room) & {"images", "dataset", "commands", "privacy_report"}, room


def test_every_room_says_what_it_is():
    for room in {room for floor in FLOORS for room in floor if (PACKAGE / room).is_dir()}:
        text = (PACKAGE / room / "__init__.py").read_text(encoding="utf-8")
        assert text.startswith('"""') and len(text.split('"""')[1].split()) > 15, room


@pytest.mark.parametrize(
    "module",
    [
        "",
        ".encryption",
        ".images.reading",
        ".dataset.mapping",
        ".dataset.run",
        ".leaks.guard",
        ".metrics",
        ".cli",
        ".commands",
        ".hub.publishing",
        ".hub.cards",
        ".dataset.decrypt",
    ],
)
def test_what_owner_and_client_need_loads_nothing_heavy(module):
    code = f"import sys, hipmr_hf{module}; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_resolves():
    for name in set(hipmr_hf.__all__) - {"__version__"}:
        assert getattr(hipmr_hf, name).__name__ == name
    assert set(hipmr_hf.__all__) <= set(dir(hipmr_hf))
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = hipmr_hf.Nothing


# The test's own eyes


def test_the_reader_of_imports_sees_every_form(tmp_path):
    package = tmp_path / "hipmr_hf"
    (package / "attacks").mkdir(parents=True)
    known = {"hipmr_hf", "hipmr_hf.keys", "hipmr_hf.models.y", "hipmr_hf.cards", "hipmr_hf.attacks.base"}
    file = package / "attacks" / "one.py"
    file.write_text(
        "from typing import TYPE_CHECKING\nfrom .. import keys\nimport hipmr_hf.models.y\n"
        "if TYPE_CHECKING:\n    from hipmr_hf import cards\ndef f():\n    from . import base\n"
    )
    seen = {"hipmr_hf.keys", "hipmr_hf.models.y", "hipmr_hf.attacks.base"}
    assert imports_of("hipmr_hf.attacks.one", file, known) == seen
    assert imports_of("hipmr_hf.attacks.one", file, known, typing=True) == seen | {"hipmr_hf.cards"}


def test_circles_and_chains_are_found():
    edges = {"a": {"b"}, "b": {"c"}, "c": set(), "d": {"a"}}
    assert circle(edges) == [] and longest_chain(edges) == ["d", "a", "b", "c"]
    assert circle({**edges, "c": {"a"}}) == ["a", "b", "c", "a"]
