"""A saved detector carries its code: it loads in a process that does not have this package."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import hipmr_hf.models
from hipmr_hf.models import PEYolosConfig, PEYolosForObjectDetection, PEYolosImageProcessorPil

MODULES = Path(hipmr_hf.models.__file__).parent
# The detector shares blocks and patch embedding with the classifier, so those files travel with it.
WEIGHTS_CODE = (
    "configuration_pevit",
    "configuration_peyolos",
    "embeddings_pevit",
    "embeddings_peyolos",
    "layers_pevit",
    "loss_peyolos",
    "modeling_peyolos",
)
PROCESSOR_CODE = ("image_processing_pevit", "image_processing_peyolos")

# Scipy is hidden too: only training needs it.
WITHOUT_THE_PACKAGE = """
import importlib.abc, importlib.metadata, importlib.util, os, sys

find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name.startswith("scipy") else find(name, *rest)

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ("hipmr_hf", "scipy"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
"""


def save_detector(folder: Path, **overrides) -> tuple[PEYolosForObjectDetection, PEYolosImageProcessorPil]:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_detection_tokens": 5}
    model = PEYolosForObjectDetection(PEYolosConfig(**sizes, image_size=(32, 48), **overrides)).eval()
    model.save_pretrained(folder)
    processor = PEYolosImageProcessorPil()
    processor.save_pretrained(folder)
    return model, processor


def run_without_the_package(code: str, folder: Path) -> str:
    environment = {**os.environ, "HF_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", WITHOUT_THE_PACKAGE + textwrap.dedent(code), str(folder)]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=180, check=False, env=environment
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("patch_embedding", ["nonlinear", "invariant", "texture"])
def test_a_checkpoint_loads_with_trust_in_a_process_without_the_package(tmp_path, patch_embedding):
    model, processor = save_detector(tmp_path, patch_embedding=patch_embedding)
    assert sorted(path.stem for path in tmp_path.glob("*.py")) == sorted((*WEIGHTS_CODE, *PROCESSOR_CODE))
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    code = """
    import numpy as np, torch
    from transformers import AutoModel, AutoModelForObjectDetection, AutoImageProcessor
    folder = sys.argv[1]
    images = np.load(f"{folder}/images.npy")
    processor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=True)
    model = AutoModelForObjectDetection.from_pretrained(folder, trust_remote_code=True)
    assert type(model).__module__.startswith("transformers_modules."), type(model)
    with torch.no_grad():
        outputs = model(**processor([images[0], images[1, :16]], return_tensors="pt"))
    np.savez(f"{folder}/outputs.npz", logits=outputs.logits, boxes=outputs.pred_boxes)
    found = processor.post_process_object_detection(outputs, 0.0, [(32, 48), (16, 48)])
    print(type(AutoModel.from_pretrained(folder, trust_remote_code=True)).__name__, len(found[1]["boxes"]))
    """
    assert run_without_the_package(code, tmp_path).split() == ["PEYolosModel", "5"]
    inputs = processor([images[0], images[1, :16]], return_tensors="pt")
    with np.load(tmp_path / "outputs.npz") as theirs, torch.no_grad():
        ours = model(**inputs)
        np.testing.assert_allclose(theirs["logits"], ours.logits.numpy(), atol=1e-6)
        np.testing.assert_allclose(theirs["boxes"], ours.pred_boxes.numpy(), atol=1e-6)


def test_the_pipeline_detects_in_a_process_without_the_package(tmp_path):
    model, processor = save_detector(tmp_path)
    image = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "sent.png")
    code = """
    import json
    from PIL import Image
    from transformers import pipeline
    folder = sys.argv[1]
    detector = pipeline("object-detection", model=folder, trust_remote_code=True, device="cpu")
    assert type(detector.model).__module__.startswith("transformers_modules."), type(detector.model)
    print(json.dumps(detector(Image.open(f"{folder}/sent.png"), threshold=0.0)))
    """
    found = json.loads(run_without_the_package(code, tmp_path).splitlines()[-1])
    with torch.no_grad():
        outputs = model(**processor(image, return_tensors="pt"))
    (expected,) = processor.post_process_object_detection(outputs, 0.0, [image.shape[:2]])
    assert len(found) == len(expected["scores"]) == 5
    for theirs, score, label, box in zip(found, *expected.values(), strict=True):
        assert theirs["score"] == pytest.approx(score.item(), abs=1e-6)
        assert theirs["label"] == model.config.id2label[label.item()]
        assert list(theirs["box"].values()) == box.int().tolist()


def test_travelling_files_import_only_each_other():
    for name in (*WEIGHTS_CODE, *PROCESSOR_CODE):
        source = (MODULES / f"{name}.py").read_text()
        # The pattern of transformers.dynamic_module_utils, which also matches inside docstrings.
        siblings = re.findall(r"^\s*from\s+\.(\S+)\s+import", source, flags=re.MULTILINE)
        assert set(siblings) <= {*WEIGHTS_CODE, *PROCESSOR_CODE}, name
        assert not re.search(r"^\s*(import|from)\s+hipmr_hf", source, flags=re.MULTILINE), name
