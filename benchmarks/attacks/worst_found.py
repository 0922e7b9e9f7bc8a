"""What the worst attacker found under every setting that was measured, for cards and warnings.

    python benchmarks/attacks/worst_found.py

Measures nothing: takes the largest share of pairs that any stored attacker put together rightly, of those
that never turn a piece (`jigsaw.py`, `neighbour.py`, `settings_sweep.py`, `trained.py`, `sizes.py`) and of
those that do (`turned.py`, `whole.py`, `sizes.py`, `settings_sweep.py`), and the likeness of what was drawn
best where patches keep their places (`trained.py`, `sizes.py`). Photographs at 224 pixels with patches of 16
only. All of it goes to `src/hipmr_hf/hub/worst_found.json`.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.attacks import jigsaw, neighbour, turned, whole
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.results_file import load_results, stored
from benchmarks.harness.settings import PATCH, SIDE, mixing
from hipmr_hf import Encryption
from hipmr_hf.files import write_whole
from hipmr_hf.hub.worst_found import PLACE, Found, Knobs, knobs_of

COMMAND = "python benchmarks/attacks/worst_found.py"
DRAWN = {
    "MI": mixing(),
    "MI, normalization": mixing(patch_normalization=True),
    "MI, symmetries": mixing(sub_patch_symmetries=True),
    "MI, symmetries, normalization": mixing(sub_patch_symmetries=True, patch_normalization=True),
    "MI, symmetries, tones apart": mixing(sub_patch_symmetries=True, shuffle_tones=True),
}
"""Rows of `trained_attacks.json` whose patches keep their places."""
_PATHS = {"position: photographs, RS, interval 4": "RS, interval 4"}
"""Rows of `trained_attacks.json` that hold a solver's scores, by names of `turned.py`."""
Shares = list[float]
Stored = tuple[Encryption, str, Shares, Shares]


def never_turning() -> Iterator[Stored]:
    """Settings, what kind of attacker, its shares of true neighbours, and what guessing gives."""
    for name, runs in load_results(stored("jigsaw_attack"), "settings").items():
        encryption = jigsaw.SETTINGS.get(name)
        if encryption is not None and encryption.strategy == "rs":
            yield encryption, "solver", *_scores(runs, "neighbour")
    for run in load_results(stored("neighbour_attack"), "runs"):
        found, chance = (
            [one[key] for one in run["images"]] for key in ("trained_neighbour", "chance_neighbour")
        )
        yield neighbour.SETTINGS[run["setting"]][0], "trained", found, chance
    for encryption, run in _presets("solver"):
        yield encryption, "solver", *_adjacent(run)
    for encryption, swept in _swept():
        for kind, by in (("handcrafted", "fitted"), ("trained", "trained")):
            if swept.get(kind):
                yield encryption, by, *_scores(swept[kind]["runs"], "neighbour")
    experiments = load_results(stored("trained_attacks"), "experiments")
    for name, setting in _PATHS.items():
        yield turned.SETTINGS[setting], "trained", *_scores(experiments[name]["runs"], "neighbour")


def turning() -> Iterator[Stored]:
    """The same of attackers that turn pieces: shares of adjacent pairs that truly are."""
    for mark, settings in (("turned", turned.SETTINGS), ("whole", whole.SETTINGS)):
        for run in load_results(stored(mark), "runs"):
            yield settings[run["setting"]], "turned", *_adjacent(run)
    for encryption, run in _presets("turned", "whole"):
        yield encryption, "turned", *_adjacent(run)
    for encryption, swept in _swept():
        if swept.get("turned"):
            yield encryption, "turned", *_scores(swept["turned"]["runs"], "adjacent")


def drawing() -> Iterator[Stored]:
    """The same of attackers that draw pictures: likeness, and that of another photograph."""
    for name, experiment in load_results(stored("trained_attacks"), "experiments").items():
        encryption = DRAWN.get(name.split(": ", 1)[1])
        if encryption is not None:
            yield encryption, "drawn", *_scores(experiment["runs"], "likeness")
    for encryption, run in _presets("decoder"):
        yield encryption, "drawn", *([one[key] for one in run["images"]] for key in ("likeness", "chance"))


def _presets(*attackers: str) -> Iterator[tuple[Encryption, dict[str, Any]]]:
    """Presets at 224 pixels that some kinds of attackers of `sizes.py` met."""
    for run in load_results(stored("sizes"), "runs"):
        if run["size"] == SIDE and run["attacker"] in attackers:
            yield Encryption.from_preset(run["preset"], SIDE), run


def _swept() -> Iterator[tuple[Encryption, dict[str, Any]]]:
    for swept in load_results(stored("settings_sweep"), "settings").values():
        yield Encryption.from_dict(swept["knobs"]), swept


def _scores(runs: list[dict], name: str) -> tuple[Shares, Shares]:
    return [run["scores"][name] for run in runs], [run["chance"][name] for run in runs]


def _adjacent(run: dict[str, Any]) -> tuple[Shares, Shares]:
    images = run["images"]
    told = run["chance"]["adjacent"] if "chance" in run else None
    return [one["adjacent"] for one in images], [one.get("chance", told) for one in images]


def worst(found: Iterable[Stored]) -> dict[Knobs, Found]:
    """The largest mean of each setting; of equal ones, that of more photographs."""
    most: dict[Knobs, Found] = {}
    for encryption, by, shares, chance in found:
        if encryption.patch_size != PATCH:
            continue
        knobs = knobs_of(encryption)
        one = Found(round(float(np.mean(shares)), 5), round(float(np.mean(chance)), 4), len(shares), by)
        if knobs not in most or (one.share, one.photographs) > (most[knobs].share, most[knobs].photographs):
            most[knobs] = one
    return dict(sorted(most.items()))


def collected() -> dict[str, Any]:
    """What the file holds: knobs that are not as they are by default, and what was found."""
    both = {"put_together": worst([*never_turning(), *turning()]), "drawn": worst(drawing())}
    rows = {
        part: [{"knobs": _changed(knobs), **found._asdict()} for knobs, found in most.items()]
        for part, most in both.items()
    }
    return {"command": COMMAND, **rows}


def _changed(knobs: Knobs) -> dict[str, Any]:
    usual = Knobs()._asdict()
    return {name: value for name, value in knobs._asdict().items() if value != usual[name]}


def written(values: dict[str, Any]) -> str:
    """JSON with a row a line."""
    parts = [f'"command": {json.dumps(values["command"])}']
    for part in ("put_together", "drawn"):
        rows = ",\n".join(f"  {json.dumps(row)}" for row in values[part])
        parts.append(f'"{part}": [\n{rows}\n ]')
    return "{\n " + ",\n ".join(parts) + "\n}\n"


def main() -> None:
    script_parser(__doc__).parse_args()
    text = written(collected())
    write_whole(PLACE, text)
    print(text)


if __name__ == "__main__":
    main()
