"""What is left to an attacker under each preset, how far its pictures can be linked, and what it costs.

    python benchmarks/attacks/presets.py

Collects what other benchmarks have stored: attackers that turn pieces (`turned.json`), decoders of mixed
pictures (`trained_attacks.json`), scenes and people linked (`linkage.json`), faces, words and scenes
recognised (`recognisers.json`) and accuracy (`presets_accuracy.json`). All of it goes to
`src/hipmr_hf/hub/preset_figures.json`, which `hipmr presets` prints, and into docs/settings.md. What is not
stored is told as not measured.
"""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.accuracy.presets import MARK as ACCURACY
from benchmarks.attacks.linkage_table import MARK as LINKED
from benchmarks.attacks.recognisers_table import MARK as RECOGNISED
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import publish
from benchmarks.harness.results_file import load_results, stored
from benchmarks.harness.tables import mean_and_deviation, table
from hipmr_hf import Encryption
from hipmr_hf.commands.presets import flags
from hipmr_hf.encryption.preset_table import PRESETS
from hipmr_hf.files import write_whole
from hipmr_hf.hub.preset_figures import MEASURES, PLACE, measures_of, preset_of
from hipmr_hf.training.patch_embedding import fitting_embedding

MARK = "presets"
COMMAND = "python benchmarks/attacks/presets.py"
LINKED_TASK = "same scene, overlap 0"
PEOPLES_TERMS = {"faces": "faces_identified", "words": "words_read", "scenes": "scene_retrieved"}
TURNED_ROWS = {
    "RS+MI, interval 8, symmetries, tones apart": "classification",
    "RS+MI, grid 4, symmetries, normalization": "strongest",
    "RS, symmetries": "reversible",
    "RS": "paper-rs",
}
"""Rows of `turned.json`, of 224 pixels and patches of 16, by the preset that they are."""

LINKED_ROWS = {
    "RS+MI, interval of half a patch, symmetries, tones apart": "classification",
    "MI, symmetries, tones apart": "dense",
    "RS+MI, grid 4, symmetries, normalization": "strongest",
    "RS, symmetries": "reversible",
    "RS": "paper-rs",
    "MI": "paper-mi",
}
"""Rows of `linkage.json`."""
SOLVED_ROWS = {"paper-rs": "RS, patch 16"}
"""Rows of `jigsaw_attack.json`."""
DRAWN_ROWS = {"decoder: MI, symmetries, tones apart": "dense", "decoder: MI": "paper-mi"}
"""Experiments of `trained_attacks.json`, on pictures whose patches keep their places."""


def share(value: float) -> str:
    """Write a share.

    Example:

        >>> share(0.051), share(0.8743), share(1.0)
        ('.05', '.87', '1.00')
    """
    return f"{value:.2f}" if value >= 0.995 else f"{value:.2f}"[1:]


def linked(results: dict) -> dict[str, dict]:
    """Each preset's figure of linkage."""
    linked_here = [one for one in results.get("linked", []) if one["task"] == LINKED_TASK]
    records = {record["setting"]: record for record in linked_here}
    plain = records.get("plain")
    return {
        preset: {
            "value": (record := records[row])["top1"],
            "said": share(record["top1"]),
            "beside": f"plain {share(plain['top1'])}, chance {record['chance']:.3f}".replace(" 0.", " ."),
            "measured_on": f"{record['queries']} photographs of 224 pixels",
            "command": "python benchmarks/attacks/linkage.py",
        }
        for row, preset in LINKED_ROWS.items()
        if row in records
    }


def person(results: dict) -> dict[str, dict]:
    """Each preset's share of people that are linked through labelled encrypted pictures."""
    return {
        record["setting"]: {
            "value": record["top1"],
            "said": share(record["top1"]),
            "beside": f"chance {share_of_chance(record['chance'])}",
            "measured_on": f"{record['queries']} portraits, 224 pixels",
            "command": "python benchmarks/attacks/linkage.py --people",
        }
        for record in results.get("people", [])
        if record["setting"] in PRESETS
    }


def most_recognised(results: dict, measure: str) -> dict[str, dict]:
    """Each preset's largest share of faces, words or scenes, over the encrypted picture and attackers."""
    looked = [one for one in results.get("looked", []) if one.get("measure") == measure]
    plain = {one["preset"]: float(np.mean(one["values"])) for one in looked}.get(None)
    seen: dict[str | None, str] = {}
    for one in looked:
        seen[one["preset"]] = " and ".join(filter(None, [seen.get(one["preset"]), one["source"]]))
    found: dict[str, dict] = {}
    for one in looked:
        name, value = one["preset"], float(np.mean(one["values"]))
        if name is None or (name in found and found[name]["value"] >= value):
            continue
        found[name] = {
            "value": value,
            "said": share(value),
            "beside": f"plain {share(plain)}, chance {share_of_chance(one['chance'])}",
            "measured_on": f"{len(one['values'])} pictures, 224 pixels, {one['source']}; tried: {seen[name]}",
            "command": results["command"],
        }
    return found


def share_of_chance(value: float) -> str:
    """Write what guessing gives, which may be little.

    Example:

        >>> share_of_chance(0.025)
        '.025'
    """
    return f"{value:.3f}".removeprefix("0")


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
    """What the command says besides, where a network learned first; a whole table is measured without.

    Example:

        >>> asked({"setting": "RS", "network": {"seconds": 3600.0}})
        ' --learn 3600 --only "RS"'
        >>> asked({"setting": "RS"})
        ''
    """
    if "network" not in run:
        return ""
    return f' --learn {run["network"]["seconds"]:.0f} --only "{run["setting"]}"'


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


def whole(found: dict[str, dict], results: dict) -> dict[str, dict]:
    """The same figures, or what is put together of whole turned patches, where that is more."""
    for run in results.get("runs", []):
        preset = TURNED_ROWS.get(run["setting"])
        value = float(np.mean([image["adjacent"] for image in run["images"]]))
        if preset is not None and value > found.get(preset, {"value": 0.0})["value"]:
            found[preset] = {
                "value": value,
                "said": share(value),
                "beside": f"chance {run['chance']['adjacent']:.3f}".replace(" 0.", " ."),
                "measured_on": f"{len(run['images'])} photographs of 224 pixels",
                "command": results["command"],
            }
    return found


def drawn(results: dict) -> dict[str, dict]:
    """Each preset's likeness of what a trained decoder draws, where patches keep their places."""
    return {
        preset: {
            "value": (value := float(np.mean([run["scores"]["likeness"] for run in runs]))),
            "said": share(value),
            "beside": f"another photograph {share(np.mean([run['chance']['likeness'] for run in runs]))}",
            "measured_on": f"{len(runs)} photographs of 224 pixels",
            "command": results["command"],
        }
        for name, preset in DRAWN_ROWS.items()
        if (runs := results.get("experiments", {}).get(name, {}).get("runs"))
    }


def accuracies(runs: list[dict]) -> dict[str, dict]:
    """Each preset's accuracy by the patch embedding that it gets by default, beside the best plain row's."""
    plain: dict[str, list[float]] = {}
    for run in runs:
        if run["encryption"] is None:
            plain.setdefault(run["patch_embedding"], []).append(run["accuracy"])
    beside = f"plain {100 * max(map(np.mean, plain.values())):.1f} %" if plain else "plain not measured"
    found: dict[str, list[float]] = {}
    for run in runs:
        if run["encryption"] is None:
            continue
        encryption = Encryption.from_dict(run["encryption"])
        name = preset_of(encryption)
        if name is not None and fitting_embedding(encryption) == run["patch_embedding"]:
            found.setdefault(name, []).append(run["accuracy"])
    return {
        name: {
            "value": float(np.mean(values)),
            "said": f"{mean_and_deviation([100 * value for value in values], 1)} %",
            "beside": beside,
            "measured_on": f"EuroSAT, 64 pixels, {len(values)} seed{'s' * (len(values) > 1)}",
            "command": "python benchmarks/accuracy/presets.py",
        }
        for name, values in found.items()
    }


def collected() -> dict[str, dict[str, dict]]:
    """Every figure of every preset that is stored."""
    links = load_results(stored(LINKED))
    turning = load_results(stored("turned"))
    recognised = load_results(stored(RECOGNISED))
    measures = {
        "adjacent": whole(
            worst(turned(turning, "adjacent"), load_results(stored("jigsaw_attack"))),
            load_results(stored("whole")),
        ),
        "partner": turned(turning, "partner"),
        "drawn": drawn(load_results(stored("trained_attacks"))),
        "linked": linked(links),
        "person": person(links),
        **{name: most_recognised(recognised, measure) for name, measure in PEOPLES_TERMS.items()},
        "accuracy": accuracies(load_results(stored(ACCURACY)) or []),
    }
    return {
        name: {measure: found[name] for measure, found in measures.items() if name in found}
        for name in PRESETS
    }


def rendered(figures: dict[str, dict[str, dict]]) -> str:
    """Render the table of docs/settings.md."""
    heads = ["preset", "settings at 224 pixels", *MEASURES]
    rows = [
        [
            f"`{name}`",
            f"`{flags(Encryption.from_preset(name))}`",
            *(_cell(name, measure, figures[name].get(measure)) for measure in MEASURES),
        ]
        for name in PRESETS
    ]
    return table(heads, rows)


def _cell(name: str, measure: str, figure: dict | None) -> str:
    if figure is not None:
        return f"{figure['said']} ({figure['beside']})"
    return "not measured" if measure in measures_of(name) else "-"


def main() -> None:
    script_parser(__doc__).parse_args()
    figures = collected()
    write_whole(PLACE, json.dumps({"command": COMMAND, "presets": figures}, indent=1) + "\n")
    publish(MARK, rendered(figures), stored(MARK))


if __name__ == "__main__":
    main()
