"""Render what was recognised, for docs/attacks.md; `recognisers.py --report` does it."""

import numpy as np

from benchmarks.harness.tables import table

MARK = "recognisers"
PLAIN = "plain"
MEASURES = {
    "faces_found": "faces found",
    "faces_identified": "faces identified",
    "words_read": "words read",
    "scene_retrieved": "scenes retrieved",
}


def cell(record: dict | None) -> str:
    """Share, its standard error and how many pictures."""
    if record is None:
        return "-"
    values = np.array(record["values"])
    error = values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.2f} ± {error:.2f} ({len(values)})"


def looked_table(records: list[dict]) -> str:
    """A row for each preset and source, and under it what guessing gives."""
    found = {
        (one["preset"], one["source"], one["measure"]): one
        for one in records
        if one.get("measure") is not None
    }
    names = [name for name in MEASURES if any(name == key[2] for key in found)]
    rows = []
    for preset, source in dict.fromkeys((key[0], key[1]) for key in found):
        shown = [found.get((preset, source, name)) for name in names]
        rows.append([f"`{preset}`" if preset else "", source, *map(cell, shown)])
    chance = [max(one["chance"] for key, one in found.items() if key[2] == name) for name in names]
    ordered = sorted(rows, key=lambda row: [one[0] for one in rows].index(row[0]))
    last = ["", "chance", *(f"{one:.3f}" for one in chance)]
    return table(["preset", "picture", *(MEASURES[name] for name in names)], [*ordered, last])


def sizes_table(records: list[dict]) -> str:
    """A row for each setting and size in patches."""
    rows: dict[tuple[str, float], dict[str, dict]] = {}
    for one in records:
        rows.setdefault((one["settings"], one["size"]), {})[one["measure"]] = one
    names = [name for name in MEASURES if any(name in row for row in rows.values())]
    lines = [
        [settings, f"{size:g}", *(cell(row.get(name)) for name in names)]
        for (settings, size), row in sorted(rows.items())
    ]
    return table(["settings", "patches wide, or high", *(MEASURES[name] for name in names)], lines)


def rendered(results: dict) -> str:
    if not results.get("looked"):
        return "Not measured yet."
    told = [looked_table(results["looked"])]
    if results.get("sizes"):
        told += ["How large it must be:", sizes_table(results["sizes"])]
    return "\n\n".join(told)
