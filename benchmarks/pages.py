"""Tables that a benchmark writes stand in a page between two marks, so that tests can compare them."""

from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def _split(name: str, page: Path) -> tuple[str, str, str]:
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    before, rest = page.read_text().split(start)
    inside, after = rest.split(end)
    return before + start, inside.strip(), end + after


def told(name: str, page: Path = README) -> str:
    """Return what stands in the page between the marks of this name."""
    return _split(name, page)[1]


def tell(name: str, text: str, page: Path = README) -> None:
    """Replace what stands in the page between the marks of this name."""
    before, _, after = _split(name, page)
    page.write_text(f"{before}\n\n{text}\n\n{after}")
