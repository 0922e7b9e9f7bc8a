"""What a trained neighbour attacker finds beside the handcrafted one, setting by setting.

    python benchmarks/neighbour_attack.py --data_dir ../shared/data

For every setting a network is trained for the processor seconds that SETTINGS names, on random crops of
photographs that are not attacked (scikit-image's, scikit-learn's, COCO's and 12 of Kodak's), and attacks
Kodak photographs 4 to 15 (centre crops, 224x224). Both attackers see the same encrypted images. Top-1 is the
share of true neighbours that score best of all candidates before any assembly; Nc what the jigsaw solver
makes of the scores. Writes `benchmarks/results/neighbour_attack.json` as results come (a started table is
gone on with), prints the table, puts it into README and draws `docs/images/neighbour_curve.png`. Times are
processor seconds of one core that may be shared with other work; about 40 minutes in all.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from datasets import load_dataset
from pages import tell
from sklearn.datasets import load_sample_images

from hipmr_hf import RandomShuffling
from hipmr_hf.attacks.base import encrypt_with_truth, grid_shape, split_mosaic
from hipmr_hf.attacks.jigsaw.pair_scores import pair_scores, pair_top1
from hipmr_hf.attacks.jigsaw.solver.solver import JigsawAttack, JigsawResult
from hipmr_hf.attacks.jigsaw.weights import weights_for
from hipmr_hf.attacks.trained.neighbour import NeighbourAttacker, train_neighbour
from hipmr_hf.attacks.trained.training_crops import TrainingCrops

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "neighbour_attack.json"
FIGURE = ROOT / "docs" / "images" / "neighbour_curve.png"
SIZE = 224
ATTACKED = range(4, 16)
"""Kodak photographs under attack, those of `jigsaw_attack.py`; the others are learned from."""


def _rs(**knobs) -> RandomShuffling:
    return RandomShuffling(image_size=SIZE, patch_size=16, **knobs)


MIXED = {"sub_patch_grid": 2}
TURNED = {**MIXED, "sub_patch_symmetries": True}
HARDENED = {**TURNED, "patch_normalization": True}
SETTINGS: dict[str, tuple[RandomShuffling, float]] = {
    "RS, interval 4": (_rs(interval=4), 180),
    "RS+MI": (_rs(**MIXED), 180),
    "RS+MI, symmetries, normalization": (_rs(**HARDENED), 360),
    "RS+MI, normalization": (_rs(**MIXED, patch_normalization=True), 180),
    "RS+MI, symmetries": (_rs(**TURNED), 360),
    "RS, interval 2": (_rs(interval=2), 180),
}
"""Setting -> processor seconds of training."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    parser.add_argument("--only", nargs="+", help="names of settings; default all")
    parser.add_argument("--report", action="store_true", help="only print the table and draw the figure")
    return parser.parse_args()


def load_photographs(data_dir: Path, name: str) -> list[np.ndarray]:
    rows = load_dataset("parquet", data_files=str(data_dir / f"{name}.parquet"), split="train")
    return [np.asarray(row["image"].convert("RGB")) for row in rows]


def divide(data_dir: Path) -> tuple[list[np.ndarray], dict[int, np.ndarray]]:
    """Photographs to learn from, and those under attack by their number."""
    kodak = load_photographs(data_dir, "photos_kodak")
    others = load_photographs(data_dir, "photos_skimage") + load_photographs(data_dir, "coco128_free_train")
    others += load_sample_images().images
    learned_from = [photo for number, photo in enumerate(kodak) if number not in ATTACKED] + others
    return learned_from, {number: kodak[number] for number in ATTACKED}


def load_results(path: Path) -> list[dict]:
    return json.loads(path.read_text())["runs"] if path.exists() else []


def save_results(path: Path, runs: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "Kodak photographs 4 to 15, shorter side resized to 224, centre crop 224x224, patch size 16"
    content = {"command": "python benchmarks/neighbour_attack.py", "data": data, "runs": runs}
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(content, indent=1) + "\n")
    beside.replace(path)


def measure(args: argparse.Namespace) -> None:
    """Train and attack for every setting that has no result yet."""
    learned_from, attacked = divide(args.data_dir)
    runs = load_results(args.results)
    done = {run["setting"] for run in runs}
    for name, (encryption, seconds) in SETTINGS.items():
        if (args.only and name not in args.only) or name in done:
            continue
        crops = TrainingCrops(learned_from, (SIZE, SIZE))
        started = time.process_time()
        attacker = train_neighbour(encryption, crops, cpu_seconds=seconds)
        record = {"setting": name, "training_seconds": seconds, "effort": attacker.effort}
        record |= {"curve": attacker.curve, "whole_seconds": time.process_time() - started}
        record["images"] = [attack(attacker, number, photo) for number, photo in attacked.items()]
        runs.append(record)
        save_results(args.results, runs)
        print(f"{name}, {seconds} s: {mean(record, 'trained'):.3f}", flush=True)


def attack(attacker: NeighbourAttacker, number: int, photo: np.ndarray) -> dict:
    """Encrypt one photograph afresh; let both attackers score its pairs, and the solver work with them."""
    encryption = attacker.encryption
    sample = encrypt_with_truth(encryption, encryption.prepare(photo)[None])
    pieces, truth = split_mosaic(sample.images[0], encryption.encrypted_patch_size), sample.positions[0]
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


def table(runs: list[dict]) -> str:
    """Render means over photographs; the gain in top-1 comes with its standard error over photographs."""
    lines = [
        "| setting | n | training, CPU s | top-1: handcrafted | trained | gain "
        "| Nc: handcrafted | trained | chance |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    order = {name: place for place, name in enumerate(SETTINGS)}
    for run in sorted(runs, key=lambda run: order[run["setting"]]):
        gains = [image["trained"] - image["handcrafted"] for image in run["images"]]
        error = np.std(gains, ddof=1) / np.sqrt(len(gains))
        solved = [f"{mean(run, name):.3f}" for name in ("handcrafted_neighbour", "trained_neighbour")]
        cells = [run["setting"], str(len(gains)), f"{run['training_seconds']:.0f}"]
        cells += [f"{mean(run, 'handcrafted'):.3f}", f"{mean(run, 'trained'):.3f}"]
        cells += [f"{np.mean(gains):+.3f} ± {error:.3f}", *solved, f"{mean(run, 'chance'):.3f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw_curve(runs: list[dict], path: Path) -> None:
    """Draw top-1 on crops that are held out, against the time of training.

    The first points are the network's alone (hollow), the others those of the network and the handcrafted
    scores together.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    for run in sorted(runs, key=lambda run: -run["curve"][-1]["top1"]):
        seconds = [point["cpu_seconds"] for point in run["curve"]]
        (line,) = axes.plot(seconds, [point["top1"] for point in run["curve"]], "o-", label=run["setting"])
        alone = [point for point in run["curve"] if point["cpu_seconds"] < 0.45 * run["training_seconds"]]
        hollow = {"color": line.get_color(), "markerfacecolor": "white", "zorder": 3}
        axes.plot([p["cpu_seconds"] for p in alone], [p["top1"] for p in alone], "o", **hollow)
    axes.axhline(1 / 195, color="grey", linestyle=":", label="chance")
    axes.set(
        xlabel="training, CPU seconds (hollow: the network alone; then with handcrafted scores)",
        ylabel="neighbour top-1, crops held out",
        yscale="log",
    )
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> None:
    args = parse_arguments()
    if not args.report:
        measure(args)
    runs = load_results(args.results)
    rendered = table(runs)
    print(rendered)
    draw_curve(runs, args.figure)
    if args.results == RESULTS:
        tell("neighbour_attack", rendered)


if __name__ == "__main__":
    main()
