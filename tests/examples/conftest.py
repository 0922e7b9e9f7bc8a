"""Small encrypted datasets and ways to run an example, as a user and in this process."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import disable_progress_bars
from example_helpers import ADAPTED, EXAMPLES, MIXING, SHUFFLING, digits
from PIL import Image

from hipmr_hf import encrypt_dataset, save_encrypted_dataset
from hipmr_hf.cli import main


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> dict[str, Path]:
    """Dataset folders: "plain", "rs", "mi"."""
    disable_progress_bars()
    root, plain = tmp_path_factory.mktemp("datasets"), digits()
    for split, rows in plain.items():
        rows.to_parquet(root / "plain" / "data" / f"{split}-00000-of-00001.parquet")
    for name, encryption in (("rs", SHUFFLING), ("mi", MIXING)):
        encrypted = encrypt_dataset(plain, encryption, keep_columns=["label", "teacher_logits"])
        save_encrypted_dataset(encrypted, encryption, root / name)
    return {name: root / name for name in ("plain", "rs", "mi")}


@pytest.fixture(scope="session")
def converted(tmp_path_factory) -> Path:
    """A tiny teacher, public pictures, and as "pevit" the teacher converted for ADAPTED."""
    from transformers import Dinov2Config, Dinov2Model

    root = tmp_path_factory.mktemp("adapt")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 7}
    Dinov2Model(Dinov2Config(**sizes, image_size=28, initializer_range=0.2)).save_pretrained(root / "teacher")
    (root / "public").mkdir()
    for index in range(32):
        pixels = np.random.default_rng(index).integers(0, 256, (6, 6, 3), np.uint8)
        picture = Image.fromarray(pixels).resize((40, 40), Image.Resampling.BICUBIC)
        picture.save(root / "public" / f"{index}.png")
    ADAPTED.save_pretrained(root / "data")
    command = ["convert", root / "teacher", "--encryption", root / "data", "--pictures", root / "public"]
    assert main([*map(str, command), "--output-dir", str(root / "pevit")]) == 0
    return root


@pytest.fixture(scope="session")
def launch(tmp_path_factory) -> Callable[..., subprocess.CompletedProcess]:
    """Run an example through `accelerate launch` on the CPU, with a Hugging Face home of its own."""
    home = tmp_path_factory.mktemp("hf_home")

    def run(script: str, *arguments: object, num_processes: int = 1, check: bool = True):
        # `accelerate launch --cpu` would silently run one process, whatever --num_processes says.
        kind = ["--multi_gpu"] if num_processes > 1 else []
        command = [
            sys.executable,
            "-m",
            "accelerate.commands.launch",
            *kind,
            "--num_processes",
            str(num_processes),
        ]
        command += ["--main_process_port", "0", str(EXAMPLES / script), *map(str, arguments)]
        environment = {
            **os.environ,
            "HF_HOME": str(home),
            "ACCELERATE_USE_CPU": "true",
            "OMP_NUM_THREADS": "1",
        }
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
        assert not check or done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        return done

    return run


@pytest.fixture
def example(monkeypatch, tmp_path) -> Callable[[str], object]:
    """Import an example as a module, to run it in this process."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets_cache"))
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")

    def load(script: str) -> object:
        spec = importlib.util.spec_from_file_location(f"example_{Path(script).stem}", EXAMPLES / script)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    return load
