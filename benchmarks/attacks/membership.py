"""Who was trained on: membership attacks on PEViT, trained on EuroSAT tiles with and without privacy.

    python benchmarks/attacks/membership.py --data_dir ../shared/data

Each model trains on half of a pool of tiles; each tile is in about half of the training sets. Every model
is attacked in turn (LiRA, `hipmr_hf.attacks.membership`), and the others are the attacker's shadow models,
trained alike. The candidates are the encrypted rows themselves, as the published dataset has them, or the
same pictures encrypted afresh, as somebody has them who holds the plain picture. With privacy: DP-SGD at
epsilon 8. Writes `benchmarks/results/membership.json` and its table in docs/attacks.md; logits and models'
training sets stay in `--output_dir`, so that a stopped run goes on. What an audit tells of membership goes to
`src/hipmr_hf/privacy_report/membership_figures.json`. `--validation 1e-3 2e-3 4e-3` attacks nobody: it trains
two models with each of these rates, and tells how they do on tiles that are neither in the pool nor in the
test; so the rates were chosen.
"""

import argparse
import dataclasses
import itertools
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.attacks.linkage import eurosat
from benchmarks.attacks.membership_table import MARK, figures, rendered, scored
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import ROOT, publish
from benchmarks.harness.results_file import load_results, save_results, stored
from hipmr_hf import Encryption, PEViTForImageClassification, RandomShuffling
from hipmr_hf.files import write_whole
from hipmr_hf.privacy_report.assets import FIGURES
from hipmr_hf.training.classification import pevit_config_for
from hipmr_hf.training.private import OneRowAPicture, PrivacyBudget, PrivateTraining

SIZE = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 192}
CLASSES, FRESH, BATCH = 10, 2, 50
VALIDATED = 2  # models with each rate
TRAININGS = {"none": False, "DP-SGD": True}
COMMON = {"image_size": 48, "patch_size": 8}
ENCRYPTIONS: dict[str, Encryption] = {
    "RS": RandomShuffling(**COMMON),
    "RS+MI, symmetries, tones apart": RandomShuffling(
        **COMMON, sub_patch_grid=2, sub_patch_symmetries=True, shuffle_tones=True
    ),
    "preset classification": Encryption.from_preset("classification", image_size=48),
}


@dataclasses.dataclass(frozen=True)
class Pool:
    """Tiles that may be trained on, and tiles to evaluate on, encrypted: uint8 (n, height, width, 3)."""

    rows: np.ndarray
    fresh: list[np.ndarray]
    labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(__doc__, results=MARK, only="encryptions", report="the table")
    parser.add_argument("--output_dir", type=Path, default=ROOT / "outputs" / "membership")
    parser.add_argument("--pool", type=int, default=1000, help="tiles, of which each model sees half")
    parser.add_argument("--tests", type=int, default=750)
    parser.add_argument("--models", type=int, default=5, help="each is the target once")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--private_epochs", type=int, default=12)
    parser.add_argument("--epsilon", type=float, default=8.0)
    parser.add_argument("--delta", type=float, default=1e-4)
    parser.add_argument("--learning_rate", type=float, default=2e-3)
    parser.add_argument("--private_learning_rate", type=float, default=1.6e-2)
    parser.add_argument("--trainings", nargs="+", choices=TRAININGS, default=list(TRAININGS))
    parser.add_argument("--validation", type=float, nargs="+", help="learning rates to choose from")
    return parser.parse_args()


def encrypted_pool(encryption: Encryption, args: argparse.Namespace) -> Pool:
    """Encrypt the pool once for training, and afresh for an attacker who holds the plain tiles.

    What the models are evaluated on are test tiles, or for a validation those behind the pool.
    """
    plain, labels = eurosat(args.data_dir, "train_6k", args.pool + args.tests)
    (plain, test), (labels, test_labels) = (np.split(whole, [args.pool]) for whole in (plain, labels))
    if not args.validation:
        test, test_labels = eurosat(args.data_dir, "test_1500", args.tests)
    plain, test = (np.stack([encryption.prepare(tile) for tile in tiles]) for tiles in (plain, test))
    rows, *fresh = (encryption.encrypt_batch(plain) for _ in range(1 + FRESH))
    return Pool(rows, fresh, labels, encryption.encrypt_batch(test), test_labels)


def training_sets(models: int, pool: int, seed: int = 0) -> np.ndarray:
    """Deal every tile to half of the models, one more or less where they are odd: bool (models, pool)."""
    order = np.random.default_rng(seed).random((models, pool)).argsort(axis=0)
    half = np.where(np.arange(pool) % 2, models // 2, (models + 1) // 2)
    return order < half


def pixels(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def loss_of(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return F.cross_entropy(model(pixel_values=batch["pixel_values"]).logits, batch["labels"])


def new_model(encryption: Encryption, seed: int) -> PEViTForImageClassification:
    """A PEViT without positions, whose invariant embedding reads all turns of a patch alike."""
    torch.manual_seed(seed)
    chosen = {"position_encoding": "none", "patch_embedding": "invariant", "num_labels": CLASSES}
    return PEViTForImageClassification(pevit_config_for(encryption, "tiny", **SIZE, **chosen)).train()


def train(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, args) -> None:
    """Train as people do who give no thought to privacy, with a warm-up and a cosine."""
    optimizer = torch.optim.AdamW(model.parameters(), args.learning_rate, weight_decay=0.05)
    steps = args.epochs * -(-len(labels) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.learning_rate, steps, pct_start=0.1)
    for _ in range(args.epochs):
        for chosen in torch.randperm(len(labels)).split(BATCH):
            loss_of(model, {"pixel_values": images[chosen], "labels": labels[chosen]}).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()


def train_privately(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, args) -> float:
    """Train by DP-SGD, a quarter of the tiles a step on average; returns the epsilon that was spent."""
    rows = [{"pixel_values": image, "labels": label} for image, label in zip(images, labels, strict=True)]
    records = OneRowAPicture(rows, list(np.arange(len(rows))[:, None]))
    budget = PrivacyBudget(args.epsilon, args.delta, steps=4 * args.private_epochs)
    optimizer = torch.optim.AdamW(model.parameters(), args.private_learning_rate, weight_decay=0.0)
    training = PrivateTraining(model, optimizer, records, budget, expected_batch_size=-(-len(rows) // 4))
    for _ in range(args.private_epochs):
        for _ in training.steps(loss_of, records_at_once=BATCH):
            pass
    training.close()
    return training.epsilon


@torch.no_grad()
def logits_of(model: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    model.eval()
    found = [model(pixel_values=pixels(part)).logits for part in np.array_split(images, len(images) // 100)]
    return torch.cat(found).numpy()


def trained(name: str, number: int, private: bool, pool: Pool, members: np.ndarray, args) -> tuple:
    """Train one model on its half of the pool; returns it, and the epsilon that was spent."""
    model = new_model(ENCRYPTIONS[name], seed=number)
    chosen = torch.from_numpy(np.flatnonzero(members))
    images, labels = pixels(pool.rows)[chosen], torch.from_numpy(pool.labels)[chosen]
    spent = train_privately(model, images, labels, args) if private else train(model, images, labels, args)
    return model, spent


def run(name: str, number: int, private: bool, pool: Pool, members: np.ndarray, args, path: Path) -> None:
    """Train one model on its half of the pool, and keep what it says about all of it."""
    started = time.process_time()
    model, spent = trained(name, number, private, pool, members, args)
    rows, test = logits_of(model, pool.rows), logits_of(model, pool.test)
    right = rows.argmax(1) == pool.labels
    fresh = np.stack([logits_of(model, images) for images in pool.fresh], axis=1)
    told = {
        "accuracy": (test.argmax(1) == pool.test_labels).mean(),
        "members_accuracy": right[members].mean(),
        "epsilon": np.inf if spent is None else spent,
        "cpu_seconds": time.process_time() - started,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, rows=rows, fresh=fresh, labels=pool.labels, members=members, **told)
    print(f"{path.stem}: {', '.join(f'{key} {value:.3f}' for key, value in told.items())}", flush=True)


def train_all(args: argparse.Namespace) -> None:
    """Train the models that are not there yet; those without privacy first."""
    members = training_sets(args.models, args.pool)
    chosen = {name: one for name, one in ENCRYPTIONS.items() if not args.only or name in args.only}
    pools = {name: encrypted_pool(encryption, args) for name, encryption in chosen.items()}
    for training in args.trainings:
        private = TRAININGS[training]
        for name, pool in pools.items():
            for number in range(args.models):
                path = run_path(args, name, private, number)
                if not path.exists():
                    run(name, number, private, pool, members[number], args, path)


def validate(args: argparse.Namespace) -> list[dict]:
    """Train two models with every rate that is asked for, and tell how they do on validation tiles."""
    members, found = training_sets(args.models, args.pool), []
    for name, encryption in ENCRYPTIONS.items():
        pool = encrypted_pool(encryption, args)
        for training, rate in itertools.product(args.trainings, args.validation):
            private = TRAININGS[training]
            args.learning_rate = args.private_learning_rate = rate
            accuracies = []
            for number in range(VALIDATED):
                model, _ = trained(name, number, private, pool, members[number], args)
                right = logits_of(model, pool.test).argmax(1) == pool.test_labels
                accuracies.append(round(float(right.mean()), 4))
            about = {"setting": name, "privacy": training, "learning_rate": rate}
            found.append(about | {"accuracy": accuracies})
            print(found[-1], flush=True)
    return found


def run_path(args: argparse.Namespace, name: str, private: bool, number: int) -> Path:
    slug = "".join(letter if letter.isalnum() else "_" for letter in name)
    return args.output_dir / f"{slug}_{'private' if private else 'open'}_{number}.npz"


def measure(args: argparse.Namespace) -> list[dict]:
    """Attack the models of every cell that is there whole; of others, keep what is stored."""
    known = load_results(args.results, "records") if args.results.exists() else []
    records = []
    for name in ENCRYPTIONS:
        for training, private in TRAININGS.items():
            paths = [run_path(args, name, private, number) for number in range(args.models)]
            about = {"setting": name, "privacy": training}
            if all(path.exists() for path in paths):
                records += scored(paths, about)
            else:
                records += [one for one in known if about.items() <= one.items()]
    return records


def main() -> None:
    args = parse_arguments()
    known = load_results(args.results) if args.results.exists() else {"records": [], "validation": []}
    if args.validation:
        save_results(args.results, {**known, "validation": [*known["validation"], *validate(args)]})
    elif not args.report:
        train_all(args)
        told = {name: value for name, value in vars(args).items() if isinstance(value, (int, float))}
        save_results(args.results, {**known, "arguments": told, "records": measure(args)})
    known = load_results(args.results)
    records = known["records"]
    publish(MARK, rendered(known), args.results)
    if args.results == stored(MARK):
        write_whole(FIGURES, json.dumps(figures(records), indent=1) + "\n")


if __name__ == "__main__":
    main()
