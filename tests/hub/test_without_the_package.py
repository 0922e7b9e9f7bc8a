"""What was pushed over HTTP loads in a process that has transformers but not this package."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hub_server import HubServer
from PIL import Image

from hipmr_hf import (
    PEViTConfig,
    PEViTForImageClassification,
    PEViTImageProcessorPil,
    PEYolosConfig,
    PEYolosForObjectDetection,
    PEYolosImageProcessorPil,
)

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
MODELS = {
    "image-classification": (
        PEViTForImageClassification,
        PEViTConfig(**SIZES, patch_size=8, num_labels=3, initializer_range=0.2),
        PEViTImageProcessorPil(patch_size=8),
        "AutoModelForImageClassification",
    ),
    "object-detection": (
        PEYolosForObjectDetection,
        PEYolosConfig(**SIZES, num_detection_tokens=5, image_size=(32, 48), initializer_range=0.2),
        PEYolosImageProcessorPil(),
        "AutoModelForObjectDetection",
    ),
}

PUSH = """
import sys
from transformers import AutoImageProcessor
from hipmr_hf import PEViTForImageClassification, PEYolosForObjectDetection
kind, folder, repo = sys.argv[1:]
classes = {"image-classification": PEViTForImageClassification, "object-detection": PEYolosForObjectDetection}
classes[kind].from_pretrained(folder).push_to_hub(repo)
AutoImageProcessor.from_pretrained(folder).push_to_hub(repo)
"""

LOAD = """
import importlib.abc, json, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == "hipmr_hf":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
import torch, transformers
from PIL import Image
kind, auto_class, repo, picture = sys.argv[1:]
trusting = {"trust_remote_code": True}
processor = transformers.AutoImageProcessor.from_pretrained(repo, **trusting)
base = transformers.AutoModel.from_pretrained(repo, **trusting)
model = getattr(transformers, auto_class).from_pretrained(repo, **trusting)
with torch.no_grad():
    logits = model(**processor(Image.open(picture), return_tensors="pt")).logits
pipeline = transformers.pipeline(kind, model=repo, device="cpu", **trusting)
found = pipeline(Image.open(picture), **json.loads("%s"))
print(json.dumps({"base": type(base).__name__, "logits": logits.tolist(), "found": len(found)}))
"""


@pytest.mark.parametrize("kind", list(MODELS))
def test_a_pushed_model_gives_the_same_logits_without_the_package(kind, tmp_path):
    model_class, config, processor, auto_class = MODELS[kind]
    torch.manual_seed(0)
    model = model_class(config).eval()
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "encrypted.png")

    with HubServer(tmp_path / "hub") as server:
        environment = {
            **os.environ,
            "HF_ENDPOINT": server.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_TOKEN": "hf_owner",
            "OMP_NUM_THREADS": "1",
        }
        environment.pop("HF_HUB_OFFLINE", None)

        def run(home: str, code: str, *arguments: object) -> str:
            command = [sys.executable, "-c", code, *map(str, arguments)]
            done = subprocess.run(
                command,
                env={**environment, "HF_HOME": str(tmp_path / home)},
                capture_output=True,
                text=True,
                timeout=280,
            )
            assert done.returncode == 0, done.stderr[-3000:]
            return done.stdout

        run("builder", PUSH, kind, tmp_path / "model", "owner/model")
        options = '{\\"threshold\\": 0.0}' if kind == "object-detection" else "{}"
        told = run("server", LOAD % options, kind, auto_class, "owner/model", tmp_path / "encrypted.png")

    told = json.loads(told.splitlines()[-1])
    with torch.no_grad():
        expected = model(**processor(pixels, return_tensors="pt")).logits
    np.testing.assert_allclose(told["logits"], expected.numpy(), atol=1e-5)
    assert told["base"] == type(model.base_model).__name__
    assert told["found"] == (5 if kind == "object-detection" else 3)
