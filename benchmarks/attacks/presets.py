"""What is left to an attacker under each preset, how far its pictures can be linked, and what it costs.

    python benchmarks/attacks/presets.py

Collects what other benchmarks have stored: the worst attacker that turns pieces (`turned.json`, `whole.json`;
where none is turned the solver of `jigsaw_attack.json` as well), decoders of mixed pictures
(`trained_attacks.json`), scenes and people linked (`linkage.json`), faces, words and scenes recognised
(`recognisers.json`), accuracy (`presets_accuracy.json`) and what is found at other sizes (`sizes.json`). All
of it goes to `src/hipmr_hf/hub/preset_figures.json`, which `hipmr presets` prints, and, but for other sizes,
into docs/settings.md. What is not stored is told as not measured.
"""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.accuracy.presets import MARK as ACCURACY
from benchmarks.attacks.linkage_table import MARK as LINKED
from benchmarks.attacks.presets_order import turned, whole, worst
from benchmarks.attacks.recognisers_table import MARK as RECOGNISED
from benchmarks.attacks.sizes import MARK as SIZES
from benchmarks.attacks.sizes import score_of
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import publish
from benchmarks.harness.results_file import load_results, stored
from benchmarks.harness.tables import mean_and_deviation, share, share_of_chance, table
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
LINKED_ROWS = {
    "RS+MI, interval of half a patch, symmetries, tones apart": "classification",
    "MI, symmetries, tones apart": "dense",
    "RS+MI, grid 4, symmetries, normalization": "strongest",
    "RS, symmetries": "reversible",
    "RS": "paper-rs",
    "MI": "paper-mi",
}
"""Rows of `linkage.json`."""
DRAWN_ROWS = {"decoder: MI, symmetries, tones apart": "dense", "decoder: MI": "paper-mi"}
"""Experiments of `trained_attacks.json`, on pictures whose patches keep their places."""


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
        told = same_one(looked, name) if measure == "faces_identified" else ""
        found[name] = {
            "value": value,
            "said": share(value),
            "beside": f"{told}plain {share(plain)}, chance {share_of_chance(one['chance'])}",
            "measured_on": f"{len(one['values'])} pictures, 224 pixels, {one['source']}; tried: {seen[name]}",
            "command": results["command"],
        }
    return found


def same_one(looked: list[dict], preset: str) -> str:
    """Say where it is always the same picture that is named right, which tells less than a share seems to.

    Nothing is said of a preset under which others are named as well, or none.

    Example:

        >>> rows = [("a", "as it is", [1, 0, 0]), ("a", "solver", [1, 0]), ("b", "solver", [1, 1])]
        >>> rows = [dict(zip(("preset", "source", "values"), row)) for row in rows]
        >>> same_one(rows, "a")
        'one of 2, as encrypted one of 3, the same portrait under every preset with just one; '
        >>> same_one(rows, "b")
        ''
    """
    rows = [one for one in looked if one["preset"] is not None]
    right = [(one["preset"], [n for n, value in enumerate(one["values"]) if value]) for one in rows]
    just_one = {numbers[0] for _, numbers in right if len(numbers) == 1}
    if len(just_one) != 1 or any(name == preset and len(numbers) != 1 for name, numbers in right):
        return ""
    counts = {one["source"]: len(one["values"]) for one in rows if one["preset"] == preset}
    fewest, encrypted = min(counts.values()), counts["as it is"]
    same = "the same portrait under every preset with just one"
    return f"one of {fewest}, as encrypted one of {encrypted}, {same}; "


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
    found: dict[str, list[dict]] = {}
    for run in runs:
        if run["encryption"] is None:
            continue
        encryption = Encryption.from_dict(run["encryption"])
        name = preset_of(encryption)
        if name is not None and fitting_embedding(encryption) == run["patch_embedding"]:
            found.setdefault(name, []).append(run)
    return {
        name: {
            "value": float(np.mean([run["accuracy"] for run in ours])),
            "said": f"{mean_and_deviation([100 * run['accuracy'] for run in ours], 1)} %",
            "beside": beside,
            "measured_on": f"EuroSAT, 64 pixels, {len(ours)} seed{'s' * (len(ours) > 1)}",
            "command": f"python benchmarks/accuracy/presets.py{trained_by(ours)}",
        }
        for name, ours in found.items()
    }


def trained_by(runs: list[dict]) -> str:
    """What the command says besides, for runs of one row.

    Example:

        >>> trained_by([{"seed": seed, "extra": ["bf16=false"]} for seed in (0, 1)])
        ' --seeds 0 1 --extra bf16=false'
    """
    seeds = " ".join(str(seed) for seed in sorted(run["seed"] for run in runs))
    extra = " ".join(sorted({word for run in runs for word in run["extra"]}, reverse=True))
    return f" --seeds {seeds}" + (f" --extra {extra}" if extra else "")


def collected() -> dict[str, dict[str, dict]]:
    """Every figure of every preset that is stored."""
    links = load_results(stored(LINKED))
    turning, of_whole = load_results(stored("turned")), load_results(stored("whole"))
    recognised = load_results(stored(RECOGNISED))
    measures = {
        "adjacent": whole(
            worst(turned(turning, "adjacent"), load_results(stored("jigsaw_attack"))), of_whole, "adjacent"
        ),
        "partner": whole(turned(turning, "partner"), of_whole, "partner"),
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


def by_size(results: dict) -> dict[str, dict[str, dict]]:
    """What a short attack found under each preset at each size."""
    found: dict[str, dict[str, dict]] = {}
    for run in results.get("runs", []):
        drawn, images = score_of(run) == "likeness", run["images"]
        value, chance = (float(np.mean([one[key] for one in images])) for key in (score_of(run), "chance"))
        found.setdefault(run["preset"], {})[str(run["size"])] = {
            "value": value,
            "said": share(value),
            "beside": f"another photograph {share(chance)}" if drawn else f"chance {share_of_chance(chance)}",
            "measured_on": f"{len(images)} photographs",
            "command": results["command"],
        }
    return {name: found[name] for name in PRESETS if name in found}


def written() -> dict[str, object]:
    """All that the file holds."""
    return {"command": COMMAND, "presets": collected(), "sizes": by_size(load_results(stored(SIZES)))}


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
    told = written()
    write_whole(PLACE, json.dumps(told, indent=1) + "\n")
    publish(MARK, rendered(told["presets"]), stored(MARK))


if __name__ == "__main__":
    main()
