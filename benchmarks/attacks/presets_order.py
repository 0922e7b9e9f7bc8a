"""How much of the order of patches the attackers found under each preset, of all that is stored.

Those that turn pieces (`turned.json`, `whole.json`), and the solver that never does (`jigsaw_attack.json`).
"""

import numpy as np

from benchmarks.attacks.turned import CROPS, TREES, effort_of
from benchmarks.harness.tables import share

TURNED_ROWS = {
    "RS+MI, interval 8, symmetries, tones apart": "classification",
    "RS+MI, grid 4, symmetries, normalization": "strongest",
    "RS, symmetries": "reversible",
    "RS": "paper-rs",
}
"""Rows of `turned.json`, of 224 pixels and patches of 16, by the preset that they are."""

SOLVED_ROWS = {"paper-rs": "RS, patch 16"}
"""Rows of `jigsaw_attack.json`."""


def turned(results: dict, measure: str) -> dict[str, dict]:
    """Each preset's largest figure of attackers that turn pieces, over how long they were fitted."""
    found: dict[str, dict] = {}
    for run in results.get("runs", []):
        preset = TURNED_ROWS.get(run["setting"])
        value = float(np.mean([image[measure] for image in run["images"]]))
        if preset is None or (preset in found and found[preset]["value"] >= value):
            continue
        chance = float(np.mean([image["chance"] for image in run["images"]]))
        found[preset] = {
            "value": value,
            "said": share(value),
            "beside": f"chance {chance:.3f}".replace(" 0.", " ."),
            "measured_on": f"{len(run['images'])} photographs of 224 pixels",
            "command": results["command"] + asked(run),
        }
    return found


def asked(run: dict) -> str:
    """What the command says besides, where more or less was asked for than the table of all settings has.

    Example:

        >>> asked({"setting": "RS", "crops": 192, "network": {"seconds": 3600.0}})
        ' --crops 192 --learn 3600 --only "RS"'
        >>> asked({"setting": "RS", "crops": 48})
        ''
    """
    usual, effort = (CROPS, TREES, 1, 0), effort_of(run)
    flags = [
        f" --{flag} {value:.0f}"
        for flag, value, default in zip(("crops", "trees", "models", "learn"), effort, usual, strict=True)
        if value != default
    ]
    return "".join([*flags, f' --only "{run["setting"]}"']) if flags else ""


def worst(found: dict[str, dict], solved: dict) -> dict[str, dict]:
    """The same figures, or what a solver puts together that never turns a piece, where that is more."""
    for preset, row in SOLVED_ROWS.items():
        runs = solved.get("settings", {}).get(row, [])
        value = float(np.mean([run["scores"]["neighbour"] for run in runs])) if runs else 0.0
        if value > found.get(preset, {"value": 0.0})["value"]:
            chance = float(np.mean([run["chance"]["neighbour"] for run in runs]))
            found[preset] = {
                "value": value,
                "said": share(value),
                "beside": f"chance {chance:.3f}".replace(" 0.", " ."),
                "measured_on": f"{len(runs)} photographs of 224 pixels",
                "command": "python benchmarks/attacks/jigsaw.py",
            }
    return found


def whole(found: dict[str, dict], results: dict, measure: str) -> dict[str, dict]:
    """The same figures, or what the attacker of whole turned patches finds, where that is more."""
    for run in results.get("runs", []):
        preset = TURNED_ROWS.get(run["setting"])
        value = float(np.mean([image[measure] for image in run["images"]]))
        if preset is not None and value > found.get(preset, {"value": 0.0})["value"]:
            found[preset] = {
                "value": value,
                "said": share(value),
                "beside": f"chance {run['chance'][measure]:.3f}".replace(" 0.", " ."),
                "measured_on": f"{len(run['images'])} photographs of 224 pixels",
                "command": results["command"],
            }
    return found
