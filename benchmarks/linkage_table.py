"""Render what was linked into docs/linkage.md; `python benchmarks/linkage.py --report` does it."""

from pathlib import Path

import numpy as np
from pages import tell

PAGE = Path(__file__).resolve().parent.parent / "docs" / "linkage.md"
MARK = "linkage"


def _cell(record: dict) -> str:
    error = np.sqrt(record["top1"] * (1 - record["top1"]) / record["queries"])
    return f"{record['top1']:.2f} ± {error:.2f}"


def linked_table(records: list[dict]) -> str:
    """Top-1 of each setting for each task; the last row is chance."""
    tasks = list(dict.fromkeys(record["task"] for record in records))
    found = {(record["setting"], record["task"]): record for record in records}
    sizes = {task: found["plain", task] for task in tasks}
    heads = [f"{task}: {sizes[task]['queries']} of {sizes[task]['gallery']}" for task in tasks]
    lines = [f"| setting | {' | '.join(heads)} |", "|---" * (len(tasks) + 1) + "|"]
    for setting in dict.fromkeys(record["setting"] for record in records):
        cells = (_cell(found[setting, task]) for task in tasks)
        lines.append(f"| {setting} | {' | '.join(cells)} |")
    chances = " | ".join(f"{sizes[task]['chance']:.3f}" for task in tasks)
    lines.append(f"| chance | {chances} |")
    return "\n".join(lines)


def shared_table(records: list[dict]) -> str:
    """Nc from 1, 10 and 100 images, with one permutation for all of them and with one each."""
    counts = sorted({record["images"] for record in records})
    heads = " | ".join(f"{count} image{'s' * (count > 1)}" for count in counts)
    lines = [f"| setting | permutation | {heads} | chance |", "|---" * (len(counts) + 3) + "|"]
    for setting in dict.fromkeys(record["setting"] for record in records):
        for shared in (True, False):
            row = [one for one in records if (one["setting"], one["shared"]) == (setting, shared)]
            cells = " | ".join(f"{one['neighbour']:.2f} ± {one['spread']:.2f}" for one in row)
            which = "one for all" if shared else "one each"
            lines.append(f"| {setting} | {which} | {cells} | {row[0]['chance']:.3f} |")
    return "\n".join(lines)


def rendered(results: dict) -> str:
    linked, shared = linked_table(results["linked"]), shared_table(results["shared_permutation"])
    return f"{linked}\n\n{shared}"


def write_page(results: dict) -> str:
    """Replace what stands between the marks in docs/linkage.md, and return it."""
    text = rendered(results)
    tell(MARK, text, PAGE)
    return text
