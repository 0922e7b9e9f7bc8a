"""The house as one table: which rooms there are, on which floor, and what each may import."""

import ast
from functools import cache
from pathlib import Path

import hipmr_hf

PACKAGE = Path(hipmr_hf.__file__).parent

# Floors from the bottom up. A room imports from the floors below its own, and from the rooms of its own floor
# that its entry names.
FLOORS: list[dict[str, set[str]]] = [
    # pixels: what both a client's picture and an owner's file are read by, so that they are taken, or
    # refused, alike. It opens no files; `encryption` opens the one whose path a client gives.
    {
        "column_types": set(),
        "errors": set(),
        "files": {"errors"},
        "layout": set(),
        "lazy_names": set(),
        "pixels": {"errors"},
        "progress": set(),
    },
    {"encryption": set(), "images": set(), "metrics": set(), "models": set()},
    {"leaks": set(), "attacks": set(), "recognisers": set(), "training": set()},
    {"dataset": {"hub"}, "hub": set()},
    {"privacy_report": set(), "adaptation": {"privacy_report"}},
    {"commands": set()},
    {"cli": set(), "hipmr_hf": {"cli"}},
]
# What a room must not reach, whatever the floors say.
FORBIDDEN = {
    "models": {
        "column_types",
        "errors",
        "files",
        "layout",
        "lazy_names",
        "pixels",
    },  # these files travel to the Hub alone
    "attacks": {"models"},  # models come as arguments
    "training": {"images", "pixels"},  # the builder's side has no way to plain pictures
}
LONGEST_CHAIN = 9


def allowed() -> dict[str, set[str]]:
    """Rooms that each room may import."""
    below, found = set(), {}
    for floor in FLOORS:
        found |= {room: (below | beside) - FORBIDDEN.get(room, set()) for room, beside in floor.items()}
        below = below | set(floor)
    return found


def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    names = {}
    for path in sorted(package.rglob("*.py")):
        parts = (package.name, *path.relative_to(package).with_suffix("").parts)
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def room_of(module: str) -> str:
    """The room that a module lies in; the package's own `__init__` is one."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def imports_of(module: str, path: Path, known: set[str], *, typing: bool = False) -> set[str]:
    """Modules of the package that a module imports, at any depth of nesting; for types alone only if "
    "asked."""
    here = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test) and not typing:
                continue
            if isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = here[: len(here) - child.level + 1] if child.level else []
                source = ".".join([*base, *filter(None, [child.module])])
                found.update(
                    name if (name := f"{source}.{alias.name}") in known else source for alias in child.names
                )
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return (found & known) - {module}


@cache
def graph(*, typing: bool = False) -> dict[str, set[str]]:
    """What every module imports."""
    found = modules()
    return {name: imports_of(name, path, set(found), typing=typing) for name, path in found.items()}


def circle(edges: dict[str, set[str]]) -> list[str]:
    """A circle of imports, if there is one."""
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for other in sorted(edges[name]):
            if found := walk(other, [*way, name]):
                return found
        done.add(name)
        return []

    return next((found for name in edges if (found := walk(name, []))), [])


def longest_chain(edges: dict[str, set[str]]) -> list[str]:
    """The longest chain of modules that import each other; there must be no circle."""

    @cache
    def chain(name: str) -> tuple[str, ...]:
        return (name, *max((chain(other) for other in edges[name]), key=len, default=()))

    return list(max((chain(name) for name in edges), key=len))


def reachable(room: str) -> set[str]:
    """Rooms that a room's modules import, directly or through others."""
    edges = graph()
    waiting, seen = [name for name in edges if room_of(name) == room], set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += edges[name]
    return {room_of(name) for name in seen} - {room}
