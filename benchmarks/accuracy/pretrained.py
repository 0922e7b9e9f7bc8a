"""What pre-trained weights bring on encrypted pictures: random, converted and adapted ones, trained alike.

    python ../shared/tools/dinov2_small.py outputs/dinov2_small
    python benchmarks/accuracy/pretrained.py --weights outputs/dinov2_small

Converts DINOv2-small for every setting (with its own patch embedding, and where patches are changed also with
one that is fitted), adapts it by `examples/adapt_backbone.py` on pictures that play the public ones (without
their labels, and none of them is trained on), and then trains on encrypted pictures in three ways, with one
budget for all rows: a linear probe on the features, the last quarter of the blocks, everything. The
classifier starts as a logistic regression on the class token, and rates fall from block to block below it;
random weights, whose blocks have nothing to keep, have one rate of their own. Writes each result to
`benchmarks/results/pretrained.json` as it comes (a started table is gone on with), then the table in
docs/results.md. `--validation` evaluates on a tenth of the training file; so the rates were chosen.
`--data cells` takes BCCD's cells.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from datasets import disable_progress_bars

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.accuracy.pretrained_data import load_pictures
from benchmarks.accuracy.pretrained_starts import SETTINGS, WEIGHTS, build, encryption_of, refits
from benchmarks.accuracy.pretrained_training import WAYS, Inputs, features, fine_tune, probe, start_head
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import ROOT, publish
from benchmarks.harness.results_file import add_result, load_results
from benchmarks.harness.tables import mean_and_deviation, table

MARK = "pretrained"
DATA = {"eurosat": "EuroSAT", "cells": "BCCD's cells"}
PLACE = ("data", "train", "epochs", "patch", "setting", "weights", "steps", "public")
KEY = (*PLACE, "way", "layer_decay", "seed", "evaluated_on")
COLUMNS = {  # of the table: a way, and whether its rates fall
    "linear probe": ("probe", False),
    "last blocks": ("partial", True),
    "everything, one rate": ("full", False),
    "everything, rates fall": ("full", True),
}


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(__doc__, results=MARK, only="names of settings", report="the table")
    parser.add_argument("--weights", type=Path, default=ROOT / "outputs" / "dinov2_small")
    parser.add_argument("--output_dir", type=Path, default=ROOT / "outputs" / MARK)
    parser.add_argument("--data", choices=DATA, default="eurosat")
    parser.add_argument("--patch", type=int, default=16, help="pixels; the preset itself has 8 at this size")
    parser.add_argument("--starts", nargs="+", choices=WEIGHTS, default=list(WEIGHTS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--train", type=int, default=1000, help="pictures to train on")
    parser.add_argument("--test", type=int, default=500, help="pictures to evaluate on")
    parser.add_argument("--public", type=int, default=2000, help="pictures that play the public ones")
    parser.add_argument("--adapt_steps", type=int, default=1000)
    parser.add_argument("--adapt_rate", type=float, default=1e-4)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch_size", type=int, default=25)
    parser.add_argument("--learning_rate", type=float, default=1e-4, help="of pre-trained weights")
    parser.add_argument("--layer_decay", type=float, default=0.75, help="of pre-trained weights")
    parser.add_argument("--random_rate", type=float, default=5e-4, help="of random weights")
    parser.add_argument("--bf16", action="store_true", help="fine-tune so, on processors that compute it")
    parser.add_argument("--validation", action="store_true", help="evaluate on a tenth of the training file")
    return parser.parse_args()


def measure(args: argparse.Namespace, name: str, weights: str, seed: int, pictures: dict) -> None:
    """Build one start, and train from it in every way that has no result yet."""
    about = {
        "data": args.data,
        "train": args.train,
        "epochs": args.epochs,
        "patch": args.patch,
        "setting": name,
        "weights": weights,
        "steps": args.adapt_steps if weights.endswith("adapted") else 0,
        "public": args.public if weights.endswith("adapted") else 0,
        "seed": seed,
        "evaluated_on": "validation" if args.validation else "test",
    }
    falls = weights != "random"
    rate, decay = (args.learning_rate, args.layer_decay) if falls else (args.random_rate, 1.0)
    decays = {way: None if way == "probe" else decay for way in args.ways}
    done = {tuple(run[part] for part in KEY) for run in load_results(args.results)}
    wanted = {way: {**about, "way": way, "layer_decay": decay} for way, decay in decays.items()}
    ways = [way for way in args.ways if tuple(wanted[way][part] for part in KEY) not in done]
    if weights == "random":  # whose blocks nobody trained, and so cannot stay as they are
        ways = [way for way in ways if way != "partial"]
    encryption = encryption_of(name, args.patch)
    needless = weights.startswith("own") and not refits(encryption)  # converted weights are these
    if not ways or needless or (name == "plain" and weights == "adapted"):
        return
    torch.manual_seed(seed)
    started = time.process_time()
    model, told = build(args, name, weights, pictures["public"][0])
    parts = {part: Inputs(model, encryption, pictures[part]) for part in ("train", "test")}
    found = {part: features(model, inputs) for part, inputs in parts.items()}
    if "probe" in ways:
        accuracy, seconds = probe(found, parts, args.data), round(time.process_time() - started)
        result = {**wanted["probe"], "test": args.test, "accuracy": accuracy, "cpu_seconds": seconds}
        record(args, {**result, "told": told})
    classifier = model[0]
    classifier.config.num_labels = classes = int(pictures["train"][1].max()) + 1
    classifier.classifier = torch.nn.Linear(classifier.config.hidden_size, classes)
    start_head(classifier, found["train"][:, : classifier.config.hidden_size], parts["train"].labels)
    for way in (way for way in ways if way != "probe"):
        result = fine_tune(args, classifier, encryption, parts, way, seed, rate=rate, layer_decay=decay)
        result |= {"accuracy": result["curve"][-1], "learning_rate": rate, "told": told}
        result["bf16"] = args.bf16
        record(args, {**wanted[way], "test": args.test, **result})


def record(args: argparse.Namespace, result: dict) -> None:
    add_result(args.results, result)
    print({name: result[name] for name in (*KEY, "accuracy", "cpu_seconds", "told")}, flush=True)


def rendered(results: list[dict]) -> str:
    """One line for each setting and start, one column a way; mean and spread over the seeds."""
    rows, test = [], [run for run in results if run["evaluated_on"] == "test"]
    trains, epochs = (sorted({run[part] for run in test}) for part in ("train", "epochs"))
    orders = (list(DATA), trains, epochs, [16, 8], SETTINGS, WEIGHTS)
    places = {tuple(run[part] for part in PLACE) for run in test}
    for place in sorted(places, key=lambda one: [*map(_position, orders, one), *one[-2:]]):
        data, train, times, patch, name, weights, steps, public = place
        runs = [run for run in test if tuple(run[part] for part in PLACE) == place]
        start = weights.replace("_", " ")
        told = f"{start}, {steps} steps, {public} pictures" if steps else start
        rows.append([DATA[data], train, times, patch, name, told, *_scores(runs)])
    if not rows:
        return "No row is stored yet."
    heads = ["pictures", "trained on", "epochs", "patches", "images", "weights", *COLUMNS]
    return table([*heads, "best run gained in last epoch", "seeds"], rows)


def _position(order: Sequence, one: object) -> int:
    return order.index(one) if one in order else len(order)


def _scores(runs: list[dict]) -> list[str | int]:
    cells: list[str | int] = []
    for way, falls in COLUMNS.values():
        found = [
            100 * run["accuracy"]
            for run in runs
            if run["way"] == way and falls == ((run["layer_decay"] or 1) < 1)
        ]
        cells.append(mean_and_deviation(found, 1) if found else "")
    fully = [run for run in runs if run["way"] == "full"]
    best = max((run["accuracy"] for run in fully), default=None)
    gains = [100 * (run["curve"][-1] - run["curve"][-2]) for run in fully if run["accuracy"] == best]
    return [*cells, f"{np.mean(gains):+.1f}" if gains else "", len({run["seed"] for run in runs})]


def main() -> None:
    args = parse_arguments()
    disable_progress_bars()
    if not args.report:
        pictures = load_pictures(args)
        for seed in args.seeds:  # seeds outermost: if time runs out, every row has the same number of them
            for weights in args.starts:
                for name in args.only or SETTINGS:
                    measure(args, name, weights, seed, pictures)
    publish(MARK, rendered(load_results(args.results)), args.results)


if __name__ == "__main__":
    main()
