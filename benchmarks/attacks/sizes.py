"""What the presets leave to an attacker in small and large pictures: 64, 224 and 384 pixels.

    python benchmarks/attacks/sizes.py --data_dir ../shared/data

An attacker for every preset and size, prepared for a minute at most on photographs that are not attacked,
attacks Kodak photographs 4 to 15 (centre crops). Patches that are turned or mixed are put together as in
`turned.py`, whole turned ones as in `whole.py`, those of `paper-rs` as in `jigsaw.py`; where patches keep
their places a decoder draws, as in `trained.py` but trained for 60 seconds: longer training draws more.
Patches are 8, 16 and 24 pixels wide, those of the paper's presets 16 at most. Writes
`benchmarks/results/sizes.json` as results come (a started table is gone on with), and the tables of
docs/settings.md. Times are processor seconds of one core.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.attacks.sizes_attackers import SCORES, attacked_by_what_fits
from benchmarks.attacks.turned import mean, spread
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import measure_and_publish
from benchmarks.harness.photographs import divide
from benchmarks.harness.results_file import load_results, save_part
from benchmarks.harness.tables import table
from hipmr_hf import Encryption
from hipmr_hf.encryption.preset_table import PRESETS

MARK = "sizes"
COMMAND = "python benchmarks/attacks/sizes.py"
DATA = "Kodak photographs 4 to 15, shorter side resized, centre crop"
SIZES = (64, 224, 384)
_HEADS = ("preset", "pixels a side", "patches")


def parse_arguments() -> argparse.Namespace:
    return script_parser(__doc__, results=MARK, only="presets", report="print the table").parse_args()


def measure(args: argparse.Namespace) -> None:
    """Prepare an attacker and attack, for every preset and size that has no result yet."""
    attacked, learned_from = divide(args.data_dir, "photos_skimage", "coco128_free_train")
    for preset in args.only or PRESETS:
        for size in SIZES:
            runs = load_results(args.results).get("runs", [])
            if any((run["preset"], run["size"]) == (preset, size) for run in runs):
                continue
            encryption = Encryption.from_preset(preset, image_size=size)
            found = attacked_by_what_fits(encryption, learned_from, attacked)
            run = {"preset": preset, "size": size, **found}
            save_part(args.results, "runs", [*runs, run], command=COMMAND, data=DATA)
            print(f"{preset}, {size}: {spread(run, score_of(run))}", flush=True)


def score_of(run: dict[str, Any]) -> str:
    """The score that counts: pairs put together, or where patches keep their places what is drawn."""
    return "likeness" if run["attacker"] == "decoder" else "adjacent"


def rendered(runs: list[dict[str, Any]]) -> str:
    """Render a table of order, where patches are shuffled, and one of what is drawn, where they are not."""
    if not runs:
        return "Not measured yet."
    places = [(preset, size) for preset in PRESETS for size in SIZES]
    in_order = sorted(runs, key=lambda run: places.index((run["preset"], run["size"])))
    shuffled = [_order_row(run) for run in in_order if score_of(run) == "adjacent"]
    drawn = [_drawn_row(run) for run in in_order if score_of(run) == "likeness"]
    order = table([*_HEADS, "attacker", *SCORES, "chance", "CPU s: fitting + a picture"], shuffled)
    if not drawn:
        return order
    heads = [*_HEADS, "drawn", "another photograph", "steps", "CPU s: training + a picture"]
    return f"{order}\n\n{table(heads, drawn)}"


def _order_row(run: dict[str, Any]) -> list[object]:
    scores = [spread(run, score) if score in run["images"][0] else "-" for score in SCORES]
    return [*_place(run), run["attacker"], *scores, f"{mean(run, 'chance'):.3f}", _seconds(run)]


def _drawn_row(run: dict[str, Any]) -> list[object]:
    found = [spread(run, "likeness"), f"{mean(run, 'chance'):.3f}"]
    return [*_place(run), *found, run["training"]["steps"], _seconds(run)]


def _place(run: dict[str, Any]) -> list[object]:
    return [f"`{run['preset']}`", run["size"], run["patches"]]


def _seconds(run: dict[str, Any]) -> str:
    return f"{run['fitting_seconds']:.0f} + {mean(run, 'cpu_seconds'):.1f}"


def main() -> None:
    measure_and_publish(MARK, parse_arguments(), measure, rendered)


if __name__ == "__main__":
    main()
