"""What training without labels brings on encrypted pictures: EuroSAT, few labels, with and without it.

    python benchmarks/accuracy/pretraining.py --data_dir ../shared/data

A PEViT (`PEViTForPreTraining`) first tells, on encrypted tiles and without a label, which patches were taken
from another tile, or, where patches keep their places, where each stands; then it learns the classes from a
few labelled ones, beside one that starts from nothing, with the same number of steps for both. Writes
`benchmarks/results/pretraining.json` as results come (a started table is gone on with), and the table in
docs/results.md. Settings: the preset "classification", and mixing-up. About 12 minutes of one core a seed.
With `--validation` a tenth of the training tiles is evaluated on, and not trained on; so the rate of the
training with labels was chosen, `--learning_rates 5e-4 1e-3 2e-3`, for every start alike.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.accuracy.eurosat import SIZE
from benchmarks.attacks.linkage import eurosat
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import ROOT, publish
from benchmarks.harness.results_file import add_result, load_results
from benchmarks.harness.settings import mixing
from benchmarks.harness.tables import mean_and_deviation, table
from hipmr_hf import Encryption, PEViTForImageClassification, PEViTForPreTraining
from hipmr_hf.training.classification import pevit_config_for
from hipmr_hf.training.pretraining import build_pretrainer

MARK = "pretraining"
CLASSES, BATCH, CHUNK = 10, 64, 250
SETTINGS: dict[str, Encryption] = {
    "preset classification": Encryption.from_preset("classification", image_size=64),
    "MI": mixing(image_size=64, patch_size=8),
}
TASKS = {"nothing": None, "foreign patches told": "foreign", "places told": "places"}
FIT = {"rs": (None, "foreign"), "mi": (None, "places")}  # where order is gone, and where it stands
PLACE = ("setting", "labels", "steps", "start")
KEY = (*PLACE, "seed", "evaluated_on", "learning_rate")


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(__doc__, results=MARK, only="names of settings", report="the table")
    parser.add_argument("--output_dir", type=Path, default=ROOT / "outputs" / MARK)
    parser.add_argument("--starts", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--tiles", type=int, default=6000, help="without labels")
    parser.add_argument("--tests", type=int, default=1500)
    parser.add_argument("--labels", type=int, nargs="+", default=[500])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--pretraining_epochs", type=int, default=6)
    parser.add_argument("--steps", type=int, default=200, help="of training with labels")
    parser.add_argument("--learning_rates", type=float, nargs="+", default=[2e-3], help="with labels")
    parser.add_argument("--pretraining_rate", type=float, default=1e-3)
    parser.add_argument("--validation", action="store_true", help="evaluate on a tenth of the training tiles")
    return parser.parse_args()


def encrypted(encryption: Encryption, args: argparse.Namespace, split: str, count: int):
    plain, labels = eurosat(args.data_dir, split, count)
    rows = encryption.encrypt_batch(np.stack([encryption.prepare(tile) for tile in plain]))
    return torch.from_numpy(rows).permute(0, 3, 1, 2), torch.from_numpy(labels)


def shares(count: int) -> list[int]:
    """Tell how many of the training tiles are trained on, and how many validated on: the last tenth."""
    return [count - count // 10, count // 10]


def pixels(rows: torch.Tensor) -> torch.Tensor:
    return rows.float() / 127.5 - 1


def train(model: torch.nn.Module, steps: int, learning_rate: float, loss_of, measure) -> list[float]:
    """AdamW with a warm-up and a cosine; returns what was measured after two thirds and at the end."""
    optimizer = torch.optim.AdamW(model.parameters(), learning_rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, max(steps, 2), pct_start=0.1)
    curve = []
    for step in range(1, steps + 1):
        loss_of(model.train()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step in (2 * steps // 3, steps):
            with torch.no_grad():
                curve.append(measure(model.eval()))
    return curve


def accuracy(model: PEViTForImageClassification, rows: torch.Tensor, labels: torch.Tensor) -> float:
    right = [
        (model(pixel_values=pixels(part)).logits.argmax(1) == known).float()
        for part, known in zip(rows.split(CHUNK), labels.split(CHUNK), strict=True)
    ]
    return torch.cat(right).mean().item()


def told(model: PEViTForPreTraining, rows: torch.Tensor) -> float:
    """Share of foreign ones among the patches that look most foreign, as many as are; or of places told."""
    outputs = [model(pixels(part)) for part in rows.split(CHUNK)]
    if model.tells_places:
        places = torch.cat([output.logits.argmax(2) for output in outputs])
        return (places == torch.arange(places.shape[1])).float().mean().item()
    scores = torch.cat([output.logits.flatten() for output in outputs])
    foreign = torch.cat([output.foreign_patches.flatten() for output in outputs])
    return foreign[scores.topk(int(foreign.sum())).indices].float().mean().item()


def pretrained(args: argparse.Namespace, name: str, task: str, seed: int, rows, test) -> tuple[dict, dict]:
    """Train without labels, once; returns the weights, and what is told of them."""
    encryption = SETTINGS[name]
    slug = f"{name}_{task}_{seed}_{len(rows)}_{args.pretraining_epochs}".replace(" ", "_")
    file = args.output_dir / f"{slug}.pt"
    if not file.exists():
        torch.manual_seed(seed)
        model, _ = build_pretrainer(encryption, tuple(rows.shape[2:]), task=task, size="tiny", **_sizes(name))
        started = time.process_time()
        curve = train(
            model,
            args.pretraining_epochs * (len(rows) // BATCH),
            args.pretraining_rate,
            lambda model: model(pixels(rows[torch.randint(len(rows), (BATCH,))])).loss,
            lambda model: told(model, test),
        )
        about = {"told": curve, "cpu_seconds": time.process_time() - started}
        print(f"{name}, {task}, seed {seed}: {about}", flush=True)
        args.output_dir.mkdir(parents=True, exist_ok=True)
        torch.save({"weights": model.pevit.state_dict(), "about": about}, file)
    saved = torch.load(file, weights_only=True)
    return saved["weights"], saved["about"]


def _sizes(name: str) -> dict:
    return {**SIZE, "position_encoding": "none"} if SETTINGS[name].strategy == "rs" else SIZE


def run(args: argparse.Namespace, name: str, seed: int) -> None:
    """Train from every start with each number of labels, unless there is a result."""
    done = {tuple(one[part] for part in KEY) for one in load_results(args.results)}
    evaluated_on = "validation" if args.validation else "test"
    todo = [
        (start, count, rate)
        for start in args.starts
        for count in args.labels
        for rate in args.learning_rates
        if (name, count, args.steps, start, seed, evaluated_on, rate) not in done
        and TASKS[start] in FIT[SETTINGS[name].strategy]
    ]
    if not todo:
        return
    rows, labels = encrypted(SETTINGS[name], args, "train_6k", args.tiles)
    if args.validation:
        (rows, test), (labels, test_labels) = (whole.split(shares(len(rows))) for whole in (rows, labels))
    else:
        test, test_labels = encrypted(SETTINGS[name], args, "test_1500", args.tests)
    config = pevit_config_for(SETTINGS[name], "tiny", **_sizes(name), num_labels=CLASSES)
    for start, count, rate in todo:
        weights, about, task = None, {}, TASKS[start]
        if task is not None:
            weights, about = pretrained(args, name, task, seed, rows, test)
        torch.manual_seed(seed)
        model = PEViTForImageClassification(config)
        if weights is not None:
            model.pevit.load_state_dict(weights, strict=False)  # positions are new where places were told
        chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:count]

        def loss_of(model, chosen=chosen):
            batch = chosen[torch.randint(len(chosen), (BATCH,))]
            logits = model(pixel_values=pixels(rows[batch])).logits
            return torch.nn.functional.cross_entropy(logits, labels[batch], label_smoothing=0.1)

        started = time.process_time()
        curve = train(model, args.steps, rate, loss_of, lambda model: accuracy(model, test, test_labels))
        result = {"setting": name, "start": start, "labels": count, "seed": seed, "accuracy": curve[-1]}
        result |= {
            "evaluated_on": evaluated_on,
            "learning_rate": rate,
            "curve": curve,
            "steps": args.steps,
            "tiles": args.tiles,
            "pretraining": about,
        }
        result |= {"pretraining_epochs": 0 if task is None else args.pretraining_epochs}
        seconds = time.process_time() - started + about.get("cpu_seconds", 0)
        add_result(args.results, result | {"cpu_seconds": seconds})
        print(result, flush=True)


def rendered(results: list[dict]) -> str:
    """Render the mean and the spread over the seeds that were trained."""
    rows, results = [], [one for one in results if one["evaluated_on"] == "test"]
    order = list(TASKS)
    places = {tuple(one[part] for part in PLACE) for one in results}
    for place in sorted(places, key=lambda at: (at[0] == "MI", *at[1:3], order.index(at[3]))):
        runs = [one for one in results if tuple(one[part] for part in PLACE) == place]
        scores = mean_and_deviation([100 * one["accuracy"] for one in runs], 1)
        gained = np.mean([100 * (one["curve"][-1] - one["curve"][0]) for one in runs])
        told = [100 * one["pretraining"]["told"][-1] for one in runs if one["pretraining"]]
        seconds = round(float(np.mean([one["cpu_seconds"] for one in runs])))
        cells = [mean_and_deviation(told, 0) if told else "", scores, f"{gained:+.1f}"]
        rows.append([*place, *cells, len(runs), seconds])
    if not rows:
        return "No row is stored yet."
    heads = ["pictures", "labelled tiles", "labelled steps", "starts from", "told, %", "test accuracy, %"]
    return table([*heads, "gained in last third", "seeds", "CPU s"], rows)


def main() -> None:
    args = parse_arguments()
    if not args.report:
        for seed in args.seeds:
            for name in args.only or SETTINGS:
                run(args, name, seed)
    publish(MARK, rendered(load_results(args.results)), args.results)


if __name__ == "__main__":
    main()
