"""Results as JSON files that grow run by run, so that nothing is lost when a benchmark is stopped."""

import json
from pathlib import Path
from typing import Any

from hipmr_hf.files import write_whole

RESULTS = Path(__file__).resolve().parents[1] / "results"


def stored(name: str) -> Path:
    """Return where the results that the pages show are stored."""
    return RESULTS / f"{name}.json"


def load_results(path: Path, part: str | None = None) -> Any:
    """Return what was measured so far, or its part of that name; {} if there is no such file."""
    if not path.exists():
        return {}
    results = json.loads(path.read_text())
    return results if part is None else results[part]


def save_results(path: Path, results: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(results, indent=1) + "\n")


def add_result(path: Path, result: dict) -> None:
    """Add a result to a list."""
    save_results(path, [*load_results(path), result])


def save_part(path: Path, part: str, entries: dict | list, **about: str) -> None:
    """Write entries, a line each, under the name of their part, and before them what is told about them."""
    if isinstance(entries, dict):
        start, end = "{", "}"
        lines = [f"{json.dumps(name)}: {json.dumps(one)}" for name, one in entries.items()]
    else:
        start, end = "[", "]"
        lines = [json.dumps(one) for one in entries]
    body = ",\n".join(lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, f'{json.dumps(about)[:-1]}, "{part}": {start}\n{body}\n{end}}}\n')
