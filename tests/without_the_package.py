"""Run code in a process of its own that has transformers but cannot import this package."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor

from hipmr_hf import Encryption

BLOCK = """
import importlib.abc, os, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == "hipmr_hf":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
try:
    import hipmr_hf
except ModuleNotFoundError:
    pass
else:
    sys.exit("the package is not blocked")
"""
"""What such a process begins with."""


_ANSWERS = """
import json, torch, transformers
from PIL import Image

told = {}
for folder, auto_class in json.loads(sys.argv[1]).items():
    trusting = {"trust_remote_code": True}
    model = getattr(transformers, auto_class).from_pretrained(folder, **trusting).eval()
    assert type(model).__module__.startswith("transformers_modules."), type(model)
    processor = transformers.AutoImageProcessor.from_pretrained(folder, **trusting)
    sent = [Image.open(f"{folder}/sent-{number}.png") for number in range(2)]
    inputs = processor(sent, return_tensors="pt")
    torch.manual_seed(0)
    with torch.no_grad():
        outputs = model(**inputs)
    told[folder] = {name: outputs[name].tolist() for name in ("logits", "pred_boxes") if name in outputs}
print(json.dumps(told))
"""


def assert_answers_alike(asked: dict[Path, type], picture: Image.Image, home: Path) -> None:
    """Ask checkpoints in a process of its own that has not the package, and here, about two plain pictures.

    Args:
        asked: folder of a checkpoint with its settings, and the auto class that loads it.
        picture: encrypted for each of them; the other one is the same, upside down.
        home: as in `run_without_the_package`.
    """
    for folder in asked:
        for number, plain in enumerate((picture, picture.rotate(180))):
            Encryption.from_pretrained(folder)(plain).save(folder / f"sent-{number}.png")
    names = json.dumps({str(folder): auto_class.__name__ for folder, auto_class in asked.items()})
    told = json.loads(run_without_the_package(_ANSWERS, home, names).splitlines()[-1])
    for folder, auto_class in asked.items():
        processor = AutoImageProcessor.from_pretrained(folder)
        model = auto_class.from_pretrained(folder).eval()
        sent = [Image.open(folder / f"sent-{number}.png") for number in range(2)]
        inputs = processor(sent, return_tensors="pt")
        torch.manual_seed(0)
        with torch.no_grad():
            outputs = model(**inputs)
        assert "logits" in told[str(folder)]
        for name, values in told[str(folder)].items():
            np.testing.assert_allclose(values, outputs[name].numpy(), atol=1e-5)


def run_without_the_package(code: str, home: Path, *arguments: object) -> str:
    """Return what the code printed.

    Args:
        code: of the process; `sys.argv[1:]` are the arguments.
        home: folder that transformers may write to.
        arguments: handed over as text.
    """
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", BLOCK + textwrap.dedent(code), *map(str, arguments)]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=280, check=False, env=environment
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout
