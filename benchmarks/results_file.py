"""Results of a benchmark as a JSON list that grows run by run, so that nothing is lost when it is stopped."""

import json
from pathlib import Path


def load_results(path: Path) -> list[dict]:
    """Return what was measured so far; nothing if there is no such file."""
    return json.loads(path.read_text()) if path.exists() else []


def add_result(path: Path, result: dict) -> None:
    """Add a result; the file is whole at every moment."""
    results = [*load_results(path), result]
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(results, indent=1) + "\n")
    beside.replace(path)
