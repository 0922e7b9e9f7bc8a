"""What was pushed over HTTP loads in a process that has transformers but not this package."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_server import HubServer
from PIL import Image
from without_the_package import BLOCK

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
    ),
    "object-detection": (
        PEYolosForObjectDetection,
        PEYolosConfig(**SIZES, num_detection_tokens=5, image_size=(32, 48), initializer_range=0.2),
        PEYolosImageProcessorPil(),
    ),
}

# Each process takes both kinds, so that it starts once.
PUSH = """
import sys
from transformers import AutoImageProcessor
from hipmr_hf import PEViTForImageClassification, PEYolosForObjectDetection
classes = {"image-classification": PEViTForImageClassification, "object-detection": PEYolosForObjectDetection}
for kind, model_class in classes.items():
    folder, repo = f"{sys.argv[1]}/{kind}", f"owner/{kind}"
    model_class.from_pretrained(folder).push_to_hub(repo)
    AutoImageProcessor.from_pretrained(folder).push_to_hub(repo)
"""

LOAD = (
    BLOCK
    + """
import json
import torch, transformers
from PIL import Image
trusting = {"trust_remote_code": True}

def load(kind, auto_class, options):
    repo, picture = f"owner/{kind}", Image.open(sys.argv[1])
    processor = transformers.AutoImageProcessor.from_pretrained(repo, **trusting)
    base = transformers.AutoModel.from_pretrained(repo, **trusting)
    model = getattr(transformers, auto_class).from_pretrained(repo, **trusting)
    with torch.no_grad():
        logits = model(**processor(picture, return_tensors="pt")).logits
    pipeline = transformers.pipeline(kind, model=repo, device="cpu", **trusting)
    found = pipeline(picture, **options)
    return {"base": type(base).__name__, "logits": logits.tolist(), "found": len(found)}

told = {"image-classification": load("image-classification", "AutoModelForImageClassification", {})}
told["object-detection"] = load("object-detection", "AutoModelForObjectDetection", {"threshold": 0.0})
print(json.dumps(told))
"""
)


PIXELS = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def models() -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    return {kind: model_class(config).eval() for kind, (model_class, config, _) in MODELS.items()}


@pytest.fixture(scope="module")
def told(models, tmp_path_factory) -> dict[str, dict]:
    """What a process without the package told of the pushed models, by kind."""
    root = tmp_path_factory.mktemp("hub")
    for kind, model in models.items():
        model.save_pretrained(root / kind)
        MODELS[kind][2].save_pretrained(root / kind)
    Image.fromarray(PIXELS).save(root / "encrypted.png")
    with HubServer(root / "hub") as server:
        run_python(server, root / "builder", PUSH, root)
        return json.loads(run_python(server, root / "server", LOAD, root / "encrypted.png").splitlines()[-1])


def run_python(server: HubServer, home: Path, code: str, argument: Path) -> str:
    """Run code in a process that knows the Hub of the test, with a home of its own."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": server.url,
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": "hf_owner",
        "OMP_NUM_THREADS": "1",
        "HF_HOME": str(home),
    }
    environment.pop("HF_HUB_OFFLINE", None)
    command = [sys.executable, "-c", code, str(argument)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("kind", list(MODELS))
def test_a_pushed_model_gives_the_same_logits_without_the_package(models, told, kind):
    model, found = models[kind], told[kind]
    with torch.no_grad():
        expected = model(**MODELS[kind][2](PIXELS, return_tensors="pt")).logits
    np.testing.assert_allclose(found["logits"], expected.numpy(), atol=1e-5)
    assert found["base"] == type(model.base_model).__name__
    assert found["found"] == (5 if kind == "object-detection" else 3)
