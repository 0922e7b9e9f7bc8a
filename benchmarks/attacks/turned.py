"""What an attacker finds that reckons with turned, mixed and toned patches, setting by setting.

    python benchmarks/attacks/turned.py --data_dir ../shared/data

For every setting the attacker is fitted on crops of photographs that are not attacked (scikit-image's, COCO's
and 12 of Kodak's), encrypted with that setting, and attacks Kodak photographs 4 to 15 (centre crops, 224x224,
patch size 16). Partner is the share of patches whose best-scored partner is truly one of their neighbours;
adjacent the share of adjacent pairs of the assembled picture that are truly adjacent; distance how far apart
these pairs lie, 1 for no order at all. Writes `benchmarks/results/turned.json` as results come (a started
table is gone on with; `--only` measures the named settings alone, and several runs may work side by side) and
puts the table into docs/attacks.md. With `--learn SECONDS` a network learns first, for so long, which patches
are neighbours, from random crops of the same photographs, and its scores are one feature more. With
`--models NUMBER` so many attackers are fitted, each on encryptions of its own, and their scores are averaged.
Times are processor seconds of one core.
"""

import argparse
import fcntl
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import publish
from benchmarks.harness.photographs import divide
from benchmarks.harness.results_file import load_results, save_part
from benchmarks.harness.settings import MIXED, SIDE, shuffling
from benchmarks.harness.tables import standard_error, table
from hipmr_hf import RandomShuffling
from hipmr_hf.attacks.base import encrypt_with_truth
from hipmr_hf.attacks.jigsaw_turned.attacker import fit_turned
from hipmr_hf.attacks.trained.training_crops import TrainingCrops
from hipmr_hf.attacks.trained.turned_pairs import TurnedPairs, train_turned_pairs

MARK = "turned"
COMMAND = "python benchmarks/attacks/turned.py"
DATA = "Kodak photographs 4 to 15, shorter side resized to 224, centre crop 224x224, patch size 16"

_TURNED = {"sub_patch_symmetries": True}
_NORMALIZED = {**_TURNED, "patch_normalization": True}
_APART = {**_TURNED, "shuffle_tones": True}
_FINE = {"sub_patch_grid": 4}
SETTINGS: dict[str, RandomShuffling] = {
    "RS": shuffling(),
    "RS, interval 2": shuffling(interval=2),
    "RS, interval 4": shuffling(interval=4),
    "RS, drop .5": shuffling(drop_ratio=0.5),
    "RS, symmetries": shuffling(**_TURNED),
    "RS, symmetries, normalization": shuffling(**_NORMALIZED),
    "RS, symmetries, tones apart": shuffling(**_APART),
    "RS, interval 4, symmetries, normalization": shuffling(interval=4, **_NORMALIZED),
    "RS, interval 4, symmetries, tones apart": shuffling(interval=4, **_APART),
    "RS, interval 8, symmetries, tones apart": shuffling(interval=8, **_APART),
    "RS+MI": shuffling(**MIXED),
    "RS+MI, symmetries": shuffling(**MIXED, **_TURNED),
    "RS+MI, symmetries, normalization": shuffling(**MIXED, **_NORMALIZED),
    "RS+MI, symmetries, tones apart": shuffling(**MIXED, **_APART),
    "RS+MI, interval 4, symmetries, normalization": shuffling(interval=4, **MIXED, **_NORMALIZED),
    "RS+MI, interval 4, symmetries, tones apart": shuffling(interval=4, **MIXED, **_APART),
    "RS+MI, interval 8, symmetries, normalization": shuffling(interval=8, **MIXED, **_NORMALIZED),
    "RS+MI, interval 8, symmetries, tones apart": shuffling(interval=8, **MIXED, **_APART),
    "RS+MI, grid 4, symmetries": shuffling(**_FINE, **_TURNED),
    "RS+MI, grid 4, symmetries, normalization": shuffling(**_FINE, **_NORMALIZED),
    "RS+MI, grid 4, symmetries, tones apart": shuffling(**_FINE, **_APART),
    "RS+MI, grid 4, interval 4, symmetries, normalization": shuffling(interval=4, **_FINE, **_NORMALIZED),
    "RS+MI, grid 4, interval 8, symmetries, normalization": shuffling(interval=8, **_FINE, **_NORMALIZED),
}
CURVE = ("RS+MI, interval 8, symmetries, tones apart", "RS+MI, grid 4, symmetries, normalization")
"""The presets for classification and "strongest": does longer fitting find more?"""
CROPS, TREES = 48, 120
"""Crops of the table, and trees of each boosting round."""
SCORES = ("partner", "adjacent", "distance")


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(__doc__, results=MARK, only="names of settings", report="print the table")
    parser.add_argument("--crops", type=int, default=CROPS, help="to fit on; others than the default: curve")
    parser.add_argument("--trees", type=int, default=TREES, help="of each boosting round, likewise")
    parser.add_argument("--models", type=int, default=1, help="whose scores are averaged, likewise")
    parser.add_argument("--learn", type=float, default=0, help="seconds that a network learns; default: none")
    return parser.parse_args()


def crops_to_fit(
    photos: list[np.ndarray], count: int, seed: int = 0, *, side: int = SIDE
) -> list[np.ndarray]:
    """Cut crops: first the centre of every photograph as large as can be, then somewhat smaller ones."""
    rng, crops = np.random.default_rng(seed), []
    for number in range(count):
        photo = Image.fromarray(photos[number % len(photos)])
        first = number < len(photos)
        centre = (0.5, 0.5) if first else tuple(rng.random(2))
        bleed = 0.0 if first else 0.14 * rng.random()
        fitted = ImageOps.fit(photo, (side, side), Image.Resampling.BICUBIC, bleed, centre)
        crops.append(np.asarray(fitted))
    return crops


def measure(args: argparse.Namespace) -> None:
    """Fit and attack for every setting that has no result yet."""
    attacked, learned_from = divide(args.data_dir, "photos_skimage", "coco128_free_train")
    crops = crops_to_fit(learned_from, args.crops)
    for name in args.only or SETTINGS:
        asked = (name, args.crops, args.trees, args.models, args.learn)
        if any((run["setting"], *effort_of(run)) == asked for run in stored_runs(args.results)):
            continue
        learned = learn(name, learned_from, args.learn) if args.learn else None
        run = one_setting(name, crops, attacked, learned, trees=args.trees, models=args.models)
        if learned:
            run["network"] = {"seconds": args.learn, **learned.effort, "curve": learned.curve}
        add(args.results, run)
        print(f"{name}, {args.crops} crops: partner {mean(run, 'partner'):.3f}", flush=True)


def learn(name: str, photos: list[np.ndarray], seconds: float) -> TurnedPairs:
    return train_turned_pairs(SETTINGS[name], TrainingCrops(photos, (SIDE, SIDE)), cpu_seconds=seconds)


def effort_of(run: dict[str, Any]) -> tuple[int, int, int, float]:
    """Crops and trees of the boosting, models of it, and seconds that a network learned."""
    return run["crops"], run.get("trees", TREES), run.get("models", 1), learned_for(run)


def learned_for(run: dict[str, Any]) -> float:
    """Seconds that a network learned; 0 without one."""
    return run["network"]["seconds"] if "network" in run else 0


def one_setting(
    name: str,
    crops: list[np.ndarray],
    attacked: dict[int, np.ndarray],
    learned: TurnedPairs | None = None,
    *,
    trees: int = TREES,
    models: int = 1,
) -> dict[str, Any]:
    """Fit the attacker, and let it attack every photograph under fresh randomness."""
    encryption, started = SETTINGS[name], time.process_time()
    attacker = fit_turned(encryption, crops, trees=trees, models=models, learned=learned)
    record = {"setting": name, "crops": len(crops), "fitting_seconds": time.process_time() - started}
    record |= {} if trees == TREES else {"trees": trees}
    record |= {} if models == 1 else {"models": models}
    images = []
    for number, photo in attacked.items():
        sample = encrypt_with_truth(encryption, encryption.prepare(photo)[None])
        result = attacker(sample.images[0], sample.positions[0])
        image = {"image": number, "cpu_seconds": result.cpu_seconds, **result.scores}
        images.append(image | {"chance": result.chance["partner"], "search_limited": result.search_limited})
    return record | {"images": images}


def stored_runs(path: Path) -> list[dict[str, Any]]:
    found = load_results(path)
    return list(found["runs"]) if found else []


def add(path: Path, run: dict[str, Any]) -> None:
    """Add a run to the file, which another process may be writing to as well."""
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        save_part(path, "runs", [*stored_runs(path), run], command=COMMAND, data=DATA)
    path.with_suffix(".lock").unlink(missing_ok=True)


def mean(run: dict[str, Any], name: str) -> float:
    return float(np.mean([image[name] for image in run["images"]]))


def spread(run: dict[str, Any], name: str) -> str:
    """Mean over photographs and its standard error."""
    return f"{mean(run, name):.3f} ± {standard_error([image[name] for image in run['images']]):.3f}"


def rendered(runs: list[dict[str, Any]]) -> str:
    """Render the table of all settings, and under it what more crops find for the strongest ones."""
    if not runs:
        return "Not measured yet."
    order = {name: place for place, name in enumerate(SETTINGS)}
    by_place = sorted(runs, key=lambda run: (order[run["setting"]], *effort_of(run)))
    longest = {run["setting"]: run for run in sorted(by_place, key=learned_for)}
    rows, more, curves = [], [], []
    for run in by_place:
        scores, fitting = [spread(run, name) for name in SCORES], f"{run['fitting_seconds']:.0f}"
        usual = effort_of(run) == (CROPS, TREES, 1, 0)
        if usual:
            seconds = f"{fitting} + {mean(run, 'cpu_seconds'):.1f}"
            rows.append([run["setting"], *scores, f"{mean(run, 'chance'):.3f}", seconds])
        if not usual or run["setting"] in CURVE:
            crops, trees, models, seconds = effort_of(run)
            learned = f"{seconds:.0f}" if seconds else "-"
            more.append([run["setting"], crops, trees, models, fitting, learned, *scores])
        if run is longest[run["setting"]]:
            curves += [[run["setting"], *point] for point in learning_curve(run)]
    found = table(["setting", *SCORES, "chance of the first two", "CPU s: fitting + a picture"], rows)
    if len(rows) == len(runs):
        return found
    told = "Less and more to fit on, and with a network that learned first, for some of them:"
    effort = ["crops fitted on", "trees a round", "models", "fitting, CPU s", "network learned, CPU s"]
    parts = [found, told, table(["setting", *effort, *SCORES], more)]
    if curves:
        parts += [
            "The network alone, while it learns, on crops of photographs that it does not learn from:",
            table(["setting", "CPU s", "steps", "loss", "partner"], curves),
        ]
    return "\n\n".join(parts)


def learning_curve(run: dict[str, Any]) -> list[list[str]]:
    """What the network alone finds, as its time goes by."""
    return [
        [f"{point['cpu_seconds']:.0f}", point["step"], f"{point['loss']:.3f}", f"{point['partner']:.3f}"]
        for point in run.get("network", {"curve": []})["curve"]
    ]


def main() -> None:
    args = parse_arguments()
    if not args.report:
        measure(args)
    if args.report or not args.only:
        publish(MARK, rendered(stored_runs(args.results)), args.results)


if __name__ == "__main__":
    main()
