"""Run a training script in a process of its own, and say now and then how far it is."""

import ast
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

_LINES = 10
"""Told of a whole training, or up to twice as many."""


def follow(
    command: Sequence[str], log: Path, *, epochs: float, metrics: Mapping[str, str], home: Path
) -> None:
    """Run a script that trains with Trainer, on one process, keeping what it prints.

    Args:
        command: the script and its arguments; `--logging_strategy epoch` lets it tell of each epoch.
        log: where all that it prints goes.
        epochs: how many there will be.
        metrics: in whose words to tell a logged figure, such as {"eval_accuracy": "accuracy"}.
        home: Hugging Face's cache for it.

    Raises:
        SystemExit: it failed; the end of the log is told.
    """
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--quiet", "--num_processes", "1", "--cpu"]
    options = ["--disable_tqdm", "true", "--report_to", "none"]
    environment = {"HF_HOME": str(home), "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(
            [*launch, *command, *options],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        _tell(process.stdout, file, epochs, metrics)
    if process.returncode:
        raise SystemExit(f"training failed; the end of {log}:\n{log.read_text(encoding='utf-8')[-2000:]}")


def _tell(lines: Iterable[str], log: TextIO, epochs: float, metrics: Mapping[str, str]) -> None:
    begun, told, seen = time.monotonic(), 0.0, {}
    every = max(1, epochs // _LINES)
    for line in lines:
        log.write(line)
        logged = _logged(line)
        epoch = logged.get("epoch", 0)
        if not epoch:
            continue
        seen = {**seen, **logged} if epoch == seen.get("epoch") else logged
        if epoch > told and epoch >= min(told + every, epochs) and metrics.keys() <= seen.keys():
            figures = ", ".join(f"{word} {seen[name]:.3f}" for name, word in metrics.items())
            seconds = time.monotonic() - begun
            print(f"  epoch {epoch:g} of {epochs:g}: {figures} ({seconds:.0f} s)", flush=True)
            told = epoch


def _logged(line: str) -> dict[str, float]:
    """Figures of a line that Trainer logged, which it writes as a dict of text.

    >>> _logged("{'loss': '2.31', 'epoch': '0.75'}"), _logged("training begins")
    ({'loss': 2.31, 'epoch': 0.75}, {})
    """
    if not line.startswith("{'"):
        return {}
    try:
        return {name: float(value) for name, value in ast.literal_eval(line).items()}
    except (ValueError, SyntaxError):  # something else that looks like it
        return {}
