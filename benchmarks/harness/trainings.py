"""Train with the scripts of `examples/`, each in a process of its own, setting by setting, seed by seed."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from datasets import load_dataset

from hipmr_hf import Encryption, encrypt_dataset, save_encrypted_dataset

from .pages import ROOT
from .results_file import add_result, load_results

ONE_CORE = {
    "attn_implementation": "eager",
    "report_to": "none",
    "save_strategy": "no",
    "logging_strategy": "epoch",
}
RECIPE = {"weight_decay": 0.05, "lr_scheduler_type": "cosine", "max_grad_norm": 1.0, "eval_strategy": "steps"}
EUROSAT = {"train": "eurosat_train_6k", "test": "eurosat_test_1500"}


def add_training_arguments(
    parser: argparse.ArgumentParser,
    *,
    output: str,
    epochs: int,
    script: str,
    validation: str,
    seeds: int = 2,
) -> None:
    """Add what a table of trainings may vary.

    Args:
        parser: of the script.
        output: folder below `outputs/`.
        epochs: the default.
        script: that `--extra` goes to.
        validation: what `--validation` evaluates on.
        seeds: how many by default.
    """
    parser.add_argument("--output_dir", type=Path, default=ROOT / "outputs" / output)
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(seeds)))
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, one core each")
    parser.add_argument("--validation", action="store_true", help=f"evaluate on {validation}")
    parser.add_argument("--extra", nargs="+", default=[], help=f"name=value for {script}")


def parquet_files(data_dir: Path, names: dict[str, str]) -> dict[str, str]:
    """Return the Parquet file of each split."""
    return {split: str(data_dir / f"{name}.parquet") for split, name in names.items()}


def encrypt_once(files: dict[str, str], encryption: Encryption, folder: Path, **options: Any) -> None:
    """Encrypt Parquet files as a stream, with options of `encrypt_dataset`, unless the folder is there."""
    if not folder.exists():
        plain = load_dataset("parquet", data_files=files, streaming=True)
        save_encrypted_dataset(encrypt_dataset(plain, encryption, **options), encryption, folder)


def run_folder(args: argparse.Namespace, setting: str, seed: int) -> Path:
    """Return a new folder for a run."""
    named = f"{setting}_{seed}_{args.epochs}_{args.validation}"
    slug = "".join(letter if letter.isalnum() else "_" for letter in named)
    return args.output_dir / "runs" / f"{slug}_{time.time_ns()}"


def run_example(script: str, options: dict[str, Any], extra: Iterable[str] = ()) -> tuple[dict, list[dict]]:
    """Run a training script on one core.

    Args:
        script: in `examples/`.
        options: its arguments; `output_dir` is one of them.
        extra: more arguments, as "name=value", which win.

    Returns:
        The metrics, and the log.
    """
    options = options | dict(item.split("=", 1) for item in extra)
    command = [sys.executable, str(ROOT / "examples" / script)]
    command += ["--do_train", "--do_eval", "--use_cpu", "--bf16", "--disable_tqdm", "true"]
    for name, value in options.items():
        command += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{script}, {options}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    metrics = json.loads((options["output_dir"] / "all_results.json").read_text())
    state = json.loads((options["output_dir"] / "trainer_state.json").read_text())
    return metrics, state["log_history"]


def curve(history: list[dict], score: str) -> dict[int, float]:
    """Return a score by epoch."""
    return {round(entry["epoch"]): entry[score] for entry in history if score in entry}


def train_missing(
    args: argparse.Namespace, settings: list[str], train: Callable[[str, int], dict], score: str
) -> None:
    """Train every setting with every seed that has no result yet, and add each result as it comes."""
    done = {(run["setting"], run["seed"]) for run in load_results(args.results)}
    # Seeds outermost: if time runs out, every setting has the same number of them.
    todo = [(setting, seed) for seed in args.seeds for setting in settings if (setting, seed) not in done]
    with ThreadPoolExecutor(args.jobs) as pool:
        for result in pool.map(lambda job: train(*job), todo):
            add_result(args.results, result)
            print(
                f"{result['setting']}, seed {result['seed']}: {score} {result[score]:.3f} "
                f"({result['train_seconds']:.0f} s)",
                flush=True,
            )
