"""What the scripts write is loaded by `from_pretrained` in a process that cannot import this package."""

import json

import numpy as np
import torch
from example_helpers import TINY_MODEL
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification, AutoModelForPreTraining
from without_the_package import run_without_the_package

from hipmr_hf import Encryption

AUTO_CLASSES = {
    "adapted": AutoModelForImageClassification,
    "private": AutoModelForImageClassification,
    "pretrained": AutoModelForPreTraining,
}
HERE = ["--report_to", "none", "--save_strategy", "no", "--use_cpu", "--disable_tqdm", "true"]

CLEAN = """
import json, torch, transformers
from PIL import Image

told = {}
for folder, auto_class in json.loads(sys.argv[1]).items():
    trusting = {"trust_remote_code": True}
    model = getattr(transformers, auto_class).from_pretrained(folder, **trusting).eval()
    assert type(model).__module__.startswith("transformers_modules."), type(model)
    processor = transformers.AutoImageProcessor.from_pretrained(folder, **trusting)
    inputs = processor(Image.open(f"{folder}/sent.png"), return_tensors="pt")
    torch.manual_seed(0)
    with torch.no_grad():
        told[folder] = model(**inputs).logits.tolist()
print(json.dumps(told))
"""


def test_adapted_private_and_pretrained_checkpoints_answer_alike(example, folders, converted, tmp_path):
    rows = ["--dataset_name", str(folders["mi"]), *TINY_MODEL, "--per_device_train_batch_size", "8"]
    options = [*HERE, "--do_train", "--max_steps", "1", "--task", "places"]
    example("run_pretraining.py").main([*rows, *options, "--output_dir", str(tmp_path / "pretrained")])
    private = example("run_image_classification_dp.py")
    options = ["--output_dir", str(tmp_path / "private"), "--max_train_steps", "1", "--accountant", "rdp"]
    options += ["--expected_batch_size", "8"]
    private.main(*private.parse_arguments({"privacy": private.Arguments}, [*rows, *options]))
    adapt = example("adapt_backbone.py")
    names = {"model_name_or_path": "pevit", "teacher_name_or_path": "teacher", "pictures": "public"}
    options = [part for name, path in names.items() for part in (f"--{name}", str(converted / path))]
    options += ["--output_dir", str(tmp_path / "adapted"), "--max_train_steps", "1"]
    adapt.main(*adapt.parse_arguments({"adaptation": adapt.Arguments}, options))

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    for name in AUTO_CLASSES:
        Encryption.from_pretrained(tmp_path / name)(picture).save(tmp_path / name / "sent.png")
    asked = {str(tmp_path / name): auto_class.__name__ for name, auto_class in AUTO_CLASSES.items()}
    said = run_without_the_package(CLEAN, tmp_path / "home", json.dumps(asked))
    told = json.loads(said.splitlines()[-1])
    for name, auto_class in AUTO_CLASSES.items():
        folder = tmp_path / name
        inputs = AutoImageProcessor.from_pretrained(folder)(
            Image.open(folder / "sent.png"), return_tensors="pt"
        )
        torch.manual_seed(0)
        with torch.no_grad():
            logits = auto_class.from_pretrained(folder).eval()(**inputs).logits
        np.testing.assert_allclose(told[str(folder)], logits.numpy(), atol=1e-5)
