"""Render the sweep of settings, for docs/settings.md: the least leaking first, and which of them hold.

`python benchmarks/attacks/settings_sweep.py --report` does it from the measured JSON.
"""

import numpy as np

from benchmarks.harness.tables import standard_error, table

MARK = "settings_sweep"
HOLDS = 2.0
"""Times chance up to which a setting counts as one that holds."""
_SHOWN = ("pair_top1", "neighbour")
"""Top-1 and Nc."""
TURNED = ("partner", "adjacent")
"""Scores of attackers that turn pieces."""
TURNING = ("turned", "whole")
"""The attackers that turn pieces: by what no turn changes, and by the sides of whole patches."""


def values(record: dict, score: str) -> np.ndarray:
    return np.array([run["scores"][score] for run in record["runs"]])


def times_chance(record: dict, score: str) -> float:
    """Mean over images of a score, in units of what guessing gives."""
    return float(values(record, score).mean() / np.mean([run["chance"][score] for run in record["runs"]]))


def attackers(setting: dict) -> list[dict]:
    return [setting[kind] for kind in ("handcrafted", "trained") if setting.get(kind, {}).get("runs")]


def leak(setting: dict) -> float:
    """Most that any attacker gets, in units of chance."""
    found = [times_chance(one, score) for one in attackers(setting) for score in _SHOWN]
    return max(found + [times_chance(one, score) for one in turning(setting) for score in TURNED])


def turning(setting: dict) -> list[dict]:
    """What attackers that turn pieces found."""
    return [setting[kind] for kind in TURNING if kind in setting]


def turning_asked(knobs: dict) -> tuple[str, ...]:
    """Which attackers that turn pieces a setting has to meet: whole patches are those that are not mixed.

    Example:
        >>> turning_asked({"sub_patch_symmetries": True, "sub_patch_grid": 2})
        ('turned',)
    """
    if not knobs["sub_patch_symmetries"]:
        return ()
    return TURNING if knobs["sub_patch_grid"] == 1 else TURNING[:1]


def spread(record: dict, score: str) -> float:
    """Standard error of the mean over images."""
    return standard_error(values(record, score))


def title(knobs: dict) -> str:
    words = [f"patch {knobs['patch_size']}"]
    words += [f"interval {knobs['interval']}"] if knobs["interval"] else []
    words += [f"drop {knobs['drop_ratio']:g}"] if knobs["drop_ratio"] else []
    words += [f"grid {knobs['sub_patch_grid']}"] if knobs["sub_patch_grid"] > 1 else []
    words += ["symmetries"] if knobs["sub_patch_symmetries"] else []
    words += ["normalization"] if knobs["patch_normalization"] else []
    return ", ".join(words)


def _cells(record: dict | None, scores: tuple[str, ...] = _SHOWN) -> list[str]:
    if not record or not record.get("runs"):
        return ["-"] * len(scores)
    return [f"{values(record, s).mean():.3f} ± {spread(record, s):.3f}" for s in scores]


def _worst(records: list[dict], score: str) -> str:
    """The cell of the attacker that finds most, by this score."""
    most = max(records, key=lambda record: values(record, score).mean(), default=None)
    return _cells(most, (score,))[0]


def _row(one: dict) -> list[object]:
    ours, trained = one["handcrafted"], one.get("trained")
    shown = f"{one['pixels']}x{one['pixels']}"
    seconds = f"{trained['effort']['cpu_seconds']:.0f}" if trained else "-"
    chance = f"{ours['runs'][0]['chance']['pair_top1']:.4f}"
    cells = [title(one["knobs"]), shown, f"{one['kept']:.1%}", len(ours["runs"])]
    turned = [_worst(turning(one), score) for score in TURNED]
    return [*cells, *_cells(ours), *_cells(trained), seconds, chance, *turned, f"{leak(one):.1f}"]


def sweep_table(settings: dict[str, dict]) -> str:
    """A row for each setting, sorted by what the best attacker gets in units of chance."""
    heads = ["setting", "a patch shows", "pixels left", "n", "top-1", "Nc"]
    heads += ["trained: top-1", "trained: Nc", "trained s", "chance"]
    heads += ["turned: partner", "turned: adjacent", "most, times chance"]
    measured = [one for one in settings.values() if attackers(one)]
    return table(heads, map(_row, sorted(measured, key=leak)))


def verdict(settings: dict[str, dict]) -> str:
    """Name the settings that hold against every attacker, or say that none does and which comes nearest."""
    tried = [one for one in settings.values() if len(attackers(one)) == 2 and _was_turned(one)]
    if not tried:
        return "No network has been trained yet, so nothing can be said about what holds."
    best = min(tried, key=leak)
    within = [one for one in sorted(tried, key=leak) if leak(one) <= HOLDS]
    said = (
        "Handcrafted and trained attackers, and where pieces are turned those that turn them, tried "
        f"{len(tried)} of {len(settings)} settings. "
    )
    if not within:
        return said + (
            f"**In none of them do all attackers stay within {HOLDS:g} times chance.** Nearest comes "
            f"{title(best['knobs'])}: {leak(best):.1f} times chance."
        )
    names = "; ".join(f"{title(one['knobs'])} ({leak(one):.1f})" for one in within)
    return said + f"All attackers stay within {HOLDS:g} times chance at: **{names}**."


def _was_turned(one: dict) -> bool:
    return all(kind in one for kind in turning_asked(one["knobs"]))


def rendered(settings: dict[str, dict]) -> str:
    return f"{verdict(settings)}\n\n{sweep_table(settings)}"
