"""Search for settings of random shuffling that hold: attackers trained for each of about 60 settings.

    python benchmarks/attacks/settings_sweep.py --data_dir ../shared/data
    python benchmarks/attacks/settings_sweep.py --data_dir ../shared/data --trained
    python benchmarks/attacks/settings_sweep.py --data_dir ../shared/data --turned

The first command fits the handcrafted attacker to each setting on photographs that are not attacked, and
attacks Kodak photographs (centre crops, 224x224): neighbour top-1 before any assembly, and what a jigsaw
search of bounded length puts together. The second trains a neighbour network for every setting where the
first found little (`--worth_training`), the best settings first. Neither turns a piece; the third fits those
that do to every setting with symmetries: `turned.py`'s, with fewer crops, and where patches are whole, which
means unmixed, `whole.py`'s as well. All write `benchmarks/results/settings_sweep.json` as results come, go on
where they stopped, and render docs/settings.md. Times are processor seconds of one core that may be shared
with other work.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.attacks.settings_table import MARK, TURNED, leak, rendered, turning_asked, values
from benchmarks.attacks.whole import CROPS as WHOLE_CROPS
from benchmarks.attacks.whole import SEARCH
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.attacking import compile_solver, puzzle
from benchmarks.harness.pages import publish
from benchmarks.harness.photographs import ATTACKED, collection, random_crop
from benchmarks.harness.results_file import load_results, save_part
from benchmarks.harness.settings import SIDE, shuffling
from hipmr_hf import RandomShuffling
from hipmr_hf.attacks.base import encrypt_with_truth
from hipmr_hf.attacks.jigsaw.compatibility import ALL_COLOURS
from hipmr_hf.attacks.jigsaw.pair_scores import fit_weights, pair_scores
from hipmr_hf.attacks.jigsaw.solver import JigsawAttack
from hipmr_hf.attacks.jigsaw.weights import PairWeights
from hipmr_hf.attacks.jigsaw_whole.attacker import WholeAttacker, fit_whole

COMMAND = "python benchmarks/attacks/settings_sweep.py"
ABOUT = {
    "command": f"{COMMAND}; {COMMAND} --trained; {COMMAND} --turned",
    "data": "Kodak photographs 4 to 15, shorter side resized to 224, centre crop 224x224",
}
ROUNDS, STEPS = 1, 2000

# The knobs in short: p patch, k interval, d drop ratio, g sub-patch grid, s symmetries, n normalization.
_KNOBS = {"p": "patch_size", "k": "interval", "d": "drop_ratio", "g": "sub_patch_grid"}
_FLAGS = {"s": "sub_patch_symmetries", "n": "patch_normalization"}
# Patch 16 is swept densely, the other patches at the settings that tell most. Left out: odd gaps and grids
# that do not divide the patch (not valid), encrypted patches of one pixel (no border, nothing to learn from),
# most of patch 8, whose puzzles cost 15 times more, and drops together with mixing except where mixing holds
# best.
SWEEP = """
p16; p16 k4; p16 k8; p16 g2 s n; p16 k4 g2 s n; p16 k8 g2 s n; p16 d.5; p16 d.75; p16 d.5 g2 s n
p16 k8 g4 s n
p28; p28 k4; p28 k8; p28 g2; p28 g2 s n; p28 g4 s n; p28 k8 g4 s n
p32; p32 k8; p32 d.5; p32 g2 s n; p32 g4; p32 g4 s n; p32 k8 g4 s n
p16 g4 s n; p16 k4 g4 s n; p16 k4 d.5 g2 s n; p16 d.75 g2 s n; p16 k4 d.75 g2 s n
p16 k8 d.5 g4 s n; p16 k2 g2 s n; p16 k8 d.75 g4 s n; p32 k8 d.5 g4 s n; p32 k8 d.75 g4 s n
p16 n; p16 s; p16 s n; p16 k4 n; p16 k4 s; p16 k4 s n; p16 k8 s n; p16 k8 d.5 s n; p16 g2; p16 g2 n; p16 g2 s
p16 k4 g2; p16 k4 g2 s; p16 k8 g2 s; p16 g4; p16 g4 s; p16 k8 g4 s; p16 d.5 g2 s
p14; p14 g2 s n; p14 k2 g4 s n; p14 k4; p14 g2; p14 k2
p16 k2; p16 d.25; p16 k2 d.25; p16 k4 d.5; p16 k8 d.5; p16 k8 d.75
p8; p8 k4; p8 g2 s n; p8 g4 s n
"""


def parse_setting(text: str) -> RandomShuffling:
    """Read settings such as "p16 k4 d.5 g2 s n".

    Example:
        >>> parse_setting("p16 k4 g2 s").encrypted_patch_size
        6
    """
    knobs = {}
    for word in text.split():
        if word in _FLAGS:
            knobs[_FLAGS[word]] = True
        else:
            knobs[_KNOBS[word[0]]] = float(word[1:]) if word[0] == "d" else int(word[1:])
    return shuffling(**knobs)


def sweep() -> list[str]:
    return [name.strip() for line in SWEEP.split("\n") for name in line.split(";") if name.strip()]


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(
        __doc__, results=MARK, only="settings such as 'p16 k4'", report="render docs/settings.md"
    )
    parser.add_argument("--images", type=int, default=4, help=f"photographs, up to {len(ATTACKED)}")
    parser.add_argument("--crops", type=int, default=8, help="photographs that weights are fitted on")
    parser.add_argument("--trained", action="store_true", help="train neighbour networks")
    parser.add_argument("--turned", action="store_true", help="fit attackers that turn pieces")
    parser.add_argument("--turned_crops", type=int, default=16, help="photographs that these are fitted on")
    parser.add_argument("--cpu_seconds", type=float, default=60, help="training of one network")
    parser.add_argument(
        "--worth_training", type=float, default=10, help="times chance: train where handcrafted is below"
    )
    return parser.parse_args()


class Photographs:
    """Kodak photographs to attack, and photographs that are not attacked to learn from."""

    def __init__(self, data_dir: Path):
        kodak = collection(data_dir, "photos_kodak")
        self.attacked = {index: kodak[index] for index in ATTACKED}
        others = [photo for index, photo in enumerate(kodak) if index not in ATTACKED]
        others += collection(data_dir, "photos_skimage", smallest=SIDE)
        # Alternating kinds, so that the first few crops are varied too.
        self.lossless = [others[index] for index in np.random.default_rng(0).permutation(len(others))]
        self.all_others = others + collection(data_dir, "coco128_free_train", smallest=SIDE)

    def crops(self, count: int) -> list[np.ndarray]:
        """Cut one random square of SIDE pixels out of each of the first lossless photographs."""
        rng = np.random.default_rng(1)
        return [random_crop(photo, SIDE, rng) for photo in self.lossless[:count]]


def save(path: Path, settings: dict[str, dict]) -> None:
    save_part(path, "settings", settings, **ABOUT)


def describe(encryption: RandomShuffling) -> dict:
    """What the eye, and an attacker, still get: pixels of a patch, patches, share of all pixels."""
    size, count = encryption.encrypted_patch_size, encryption.num_patches
    kept = size**2 * count / SIDE**2
    return {"knobs": encryption.to_dict(), "pixels": size, "patches": count, "kept": round(kept, 4)}


def few(encryption: RandomShuffling, count: int) -> int:
    """Patches of 8 make puzzles of 784 pieces, which cost 15 times more: half of the images must do."""
    return count if encryption.num_patches < 500 else max(1, count // 2)


def fit(encryption: RandomShuffling, photographs: Photographs, crops: int) -> dict:
    started = time.process_time()
    count = few(encryption, crops)
    weights = fit_weights(encryption, photographs.crops(count))
    seconds = round(time.process_time() - started, 1)
    return {"crops": count, "cpu_seconds": seconds, "weights": weights.weights, "absent": weights.absent}


def attack_image(encryption: RandomShuffling, photo: Image.Image, scorer) -> dict:
    """Encrypt one photograph afresh and solve it with the pair scores that `scorer` gives its patches."""
    pieces, truth = puzzle(encryption, np.asarray(photo))
    started = time.process_time()
    solver = JigsawAttack(encryption, rounds=ROUNDS, steps=STEPS)
    result = solver.assemble(pieces, scorer(pieces), truth, started=started)
    names = ("pair_top1", "neighbour", "direct", "largest_component")
    return {
        "scores": {name: round(result.scores[name], 4) for name in names},
        "chance": {name: round(result.chance[name], 5) for name in names},
        "cpu_seconds": round(result.cpu_seconds, 2),
        "search_limited": bool(result.search_limited),
        "steps": result.effort["steps"],
    }


def attack_all(record: dict, encryption: RandomShuffling, photographs: Photographs, count: int, scorer):
    """Attack the photographs that have no result in the record yet."""
    runs = record.setdefault("runs", [])
    done = {run["image"] for run in runs}
    for index, photo in list(photographs.attacked.items())[:count]:
        if index not in done:
            runs.append({"image": index} | attack_image(encryption, photo, scorer))


def measure_handcrafted(args: argparse.Namespace, photographs: Photographs) -> None:
    settings = load_results(args.results, "settings")
    for name in args.only or sweep():
        encryption = parse_setting(name)
        count = few(encryption, args.images)
        record = settings.setdefault(name, describe(encryption))
        if len(record.get("handcrafted", {}).get("runs", [])) >= count:
            continue
        ours = record.setdefault("handcrafted", {})
        if "fit" not in ours:
            ours["fit"] = fit(encryption, photographs, args.crops)
        weights = PairWeights(ALL_COLOURS, tuple(ours["fit"]["weights"]), ours["fit"]["absent"])
        attack_all(ours, encryption, photographs, count, lambda pieces, w=weights: pair_scores(pieces, w))
        save(args.results, settings)
        print(f"{name}: top-1 {top1(ours):.3f}, chance {1 / (encryption.num_patches - 1):.3f}", flush=True)


def top1(record: dict) -> float:
    return float(np.mean([run["scores"]["pair_top1"] for run in record["runs"]]))


def measure_trained(args: argparse.Namespace, photographs: Photographs) -> None:
    """Train a network for each setting where handcrafted scores find little, the least first."""
    from hipmr_hf.attacks.trained.neighbour import train_neighbour
    from hipmr_hf.attacks.trained.training_crops import TrainingCrops

    settings = load_results(args.results, "settings")
    multiples = {name: top1(one["handcrafted"]) * one["patches"] for name, one in settings.items()}
    for name in sorted(args.only or settings, key=multiples.get):
        record, encryption = settings[name], parse_setting(name)
        count = few(encryption, args.images)
        tried = record.get("trained", {})
        enough = len(tried.get("runs", [])) >= count and tried["effort"]["asked_seconds"] >= args.cpu_seconds
        if enough or (not args.only and multiples[name] >= args.worth_training):
            continue
        crops = TrainingCrops(photographs.all_others, (SIDE, SIDE))
        attacker = train_neighbour(encryption, crops, cpu_seconds=args.cpu_seconds)
        record["trained"] = {"effort": attacker.effort | {"asked_seconds": args.cpu_seconds}}
        record["trained"]["curve"] = attacker.curve
        attack_all(record["trained"], encryption, photographs, count, attacker.scores)
        save(args.results, settings)
        print(
            f"{name}: top-1 {top1(record['handcrafted']):.3f} -> {top1(record['trained']):.3f}, "
            f"chance {1 / (encryption.num_patches - 1):.3f}",
            flush=True,
        )


def measure_turned(args: argparse.Namespace, photographs: Photographs) -> None:
    """Fit attackers that turn pieces to each setting with symmetries, the best settings first."""
    from hipmr_hf.attacks.jigsaw_turned.attacker import fit_turned

    def fit_pairs(encryption: RandomShuffling, crops: list[np.ndarray]) -> Any:
        return fit_turned(encryption, crops, trees=120)

    def fit_sides(encryption: RandomShuffling, crops: list[np.ndarray]) -> Any:
        return fit_whole(encryption, crops, trees=0, **SEARCH)

    fits = {"turned": (fit_pairs, args.turned_crops), "whole": (fit_sides, WHOLE_CROPS)}
    settings = load_results(args.results, "settings")
    crops = [random_crop(photo, SIDE, np.random.default_rng(1)) for photo in photographs.all_others]
    for name in sorted(args.only or settings, key=lambda one: leak(settings[one])):
        record, encryption = settings[name], parse_setting(name)
        attacked = dict(list(photographs.attacked.items())[: few(encryption, args.images)])
        for kind in turning_asked(record["knobs"]):
            if kind in record:
                continue
            fit_one, count = fits[kind]
            count = few(encryption, count)
            fitted_on = crops[:: max(1, len(crops) // count)][:count]
            record[kind] = attack_turned(encryption, attacked, fit_one, fitted_on)
            save(args.results, settings)
            print(f"{name}: {kind}, adjacent {values(record[kind], 'adjacent').mean():.3f}", flush=True)


def attack_turned(
    encryption: RandomShuffling,
    attacked: dict[int, Image.Image],
    fit_one: Callable[[RandomShuffling, list[np.ndarray]], Any],
    crops: list[np.ndarray],
) -> dict[str, Any]:
    """Fit an attacker that turns pieces, and let it attack every photograph under fresh randomness."""
    started = time.process_time()
    attacker = fit_one(encryption, crops)
    by_sides = isinstance(attacker, WholeAttacker)
    record = {"crops": len(crops), "cpu_seconds": round(time.process_time() - started, 1), "runs": []}
    for index, photo in attacked.items():
        sample = encrypt_with_truth(encryption, encryption.prepare(photo)[None])
        truth = (sample.positions[0], sample.turns[0]) if by_sides else (sample.positions[0],)
        result = attacker(sample.images[0], *truth)
        record["runs"].append(
            {
                "image": index,
                "scores": {name: round(result.scores[name], 4) for name in TURNED},
                "chance": {name: round(result.chance[name], 5) for name in TURNED},
                "cpu_seconds": round(result.cpu_seconds, 2),
            }
        )
    return record


def main() -> None:
    args = parse_arguments()
    if not args.report:
        photographs = Photographs(args.data_dir)
        compile_solver()
        measure = measure_turned if args.turned else measure_trained if args.trained else measure_handcrafted
        measure(args, photographs)
    publish(MARK, rendered(load_results(args.results, "settings")), args.results)


if __name__ == "__main__":
    main()
