"""What training without labels brings on encrypted pictures: EuroSAT, few labels, with and without it.

    python benchmarks/accuracy/pretraining.py --data_dir ../shared/data

A PEViT first tells, on all 6,000 encrypted tiles and without a label, which patches were taken from another
tile (`PEViTForPreTraining`); then it learns the classes from a few labelled ones, beside one that starts from
nothing, with the same number of steps for both. Writes `benchmarks/results/pretraining.json` as results come,
and the table in docs/results.md. The setting is the preset "classification". Some minutes of one core.
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
from benchmarks.harness.pages import publish
from benchmarks.harness.results_file import load_results, save_results
from benchmarks.harness.tables import mean_and_deviation, table
from hipmr_hf import Encryption, PEViTForImageClassification, PEViTForPreTraining
from hipmr_hf.training.classification import pevit_config_for

MARK = "pretraining"
CLASSES, BATCH, CHUNK = 10, 64, 250
STARTS = ("nothing", "foreign patches told")


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(__doc__, results=MARK, report="the table")
    parser.add_argument("--tiles", type=int, default=6000, help="without labels")
    parser.add_argument("--tests", type=int, default=1500)
    parser.add_argument("--labels", type=int, nargs="+", default=[250, 1000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--pretraining_epochs", type=int, default=6)
    parser.add_argument("--steps", type=int, default=300, help="of training with labels")
    parser.add_argument("--learning_rate", type=float, default=1e-3)
    return parser.parse_args()


def encrypted(encryption: Encryption, args: argparse.Namespace, split: str, count: int):
    plain, labels = eurosat(args.data_dir, split, count)
    rows = encryption.encrypt_batch(np.stack([encryption.prepare(tile) for tile in plain]))
    return torch.from_numpy(rows).permute(0, 3, 1, 2), torch.from_numpy(labels)


def pixels(rows: torch.Tensor) -> torch.Tensor:
    return rows.float() / 127.5 - 1


def train(model: torch.nn.Module, steps: int, learning_rate: float, loss_of) -> float:
    """AdamW with a warm-up and a cosine; returns the seconds of the processor."""
    started = time.process_time()
    optimizer = torch.optim.AdamW(model.parameters(), learning_rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, max(steps, 2), pct_start=0.1)
    model.train()
    for _ in range(steps):
        loss_of(model).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return time.process_time() - started


@torch.no_grad()
def accuracy(model: PEViTForImageClassification, rows: torch.Tensor, labels: torch.Tensor) -> float:
    model.eval()
    right = [
        (model(pixel_values=pixels(part)).logits.argmax(1) == known).float()
        for part, known in zip(rows.split(CHUNK), labels.split(CHUNK), strict=True)
    ]
    return torch.cat(right).mean().item()


@torch.no_grad()
def told(model: PEViTForPreTraining, rows: torch.Tensor) -> float:
    """Share of foreign ones among the patches of unseen tiles that look most foreign, as many as are."""
    model.eval()
    outputs = [model(pixels(part)) for part in rows.split(CHUNK)]
    scores = torch.cat([output.logits.flatten() for output in outputs])
    foreign = torch.cat([output.foreign_patches.flatten() for output in outputs])
    return foreign[scores.topk(int(foreign.sum())).indices].float().mean().item()


def run(args: argparse.Namespace, encryption: Encryption, seed: int, results: list[dict]) -> None:
    """Train once without labels, and from there and from nothing with each number of labels."""
    rows, labels = encrypted(encryption, args, "train_6k", args.tiles)
    test, test_labels = encrypted(encryption, args, "test_1500", args.tests)
    config = pevit_config_for(encryption, "tiny", **SIZE, position_encoding="none", num_labels=CLASSES)
    torch.manual_seed(seed)
    teacher = PEViTForPreTraining(config)
    steps = args.pretraining_epochs * (len(rows) // BATCH)
    seconds = train(
        teacher,
        steps,
        args.learning_rate,
        lambda model: model(pixels(rows[torch.randint(len(rows), (BATCH,))])).loss,
    )
    found = told(teacher, test)
    print(f"seed {seed}: {found:.3f} of the foreign patches told after {seconds:.0f} CPU s", flush=True)
    for count in args.labels:
        for start in STARTS:
            torch.manual_seed(seed)
            model = PEViTForImageClassification(config)
            if start != "nothing":
                model.pevit.load_state_dict(teacher.pevit.state_dict())
            chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:count]

            def loss_of(model, chosen=chosen):
                batch = chosen[torch.randint(len(chosen), (BATCH,))]
                logits = model(pixel_values=pixels(rows[batch])).logits
                return torch.nn.functional.cross_entropy(logits, labels[batch], label_smoothing=0.1)

            spent = train(model, args.steps, args.learning_rate, loss_of)
            results.append(
                {
                    "start": start,
                    "labels": count,
                    "seed": seed,
                    "accuracy": accuracy(model, test, test_labels),
                    "steps": args.steps,
                    "tiles": args.tiles,
                    "pretraining_epochs": args.pretraining_epochs,
                    "foreign_told": found,
                    "cpu_seconds": spent + (0 if start == "nothing" else seconds),
                }
            )
            print(results[-1], flush=True)
            save_results(args.results, results)


def rendered(results: list[dict]) -> str:
    """Render the mean and the spread over the seeds that were trained."""
    rows = []
    for count in sorted({one["labels"] for one in results}):
        for start in STARTS:
            runs = [one for one in results if (one["labels"], one["start"]) == (count, start)]
            if runs:
                scores = mean_and_deviation([100 * one["accuracy"] for one in runs], 1)
                seconds = round(float(np.mean([one["cpu_seconds"] for one in runs])))
                rows.append([count, start, scores, len(runs), seconds])
    if not rows:
        return "No row is stored yet."
    return table(["labelled tiles", "starts from", "test accuracy, %", "seeds", "CPU s"], rows)


def main() -> None:
    args = parse_arguments()
    if not args.report:
        results: list[dict] = []
        for seed in args.seeds:
            run(args, Encryption.from_preset("classification", image_size=64), seed, results)
    publish(MARK, rendered(load_results(args.results)), args.results)


if __name__ == "__main__":
    main()
