"""What each encryption costs in accuracy on EuroSAT: same model size, budget and augmentation for every row.

    python benchmarks/eurosat_accuracy.py --data_dir ../shared/data --epochs 25 --seeds 0 1

Runs `examples/run_image_classification.py` once per setting and seed, writes each result to
`benchmarks/results/eurosat_accuracy.json` as it comes (a started table is gone on with), then the table in
README and the learning curves. Settings of the recipe were chosen with `--validation`, which trains on 90 %
of the training images and evaluates on the others; the test images play no part in that.
"""

import argparse
import dataclasses
import json
import math
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from datasets import disable_progress_bars, load_dataset
from pages import tell
from results_file import add_result, load_results

from hipmr_hf import Encryption, MixingUp, RandomShuffling, encrypt_dataset, save_encrypted_dataset

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "eurosat_accuracy.json"
CURVES = ROOT / "docs" / "images" / "eurosat_curves.png"
EVAL_EPOCHS = 5
SIZE = {"hidden_size": 96, "num_hidden_layers": 4, "num_attention_heads": 3}


@dataclasses.dataclass(frozen=True)
class Setting:
    """One row of the table: a model on images encrypted in one way (None: plain)."""

    name: str
    data: str
    encryption: Encryption | None
    arguments: dict = dataclasses.field(default_factory=dict)


def _rs(**knobs) -> RandomShuffling:
    return RandomShuffling(image_size=64, patch_size=8, **knobs)


HARDENED = {"sub_patch_grid": 2, "sub_patch_symmetries": True, "patch_normalization": True}
MI = MixingUp(image_size=64, patch_size=8)
NO_RPE = {"position_encoding": "none"}
SETTINGS = [
    Setting("plain images, ViT", "plain", None, {"baseline": "vit", "image_size": 64, "patch_size": 8}),
    Setting("RS, PEViT with RPE", "rs", _rs()),
    Setting("RS, PEViT without RPE", "rs", _rs(), NO_RPE),
    Setting("RS interval 2, PEViT without RPE", "rs_interval2", _rs(interval=2), NO_RPE),
    Setting("RS drop .5, PEViT without RPE", "rs_drop50", _rs(drop_ratio=0.5), NO_RPE),
    Setting("MI, ViT", "mi", MI, {"baseline": "vit"}),
    Setting("MI, PEViT", "mi", MI),
    Setting("RS+MI, PEViT without RPE", "rs_mi", _rs(sub_patch_grid=2), NO_RPE),
    Setting("RS+MI, symmetries, normalization, PEViT without RPE", "rs_mi_hardened", _rs(**HARDENED), NO_RPE),
]  # fmt: skip


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--output_dir", type=Path, default=ROOT / "outputs" / "eurosat")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--learning_rate", type=float, default=1e-3)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", nargs="+", help="names of settings; default all")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, one core each")
    parser.add_argument("--validation", action="store_true", help="evaluate on 10 %% of the training images")
    parser.add_argument("--extra", nargs="+", default=[], help="name=value for run_image_classification.py")
    parser.add_argument("--report", action="store_true", help="only render the table and the curves")
    return parser.parse_args()


def prepare_data(setting: Setting, args: argparse.Namespace) -> Path:
    """Encrypt EuroSAT once per setting, as a stream; for the plain rows its files are linked."""
    folder = args.output_dir / "data" / setting.data
    sources = {split: args.data_dir / f"eurosat_{name}.parquet" for split, name in
               (("train", "train_6k"), ("test", "test_1500"))}  # fmt: skip
    if folder.exists():
        return folder
    if setting.encryption is None:
        (folder / "data").mkdir(parents=True)
        for split, source in sources.items():
            (folder / "data" / f"{split}-00000-of-00001.parquet").symlink_to(source.resolve())
        return folder
    plain = load_dataset("parquet", data_files={k: str(v) for k, v in sources.items()}, streaming=True)
    save_encrypted_dataset(encrypt_dataset(plain, setting.encryption), setting.encryption, folder)
    return folder


def options_of(setting: Setting, seed: int, args: argparse.Namespace) -> dict:
    """Return the arguments of one training, the same for every setting but for its own."""
    slug = "".join(
        c if c.isalnum() else "_" for c in f"{setting.name}_{seed}_{args.epochs}_{args.validation}"
    )
    epoch = math.ceil(6000 * (0.9 if args.validation else 1) / args.batch_size)  # steps
    return {
        **SIZE,
        **setting.arguments,
        "dataset_name": args.output_dir / "data" / setting.data,
        "output_dir": args.output_dir / "runs" / f"{slug}_{time.time_ns()}",
        "num_train_epochs": args.epochs,
        "per_device_train_batch_size": args.batch_size,
        "per_device_eval_batch_size": 250,
        "learning_rate": args.learning_rate,
        "weight_decay": 0.05,
        "lr_scheduler_type": "cosine",
        "warmup_steps": int(0.1 * args.epochs * epoch),
        "max_grad_norm": 1.0,
        "label_smoothing_factor": 0.1,
        "drop_path_rate": 0.0,
        "turns": "symmetries",
        "attn_implementation": "eager",
        "eval_strategy": "steps",
        "eval_steps": EVAL_EPOCHS * epoch,
        "logging_strategy": "epoch",
        "save_strategy": "no",
        "report_to": "none",
        "seed": seed,
        **({"validation_size": 0.1} if args.validation else {}),
        **dict(item.split("=", 1) for item in args.extra),
    }


def train(setting: Setting, seed: int, args: argparse.Namespace) -> dict:
    """Run one training in a process of its own, on one core."""
    options = options_of(setting, seed, args)
    command = [sys.executable, str(ROOT / "examples" / "run_image_classification.py")]
    command += ["--do_train", "--do_eval", "--use_cpu", "--bf16", "--disable_tqdm", "true"]
    command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{setting.name}, seed {seed}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    metrics = json.loads((options["output_dir"] / "all_results.json").read_text())
    history = json.loads((options["output_dir"] / "trainer_state.json").read_text())["log_history"]
    return {
        "setting": setting.name,
        "seed": seed,
        "epochs": args.epochs,
        "learning_rate": args.learning_rate,
        "extra": args.extra,
        "evaluated_on": "validation" if args.validation else "test",
        "accuracy": metrics["eval_accuracy"],
        "train_seconds": metrics["train_runtime"],
        "num_parameters": metrics["num_parameters"],
        "curve": {
            round(entry["epoch"]): entry["eval_accuracy"] for entry in history if "eval_accuracy" in entry
        },
        "train_loss": [entry["loss"] for entry in history if "loss" in entry],
    }


def table(results: list[dict]) -> str:
    """Render the mean and the spread over seeds as a Markdown table."""
    lines = [
        f"| images and model | test accuracy, % | seeds | gained in last {EVAL_EPOCHS} epochs | parameters |",
        "|---|---|---|---|---|",
    ]
    for setting in SETTINGS:
        runs = [run for run in results if run["setting"] == setting.name]
        if not runs:
            continue
        scores = np.array([100 * run["accuracy"] for run in runs])
        gained = np.mean([100 * np.diff(list(run["curve"].values()))[-1] for run in runs])
        spread = f" ± {scores.std(ddof=1):.1f}" if len(scores) > 1 else ""
        lines.append(
            f"| {setting.name} | {scores.mean():.1f}{spread} | {len(scores)} | {gained:+.1f} | "
            f"{runs[0]['num_parameters']:,} |"
        )
    return "\n".join(lines)


def draw_curves(results: list[dict], path: Path) -> None:
    """Draw the mean accuracy against the epochs, one line per setting."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    for index, setting in enumerate(SETTINGS):
        curves = [run["curve"] for run in results if run["setting"] == setting.name]
        if curves:
            mean = 100 * np.mean([list(curve.values()) for curve in curves], axis=0)
            epochs = [int(epoch) for epoch in curves[0]]
            axes.plot(epochs, mean, "-" if index % 2 else "--", label=f"{setting.name}: {mean[-1]:.1f}")
    axes.set(
        xlabel="epoch", ylabel="test accuracy, %", ylim=(50, None), title="EuroSAT, 6,000 training images"
    )
    axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> None:
    args = parse_arguments()
    disable_progress_bars()
    chosen = [setting for setting in SETTINGS if not args.only or setting.name in args.only]
    if not args.report:
        done = {(run["setting"], run["seed"]) for run in load_results(args.results)}
        for setting in chosen:
            prepare_data(setting, args)
        # Seeds outermost: if time runs out, every setting has the same number of them.
        todo = [(s, seed) for seed in args.seeds for s in chosen if (s.name, seed) not in done]
        with ThreadPoolExecutor(args.jobs) as pool:
            for result in pool.map(lambda job: train(*job, args), todo):
                add_result(args.results, result)
                print(f"{result['setting']}, seed {result['seed']}: {100 * result['accuracy']:.1f} % "
                      f"({result['train_seconds']:.0f} s)", flush=True)  # fmt: skip
    results = load_results(args.results)
    print(table(results))
    if args.results == RESULTS:
        tell("eurosat_accuracy", table(results))
        draw_curves(results, CURVES)


if __name__ == "__main__":
    main()
