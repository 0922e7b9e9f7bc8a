"""What an attacker puts together again of whole patches that were turned: position and turn of each.

    python benchmarks/attacks/whole.py --data_dir ../shared/data

For every setting it is learned on 8 crops of photographs that are not attacked how the borders of turned
patches are weighed; Kodak photographs 4 to 15 (centre crops, 224x224, patch size 16) are then put together,
every patch under the turn that fits. Side is the share of sides whose best-scored neighbour, of all patches,
sides and turns, is the true one; neighbour the share of true neighbours put back on the right side under the
right turn; adjacent as in the table of turned.py. Writes `benchmarks/results/whole.json` as results come, and
the table of docs/attacks.md. Times are processor seconds of one core.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.attacks.turned import crops_to_fit, mean, spread
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import measure_and_publish
from benchmarks.harness.photographs import divide
from benchmarks.harness.results_file import load_results, save_part
from benchmarks.harness.settings import shuffling
from benchmarks.harness.tables import table
from hipmr_hf import RandomShuffling
from hipmr_hf.attacks.base import encrypt_with_truth
from hipmr_hf.attacks.jigsaw_whole.attacker import fit_whole

MARK = "whole"
COMMAND = "python benchmarks/attacks/whole.py"
DATA = "Kodak photographs 4 to 15, shorter side resized to 224, centre crop 224x224, patch size 16"

_TURNED = {"sub_patch_symmetries": True}
SETTINGS: dict[str, RandomShuffling] = {
    "RS, symmetries": shuffling(**_TURNED),
    "RS, symmetries, normalization": shuffling(**_TURNED, patch_normalization=True),
    "RS, symmetries, tones apart": shuffling(**_TURNED, shuffle_tones=True),
    "RS, interval 2, symmetries": shuffling(interval=2, **_TURNED),
    "RS, interval 4, symmetries": shuffling(interval=4, **_TURNED),
    "RS, interval 4, symmetries, normalization": shuffling(interval=4, **_TURNED, patch_normalization=True),
    "RS, interval 4, symmetries, tones apart": shuffling(interval=4, **_TURNED, shuffle_tones=True),
    "RS, interval 8, symmetries, tones apart": shuffling(interval=8, **_TURNED, shuffle_tones=True),
}
CROPS, SEARCH = 8, {"rounds": 2, "steps": 1000}
SCORES = {"side": "side", "neighbour_turned": "neighbour", "adjacent": "adjacent"}


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(__doc__, results=MARK, only="names of settings", report="print the table")
    parser.add_argument("--drawn", type=Path, help="folder for the reconstructions of each setting")
    return parser.parse_args()


def measure(args: argparse.Namespace) -> None:
    """Fit and attack for every setting that has no result yet."""
    attacked, learned_from = divide(args.data_dir, "photos_skimage", "coco128_free_train")
    crops = crops_to_fit(learned_from, CROPS)
    for name in args.only or SETTINGS:
        runs = load_results(args.results).get("runs", [])
        if any(run["setting"] == name for run in runs):
            continue
        run = one_setting(name, crops, attacked, args.drawn)
        save_part(args.results, "runs", [*runs, run], command=COMMAND, data=DATA)
        print(f"{name}: {', '.join(spread(run, score) for score in SCORES)}", flush=True)


def one_setting(
    name: str, crops: list[np.ndarray], attacked: dict[int, np.ndarray], drawn: Path | None
) -> dict[str, Any]:
    """Fit the attacker, and let it attack every photograph under fresh randomness."""
    encryption = SETTINGS[name]
    attacker = fit_whole(encryption, crops, trees=0, **SEARCH)
    images = []
    for number, photo in attacked.items():
        sample = encrypt_with_truth(encryption, encryption.prepare(photo)[None])
        result = attacker(sample.images[0], sample.positions[0], sample.turns[0])
        image = {"image": number, "cpu_seconds": result.cpu_seconds, **result.scores}
        images.append(image | {"search_limited": result.search_limited})
        if drawn is not None:
            drawn.mkdir(parents=True, exist_ok=True)
            Image.fromarray(result.reconstruction).save(drawn / f"{name.replace(', ', '_')}_{number}.png")
    return {
        "setting": name,
        "crops": len(crops),
        "fitting_seconds": attacker.effort["cpu_seconds"],
        "chance": result.chance,
        "images": images,
    }


def rendered(runs: list[dict[str, Any]]) -> str:
    if not runs:
        return "Not measured yet."
    heads = ["setting", *SCORES.values(), "search-limited", "CPU s: fitting + a picture"]
    order = {name: place for place, name in enumerate(SETTINGS)}
    rows = [
        [
            run["setting"],
            *(spread(run, score) for score in SCORES),
            f"{mean(run, 'search_limited'):.0%}",
            f"{run['fitting_seconds']:.0f} + {mean(run, 'cpu_seconds'):.1f}",
        ]
        for run in sorted(runs, key=lambda run: order[run["setting"]])
    ]
    chance = runs[0]["chance"]
    guessed = [f"{chance[score]:.4f}" if chance[score] < 0.01 else f"{chance[score]:.3f}" for score in SCORES]
    return table(heads, [*rows, ["chance", *guessed, "", ""]])


def main() -> None:
    measure_and_publish(MARK, parse_arguments(), measure, rendered)


if __name__ == "__main__":
    main()
