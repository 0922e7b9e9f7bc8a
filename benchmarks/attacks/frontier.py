"""Leakage against accuracy: the worst attacker of every preset and of other settings, beside what they cost.

    python benchmarks/attacks/frontier.py

Measures nothing: collects what other benchmarks have stored, writes the tables of docs/settings.md and draws
`docs/images/frontier.png`. Leakage is the largest share of pairs put together rightly by any attacker: Nc
of those that never turn a piece (`jigsaw.py`, `neighbour.py`, `settings_sweep.py`; chance .005), adjacent
pairs of those that turn them (`turned.py`, `whole.py`, `settings_sweep.py`; chance .019). Under mixing-up
alone order is public, and leakage is the likeness of the best drawn picture (`trained.py`). Cost is accuracy
beside plain pictures, at equal budget: of `presets_accuracy.json` (15 epochs) where it is there, else of
`eurosat_accuracy.json` (25 epochs).
"""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.attacks.frontier_figure import Point, draw
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import IMAGES, publish
from benchmarks.harness.results_file import load_results, stored
from benchmarks.harness.tables import mean_and_deviation, table

MARK = "frontier"
NOT_MEASURED = "not measured"


@dataclasses.dataclass(frozen=True)
class Row:
    """A setting, and under which names others have stored it.

    Args:
        setting: of 224 pixels and patches of 16; intervals are told at that size.
        preset: its name, if it has one.
        solved: row of `jigsaw_attack.json`.
        neighbours: row of `neighbour_attack.json`.
        swept: key of `settings_sweep.json`.
        drawn: row of `trained_attacks.json`.
        trained: row of `presets_accuracy.json`.
        trained_before: row of `eurosat_accuracy.json`.
    """

    setting: str
    preset: str = ""
    solved: str = ""
    neighbours: str = ""
    swept: str = ""
    drawn: str = ""
    trained: str = ""
    trained_before: str = ""

    @property
    def name(self) -> str:
        """The preset, if it is one, and the settings."""
        return f"`{self.preset}`: {self.setting}" if self.preset else self.setting


_HARDENED = "RS+MI, symmetries, normalization"
ROWS = [
    Row("RS", "paper-rs", "RS, patch 16", swept="p16", trained="RS; linear",
        trained_before="RS, PEViT without RPE"),
    Row("RS, drop .5", "", "RS, patch 16, drop .5", trained_before="RS drop .5, PEViT without RPE"),
    Row("RS, interval 2", "", "RS, patch 16, interval 2", "RS, interval 2", "p16 k2"),
    Row("RS, interval 4", "", "RS, patch 16, interval 4", "RS, interval 4", "p16 k4",
        trained_before="RS interval 2, PEViT without RPE"),
    Row("RS, symmetries", "reversible", swept="p16 s", trained="RS, symmetries; invariant"),
    Row("RS, symmetries, normalization", swept="p16 s n",
        trained="RS, symmetries, normalization; invariant"),
    Row("RS, symmetries, tones apart", "", "RS, patch 16, symmetries, tones apart",
        trained="RS, symmetries, tones apart; invariant"),
    Row("RS, interval 4, symmetries", swept="p16 k4 s", trained="RS interval 2, symmetries; invariant"),
    Row("RS, interval 4, symmetries, normalization", swept="p16 k4 s n",
        trained="RS interval 2, symmetries, normalization; invariant"),
    Row("RS, interval 4, symmetries, tones apart", "", "RS, patch 16, interval 4, symmetries, tones apart",
        trained="RS interval 2, symmetries, tones apart; invariant"),
    Row("RS+MI", "", "RS+MI, patch 16", "RS+MI", "p16 g2",
        trained_before="RS+MI, PEViT without RPE"),
    Row("RS+MI, symmetries", "", "RS+MI, patch 16, symmetries", "RS+MI, symmetries", "p16 g2 s",
        trained="RS+MI, symmetries; invariant"),
    Row(_HARDENED, "", "RS+MI, patch 16, symmetries, normalization", _HARDENED, "p16 g2 s n",
        trained=f"{_HARDENED}; invariant", trained_before=f"{_HARDENED}, PEViT without RPE"),
    Row("RS+MI, symmetries, tones apart", "", "RS+MI, patch 16, symmetries, tones apart",
        trained="RS+MI, symmetries, tones apart; invariant"),
    Row("RS+MI, interval 4, symmetries, tones apart", "",
        "RS+MI, patch 16, interval 4, symmetries, tones apart",
        trained="RS+MI interval 2, symmetries, tones apart; invariant"),
    Row("RS+MI, interval 8, symmetries, tones apart", "classification",
        "RS+MI, patch 16, interval 8, symmetries, tones apart",
        trained="RS+MI interval 4, symmetries, tones apart; invariant"),
    Row("RS+MI, grid 4, symmetries, normalization", "strongest", swept="p16 g4 s n",
        trained="RS+MI grid 4, symmetries, normalization; invariant"),
    Row("RS+MI, grid 4, symmetries, tones apart", "", "RS+MI, patch 16, grid 4, symmetries, tones apart",
        trained="RS+MI grid 4, symmetries, tones apart; invariant"),
    Row("MI", "paper-mi", drawn="MI", trained="MI; nonlinear", trained_before="MI, PEViT"),
    Row("MI, normalization", drawn="MI, normalization"),
    Row("MI, symmetries", drawn="MI, symmetries", trained="MI, symmetries; invariant"),
    Row("MI, symmetries, normalization", drawn="MI, symmetries, normalization",
        trained="MI, symmetries, normalization; invariant"),
    Row("MI, symmetries, tones apart", "dense", drawn="MI, symmetries, tones apart",
        trained="MI, symmetries, tones apart; invariant"),
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Cost:
    """Accuracy below plain pictures of the same budget, in points."""

    points: float
    said: str


def never_turning(row: Row, results: dict[str, Any]) -> list[float]:
    """What each attacker that takes pieces as they come puts together: shares of true neighbours (Nc)."""
    found = []
    if row.solved:
        found.append(
            [image["scores"]["neighbour"] for image in results["jigsaw_attack"]["settings"][row.solved]]
        )
    for run in results["neighbour_attack"]["runs"]:
        if run["setting"] == row.neighbours:
            found.append([image["trained_neighbour"] for image in run["images"]])
    swept = results["settings_sweep"]["settings"].get(row.swept, {})
    for kind in ("handcrafted", "trained"):
        if swept.get(kind):
            found.append([run["scores"]["neighbour"] for run in swept[kind]["runs"]])
    return [float(np.mean(values)) for values in found]


def turning(row: Row, results: dict[str, Any]) -> list[float]:
    """What attackers that turn pieces put together: shares of adjacent pairs that truly are."""
    found = [
        float(np.mean([image["adjacent"] for image in run["images"]]))
        for mark in ("turned", "whole")
        for run in results[mark].get("runs", [])
        if run["setting"] == row.setting
    ]
    swept = results["settings_sweep"]["settings"].get(row.swept, {}).get("turned")
    return found + ([float(np.mean([run["scores"]["adjacent"] for run in swept["runs"]]))] if swept else [])


def drawn(row: Row, results: dict[str, Any]) -> list[float]:
    """Likeness of what each trained attacker draws."""
    return [
        float(np.mean([run["scores"]["likeness"] for run in experiment["runs"]]))
        for name, experiment in results["trained_attacks"]["experiments"].items()
        if row.drawn and name.split(": ", 1)[1] == row.drawn
    ]


def cost(row: Row, results: dict[str, Any]) -> Cost | None:
    """What the setting costs beside the best plain pictures of its budget; None if nobody measured it."""
    for mark, name, plain in (
        ("presets_accuracy", row.trained, ("plain; linear", "plain; nonlinear", "plain; invariant")),
        ("eurosat_accuracy", row.trained_before, ("plain images, ViT",)),
    ):
        runs = [run for run in results[mark] if run["setting"] == name]
        beside = [
            np.mean(accuracies)
            for embedding in plain
            if (accuracies := [run["accuracy"] for run in results[mark] if run["setting"] == embedding])
        ]
        if runs and beside:
            accuracies = [100 * run["accuracy"] for run in runs]
            points = float(np.mean(accuracies) - 100 * max(beside))
            said = (
                f"{points:+.1f} ({mean_and_deviation(accuracies, 1)}, {len(runs)} "
                f"seed{'s' * (len(runs) > 1)}, {runs[0]['epochs']} epochs)"
            )
            return Cost(points, said)
    return None


def _most(values: list[float]) -> str:
    return f"{max(values):.2f}" if values else NOT_MEASURED


def _told(price: Cost | None) -> str:
    return NOT_MEASURED if price is None else price.said


def rendered(results: dict[str, Any]) -> str:
    """Render the table of shuffled pictures, and that of pictures that are only mixed."""
    shuffled, mixed = [], []
    for row in ROWS:
        price = _told(cost(row, results))
        if row.setting.startswith("MI"):
            mixed.append([row.name, _most(drawn(row, results)), price])
        else:
            before, now = never_turning(row, results), turning(row, results)
            shuffled.append([row.name, _most(before), _most(now), _most(before + now), price])
    heads = [
        "setting",
        "pieces never turned (Nc)",
        "pieces turned (adjacent)",
        "worst",
        "accuracy beside plain",
    ]
    return "\n\n".join(
        [
            table(heads, shuffled),
            table(["setting", "likeness of what is drawn", "accuracy beside plain"], mixed),
        ]
    )


def points(results: dict[str, Any], *, mixed: bool) -> list[Point]:
    """Rows with leakage and cost, of pictures that are only mixed or of those that are shuffled."""
    found = [_point(row, results) for row in ROWS if row.setting.startswith("MI") == mixed]
    return [point for point in found if point is not None]


def _point(row: Row, results: dict[str, Any]) -> Point | None:
    before, price = never_turning(row, results), cost(row, results)
    found = before + turning(row, results) + drawn(row, results)
    if price is None or not found:
        return None
    name = row.preset or row.setting.replace("symmetries", "sym.").replace("normalization", "norm.")
    return Point(name, bool(row.preset), max(before or found), max(found), price.points)


def another_photograph(results: dict[str, Any]) -> float:
    """Likeness of another photograph, beside which that of drawn pictures is read."""
    runs = results["trained_attacks"]["experiments"]["decoder: MI"]["runs"]
    return float(np.mean([run["chance"]["likeness"] for run in runs]))


def stored_results() -> dict[str, Any]:
    """Everything that the tables are made of."""
    marks = ("jigsaw_attack", "neighbour_attack", "settings_sweep", "turned", "whole", "trained_attacks")
    accuracies = ("presets_accuracy", "eurosat_accuracy")
    return {
        **{mark: load_results(stored(mark)) for mark in marks},
        **{mark: load_results(stored(mark)) or [] for mark in accuracies},
    }


def parse_arguments() -> argparse.Namespace:
    return script_parser(__doc__, results=MARK).parse_args()


def main() -> None:
    args = parse_arguments()
    results = stored_results()
    publish(MARK, rendered(results), args.results)
    shuffled, mixed = points(results, mixed=False), points(results, mixed=True)
    draw(shuffled, mixed, IMAGES / "frontier.png", another=another_photograph(results))


if __name__ == "__main__":
    main()
