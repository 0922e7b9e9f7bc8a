"""One chart for all settings and attackers: what each found against chance. Plain SVG, no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .records import CONTROL, NAMES, PICTURE

_WIDTH, _LEFT, _RIGHT = 960, 400, 170
_HEAD, _ROW, _AXIS = 30, 30, 26
_MEANS = ("good", "fair", "fair", "bad", "bad")
_LONGEST = 56


def leak_chart(settings: Sequence[Mapping[str, Any]]) -> str:
    """Draw the chart.

    Args:
        settings: values of `SettingsAudit.to_dict`, with the level of each attacker.

    Returns:
        An `<svg>` element. A ring is chance, a dot what was found; the line between them is the leak, green
        where nobody did better than twice chance. Attackers stand by the size of their leak; controls are
        left out. Empty text where nothing was measured.
    """
    groups = [(audit["name"], _rows(audit)) for audit in settings]
    groups = [(name, rows) for name, rows in groups if rows]
    if not groups:
        return ""
    height = _AXIS + sum(_HEAD + _ROW * len(rows) for _, rows in groups)
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img" '
        'aria-label="What every attacker found, beside what guessing finds">'
    ]
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<line class="grid" x1="{_x(tick)}" x2="{_x(tick)}" y1="{_AXIS - 6}" y2="{height}"/>')
        parts.append(
            f'<text class="small" x="{_x(tick)}" y="{_AXIS - 10}" text-anchor="middle">{tick:.0%}</text>'
        )
    top = _AXIS
    for name, rows in groups:
        parts.append(f'<text class="name" x="0" y="{top + 20}">{escape(name)}</text>')
        top += _HEAD
        for row in rows:
            parts.append(_drawn(row, top + _ROW / 2))
            top += _ROW
    return "\n".join([*parts, "</svg>"])


def _rows(audit: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Attackers with a figure, the largest leak first."""
    measured = [
        record
        for record in audit["attackers"]
        if record["kind"] != CONTROL
        and record["measure"] in record["scores"]
        and record["scores"][record["measure"]]["mean"] is not None
    ]
    return sorted(measured, key=lambda record: -_way(*_figures(record)))


def _figures(record: Mapping[str, Any]) -> tuple[float, float]:
    return record["scores"][record["measure"]]["mean"], record["chance"].get(record["measure"]) or 0.0


def _way(found: float, chance: float) -> float:
    return (found - chance) / max(1e-9, 1 - chance)


def _x(value: float) -> float:
    return round(_LEFT + min(1.0, max(0.0, value)) * (_WIDTH - _LEFT - _RIGHT), 1)


def _drawn(row: Mapping[str, Any], middle: float) -> str:
    found, chance = _figures(row)
    title = row["title"] if len(row["title"]) <= _LONGEST else row["title"][: _LONGEST - 1].rstrip() + "…"
    told = [f"{value:.2f}" if row["kind"] == PICTURE else _share(value) for value in (found, chance)]
    colour = _MEANS[row["level"]]
    measure = NAMES.get(row["measure"], row["measure"])
    return (
        f'<g class="{colour}">'
        f"<title>{escape(row['title'])}: {escape(measure)} {told[0]}, chance {told[1]}</title>"
        f'<text x="12" y="{middle}">{escape(title[:1].upper() + title[1:])}</text>'
        f'<text class="small" x="12" y="{middle + 11}">{escape(measure)}</text>'
        f'<line class="leak" x1="{_x(chance)}" x2="{_x(found)}" y1="{middle}" y2="{middle}"/>'
        f'<circle class="chance" cx="{_x(chance)}" cy="{middle}" r="5"/>'
        f'<circle class="found" cx="{_x(found)}" cy="{middle}" r="6"/>'
        f'<text x="{_WIDTH - _RIGHT + 16}" y="{middle + 4}">{told[0]}, chance {told[1]}</text></g>'
    )


def _share(value: float) -> str:
    return f"{value:.1%}" if value < 0.1 else f"{value:.0%}"
