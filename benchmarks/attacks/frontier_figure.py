"""Draw leakage against accuracy: a panel of pictures that are shuffled, and one of those that are mixed."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from benchmarks.harness.figures import panels

PRESET, OTHER = "#b2182b", "#2166ac"
"""Red and blue that are told apart without red or green; presets are squares and their names bold besides."""
_LOWEST, _HIGHEST = -25, 1.5


@dataclasses.dataclass(frozen=True)
class Point:
    """Where a setting lies in the figure.

    Args:
        name: the preset, or the settings in short.
        preset: whether it is one.
        before: what attackers found that never turn a piece.
        worst: what the worst of all found.
        cost: accuracy beside plain pictures, in points.
    """

    name: str
    preset: bool
    before: float
    worst: float
    cost: float

    @property
    def colour(self) -> str:
        """Of mark and name."""
        return PRESET if self.preset else OTHER


def draw(shuffled: Sequence[Point], mixed: Sequence[Point], path: Path, *, another: float) -> None:
    """Draw leakage against cost: hollow what is found without turning a piece, full the worst of all.

    Args:
        shuffled, mixed: settings whose order is hidden, and those whose patches keep their places.
        path: of the PNG.
        another: likeness of another photograph.
    """
    with panels(path, 10.4, (6.4, 3.2)) as (above, below):
        _panel(above, shuffled)
        above.set_title(_title("Patches are shuffled (RS, RS+MI)"), loc="left", fontsize=9)
        above.set_xscale("log")
        _ticks(above, (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1), (0.003, 1.3))
        _chance(above, 0.019, "chance, pieces turned", 0.38)
        above.set_xlabel(
            "share of pairs that the worst attacker puts together rightly (hollow: pieces never turned)"
        )
        _panel(below, mixed)
        below.set_title(_title("Patches keep their places (MI)"), loc="left", fontsize=9)
        _ticks(below, (0, 0.2, 0.4, 0.6, 0.8, 1), (0, 1.05))
        _chance(below, another, "another photograph", 0.3)
        _key(below)
        below.set_xlabel("likeness of what the worst attacker draws (1: the picture)")


def _title(kind: str) -> str:
    return f"{kind}: the further up, the more accurate; the further left, the less leaks"


def _panel(axes: Axes, points: Sequence[Point]) -> None:
    ordered = sorted(points, key=lambda point: (-point.cost, point.worst))
    for place, point in enumerate(ordered):
        shape = "s" if point.preset else "o"
        axes.plot([point.before, point.worst], [point.cost] * 2, ":", color=point.colour, linewidth=0.8)
        if point.before != point.worst:
            hollow = {"markerfacecolor": "white", "markersize": 5}
            axes.plot(point.before, point.cost, shape, color=point.colour, **hollow)
        axes.plot(point.worst, point.cost, shape, color=point.colour, markersize=7)
        _name(axes, point, 1 - (place + 0.5) / len(ordered))
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set_yscale("symlog", linthresh=3)
    axes.set_ylim(_LOWEST, _HIGHEST)
    ticks = (-20, -10, -5, -3, -2, -1, 0, 1)
    axes.set_yticks(ticks, [f"{tick:+d}" if tick else "0" for tick in ticks])
    axes.set_ylabel("accuracy on EuroSAT\nbeside plain pictures, points")


def _name(axes: Axes, point: Point, height: float) -> None:
    """Write a name in a column beside the panel, for many points lie close together."""
    axes.annotate(
        f"{point.name}: {point.worst:.2f}, {point.cost:+.1f}",
        (point.worst, point.cost),
        xytext=(1.04, height),
        textcoords="axes fraction",
        fontsize=8,
        fontweight="bold" if point.preset else "normal",
        color=point.colour,
        va="center",
        arrowprops={"arrowstyle": "-", "color": point.colour, "linewidth": 0.4, "relpos": (0, 0.5)},
    )


def _ticks(axes: Axes, ticks: Sequence[float], limits: tuple[float, float]) -> None:
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlim(*limits)


def _chance(axes: Axes, value: float, said: str, height: float) -> None:
    axes.axvline(value, color="grey", linewidth=0.8, linestyle="--")
    axes.annotate(said, (value, height), xycoords=("data", "axes fraction"),
                  rotation=90, fontsize=7, color="grey", ha="right", va="center")  # fmt: skip


def _key(axes: Axes) -> None:
    for shape, colour, said in (("s", PRESET, "a preset"), ("o", OTHER, "other settings")):
        axes.plot([], [], shape, color=colour, label=said)
    axes.legend(loc="lower left", fontsize=8, frameon=False)
