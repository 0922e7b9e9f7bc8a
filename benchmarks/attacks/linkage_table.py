"""Render what was linked, for docs/linkage.md; `python benchmarks/attacks/linkage.py --report` does it."""

import numpy as np

from benchmarks.harness.tables import table

MARK = "linkage"
_EACH = ("textures", "tones")


def _cell(record: dict) -> str:
    error = np.sqrt(record["top1"] * (1 - record["top1"]) / record["queries"])
    return f"{record['top1']:.2f} ± {error:.2f}"


def linked_table(records: list[dict]) -> str:
    """Top-1 of each setting for each task; the last row is chance."""
    tasks = list(dict.fromkeys(record["task"] for record in records))
    found = {(record["setting"], record["task"]): record for record in records}
    sizes = [found["plain", task] for task in tasks]
    heads = [f"{size['task']}: {size['queries']} of {size['gallery']}" for size in sizes]
    rows = [
        [setting, *(_cell(found[setting, task]) for task in tasks)]
        for setting in dict.fromkeys(record["setting"] for record in records)
    ]
    return table(["setting", *heads], [*rows, ["chance", *(f"{size['chance']:.3f}" for size in sizes)]])


def shared_table(records: list[dict]) -> str:
    """Nc from 1, 10 and 100 images, with one permutation for all of them and with one each."""
    rows: dict[tuple, list[dict]] = {}
    for record in records:
        rows.setdefault((record["setting"], "one for all" if record["shared"] else "one each"), []).append(
            record
        )
    counts = sorted({record["images"] for record in records})
    heads = [f"{count} image{'s' * (count > 1)}" for count in counts]
    return table(
        ["setting", "permutation", *heads, "chance"],
        [
            [
                *name,
                *(f"{one['neighbour']:.2f} ± {one['spread']:.2f}" for one in row),
                f"{row[0]['chance']:.3f}",
            ]
            for name, row in rows.items()
        ],
    )


def people_table(records: list[dict]) -> str:
    """People found by what cross-validation chose, and by textures and tones alone."""
    rows = [
        [record["setting"], _cell(record), record["by"], *(f"{record['each'][name]:.2f}" for name in _EACH)]
        for record in records
    ]
    return table(
        [f"setting ({records[0]['queries']} queries)", "person found", "by", *_EACH],
        [*rows, ["chance", f"{records[0]['chance']:.3f}", "", *("" for _ in _EACH)]],
    )


def rendered(results: dict) -> str:
    told = [linked_table(results["linked"]), shared_table(results["shared_permutation"])]
    return "\n\n".join([*told, *([people_table(results["people"])] if results.get("people") else [])])
