"""Tables that a benchmark writes stand in README between two marks, so that tests can compare them."""

from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def _split(name: str) -> tuple[str, str, str]:
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    before, rest = README.read_text().split(start)
    inside, after = rest.split(end)
    return before + start, inside.strip(), end + after


def table_in_readme(name: str) -> str:
    """Return the table that stands in README under this name."""
    return _split(name)[1]


def put_into_readme(name: str, table: str) -> None:
    """Replace the table that stands in README under this name."""
    before, _, after = _split(name)
    README.write_text(f"{before}\n{table}\n{after}")
