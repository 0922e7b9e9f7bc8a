"""What the scripts write is loaded by `from_pretrained` in a process that cannot import this package."""

import numpy as np
from example_helpers import TINY_MODEL
from PIL import Image
from transformers import AutoModelForImageClassification, AutoModelForPreTraining
from without_the_package import assert_answers_alike

AUTO_CLASSES = {
    "adapted": AutoModelForImageClassification,
    "private": AutoModelForImageClassification,
    "pretrained": AutoModelForPreTraining,
}
HERE = ["--report_to", "none", "--save_strategy", "no", "--use_cpu", "--disable_tqdm", "true"]


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
    asked = {tmp_path / name: auto_class for name, auto_class in AUTO_CLASSES.items()}
    assert_answers_alike(asked, picture, tmp_path / "home")
