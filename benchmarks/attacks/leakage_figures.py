"""Draw what is found against the interval and against the drop ratio, from measured JSON.

    python benchmarks/attacks/leakage_figures.py

Reads `benchmarks/results/jigsaw_attack.json` (random shuffling, 12 photographs, the full search) and
`benchmarks/results/settings_sweep.json` (hardened settings and trained networks); writes
`docs/images/leakage_interval.png` and `docs/images/leakage_drop.png`.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.attacks.settings_table import attackers, spread, values
from benchmarks.harness.figures import plot
from benchmarks.harness.pages import IMAGES
from benchmarks.harness.results_file import load_results, stored

CHANCE = 1 / 195
_HARDENED = "RS+MI, symmetries, normalization"

# File: axis, and by value the row of jigsaw_attack.json, and the sweep's settings without and with mixing.
FIGURES = {
    "leakage_interval": (
        "interval: pixels lost between neighbouring patches of 16",
        {
            0: ("RS, patch 16", "p16", "p16 g2 s n"),
            2: ("RS, patch 16, interval 2", "p16 k2", "p16 k2 g2 s n"),
            4: ("RS, patch 16, interval 4", "p16 k4", "p16 k4 g2 s n"),
            8: ("RS, patch 16, interval 8", "p16 k8", "p16 k8 g2 s n"),
        },
    ),
    "leakage_drop": (
        "drop ratio: share of patches left out",
        {
            0.0: ("RS, patch 16", "p16", "p16 g2 s n"),
            0.25: ("RS, patch 16, drop .25", "p16 d.25", None),
            0.5: ("RS, patch 16, drop .5", "p16 d.5", "p16 d.5 g2 s n"),
            0.75: (None, "p16 d.75", "p16 d.75 g2 s n"),
        },
    ),
}


def point(record: dict, score: str) -> tuple[float, float, int]:
    """Mean, standard error and number of photographs."""
    found = values(record, score)
    return float(found.mean()), spread(record, score), len(found)


def lines(points: dict, solved: dict, swept: dict) -> dict[str, list[tuple[float, float, float, int]]]:
    """Each line's (x, mean, standard error, photographs); values that nobody measured are left out."""
    found = {
        "RS: neighbours put together by the solver (Nc)": [],
        "RS: neighbours that score best (top-1)": [],
        f"{_HARDENED}: top-1, best attacker": [],
    }
    together, best, hardened = found.values()
    for x, (row, plain, mixed) in points.items():
        record = {"runs": solved[row]} if row in solved else swept.get(plain, {}).get("handcrafted")
        if record:
            together.append((x, *point(record, "neighbour")))
            best.append((x, *point(record, "pair_top1")))
        if mixed in swept:
            tried = (point(one, "pair_top1") for one in attackers(swept[mixed]))
            hardened.append((x, *max(tried)))
    return found


def draw(name: str, title: str, found: dict[str, list], chance: list[tuple[float, float]]) -> None:
    styles = [("#b2182b", "o", "-"), ("#ef8a62", "s", "-"), ("#2166ac", "^", "-")]
    with plot(IMAGES / f"{name}.png", 5.6, 3.6) as (figure, axes):
        for (label, line), (colour, marker, dashes) in zip(found.items(), styles, strict=True):
            if line:
                x, mean, error, count = np.array(line).T
                sizes = " or ".join(f"{n:.0f}" for n in np.unique(count))
                label = f"{label}; n = {sizes}"
                axes.errorbar(x, mean, error, color=colour, marker=marker, ls=dashes, capsize=3, label=label)
        axes.plot(*zip(*chance, strict=True), color="grey", ls="--", lw=1, label="chance (top-1)")
        axes.set_yscale("log")
        ticks = [0.003, 0.01, 0.03, 0.1, 0.3, 1]
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set(xlabel=title, ylabel="share of true neighbours", ylim=(0.003, 1.2))
        axes.set_xticks([x for x, _ in chance])
        axes.grid(axis="y", color="#dddddd", lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside upper left", fontsize=8, frameon=False)


def main() -> None:
    solved, swept = (load_results(stored(name), "settings") for name in ("jigsaw_attack", "settings_sweep"))
    for name, (title, points) in FIGURES.items():
        dropped = name == "leakage_drop"
        chance = [(x, 1 / (round(196 * (1 - x)) - 1) if dropped else CHANCE) for x in points]
        draw(name, title, lines(points, solved, swept), chance)


if __name__ == "__main__":
    main()
