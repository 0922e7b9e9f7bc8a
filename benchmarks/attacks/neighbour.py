"""What a trained neighbour attacker finds beside the handcrafted one, setting by setting.

    python benchmarks/attacks/neighbour.py --data_dir ../shared/data

For every setting a network is trained for the processor seconds that SETTINGS names, on random crops of
photographs that are not attacked (scikit-image's, scikit-learn's, COCO's and 12 of Kodak's), and attacks
Kodak photographs 4 to 15 (centre crops, 224x224). Both attackers see the same encrypted images. Top-1 is the
share of true neighbours that score best of all candidates before any assembly; Nc what the jigsaw solver
makes of the scores. Writes `benchmarks/results/neighbour_attack.json` as results come (a started table is
gone on with), puts the table into docs/attacks.md and draws `docs/images/neighbour_curve.png`. Times are
processor seconds of one core that may be shared with other work; about 40 minutes in all.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_sample_images

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness.arguments import script_parser
from benchmarks.harness.attacking import puzzle
from benchmarks.harness.figures import plot
from benchmarks.harness.pages import IMAGES, publish
from benchmarks.harness.photographs import divide
from benchmarks.harness.results_file import load_results, save_part
from benchmarks.harness.settings import HARDENED, MIXED, SIDE, shuffling
from benchmarks.harness.tables import standard_error, table
from hipmr_hf import RandomShuffling
from hipmr_hf.attacks.base import grid_shape
from hipmr_hf.attacks.jigsaw.pair_scores import pair_scores, pair_top1
from hipmr_hf.attacks.jigsaw.solver import JigsawAttack, JigsawResult
from hipmr_hf.attacks.jigsaw.weights import weights_for
from hipmr_hf.attacks.trained.neighbour import NeighbourAttacker, train_neighbour
from hipmr_hf.attacks.trained.training_crops import TrainingCrops

MARK = "neighbour_attack"
COMMAND = "python benchmarks/attacks/neighbour.py"
DATA = "Kodak photographs 4 to 15, shorter side resized to 224, centre crop 224x224, patch size 16"
SETTINGS: dict[str, tuple[RandomShuffling, float]] = {
    "RS, interval 4": (shuffling(interval=4), 180),
    "RS+MI": (shuffling(**MIXED), 180),
    "RS+MI, symmetries, normalization": (shuffling(**HARDENED), 360),
    "RS+MI, normalization": (shuffling(**MIXED, patch_normalization=True), 180),
    "RS+MI, symmetries": (shuffling(**MIXED, sub_patch_symmetries=True), 360),
    "RS, interval 2": (shuffling(interval=2), 180),
}
"""Setting -> processor seconds of training."""


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(
        __doc__, results=MARK, only="names of settings", report="print the table and draw the figure"
    )
    parser.add_argument("--figure", type=Path, default=IMAGES / "neighbour_curve.png")
    return parser.parse_args()


def measure(args: argparse.Namespace) -> None:
    """Train and attack for every setting that has no result yet."""
    attacked, learned_from = divide(args.data_dir, "photos_skimage", "coco128_free_train")
    crops = TrainingCrops(learned_from + load_sample_images().images, (SIDE, SIDE))
    runs = list(load_results(args.results, "runs"))
    done = {run["setting"] for run in runs}
    for name, (encryption, seconds) in SETTINGS.items():
        if (args.only and name not in args.only) or name in done:
            continue
        started = time.process_time()
        attacker = train_neighbour(encryption, crops, cpu_seconds=seconds)
        record = {"setting": name, "training_seconds": seconds, "effort": attacker.effort}
        record |= {"curve": attacker.curve, "whole_seconds": time.process_time() - started}
        record["images"] = [attack(attacker, number, photo) for number, photo in attacked.items()]
        runs.append(record)
        save_part(args.results, "runs", runs, command=COMMAND, data=DATA)
        print(f"{name}, {seconds} s: {mean(record, 'trained'):.3f}", flush=True)


def attack(attacker: NeighbourAttacker, number: int, photo: np.ndarray) -> dict:
    """Encrypt one photograph afresh; let both attackers score its pairs, and the solver work with them."""
    encryption = attacker.encryption
    pieces, truth = puzzle(encryption, photo)
    scores = {
        "handcrafted": pair_scores(pieces, weights_for(encryption)),
        "trained": attacker.scores(pieces),
    }
    record = {"image": number, "chance": 1 / (len(truth) - 1)}
    for name, pairs in scores.items():
        record[name] = pair_top1(pairs, truth, grid_shape(encryption))
        record |= _solved(name, JigsawAttack(encryption).assemble(pieces, pairs, truth))
    return record


def _solved(name: str, result: JigsawResult) -> dict:
    return {
        f"{name}_neighbour": result.scores["neighbour"],
        f"{name}_search_limited": result.search_limited,
        f"{name}_cpu_seconds": result.cpu_seconds,
        "chance_neighbour": result.chance["neighbour"],
    }


def mean(run: dict, name: str) -> float:
    return float(np.mean([image[name] for image in run["images"]]))


def rendered(runs: list[dict]) -> str:
    """Render means over photographs; the gain in top-1 comes with its standard error over photographs."""
    order = {name: place for place, name in enumerate(SETTINGS)}
    rows = []
    for run in sorted(runs, key=lambda run: order[run["setting"]]):
        gains = [image["trained"] - image["handcrafted"] for image in run["images"]]
        gain = f"{np.mean(gains):+.3f} ± {standard_error(gains):.3f}"
        names = ("handcrafted", "trained", "handcrafted_neighbour", "trained_neighbour", "chance")
        top1, trained, *solved = [f"{mean(run, name):.3f}" for name in names]
        seconds = f"{run['training_seconds']:.0f}"
        rows.append([run["setting"], len(gains), seconds, top1, trained, gain, *solved])
    heads = ["setting", "n", "training, CPU s", "top-1: handcrafted", "trained", "gain"]
    return table([*heads, "Nc: handcrafted", "trained", "chance"], rows)


def draw_curve(runs: list[dict], path: Path) -> None:
    """Draw top-1 on crops that are held out, against the time of training.

    The first points are the network's alone (hollow), the others those of the network and the handcrafted
    scores together.
    """
    with plot(path, 7.5, 4.2) as (_, axes):
        for run in sorted(runs, key=lambda run: -run["curve"][-1]["top1"]):
            points = [(point["cpu_seconds"], point["top1"]) for point in run["curve"]]
            (line,) = axes.plot(*zip(*points, strict=True), "o-", label=run["setting"])
            alone = [point for point in points if point[0] < 0.45 * run["training_seconds"]]
            hollow = {"color": line.get_color(), "markerfacecolor": "white", "zorder": 3}
            axes.plot(*zip(*alone, strict=True), "o", **hollow)
        axes.axhline(1 / 195, color="grey", linestyle=":", label="chance")
        axes.set(
            xlabel="training, CPU seconds (hollow: the network alone; then with handcrafted scores)",
            ylabel="neighbour top-1, crops held out",
            yscale="log",
        )
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))


def main() -> None:
    args = parse_arguments()
    if not args.report:
        measure(args)
    runs = load_results(args.results, "runs")
    publish(MARK, rendered(runs), args.results)
    draw_curve(runs, args.figure)


if __name__ == "__main__":
    main()
