"""What the scripts make of files is loaded by `from_pretrained` in a process that has not this package."""

from pathlib import Path

import numpy as np
import pytest
from command_helpers import MI, RS, run
from example_helpers import TINY_MODEL, digits, results
from PIL import Image
from transformers import AutoModelForImageClassification, AutoModelForPreTraining
from without_the_package import assert_answers_alike

PRETRAINING, PRIVATE = "run_pretraining.py", "run_image_classification_dp.py"
ONE_STEP = ["--do_train", "--do_eval", "--max_steps", "1", "--report_to", "none", "--save_strategy", "no"]
ONE_STEP += ["--use_cpu", "--disable_tqdm", "true"]
SIZES = [*TINY_MODEL, "--per_device_train_batch_size", "8"]


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory) -> dict[str, Path]:
    """What the command makes of a folder of files for each class: "rs", "mi"."""
    root = tmp_path_factory.mktemp("files")
    for split, rows in digits().items():
        for number, row in enumerate(rows):
            file = root / "plain" / split / str(row["label"]) / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            row["image"].save(file)
    for name, settings in {"rs": RS, "mi": [*MI, "--image-size", 32]}.items():
        assert run("encrypt", root / "plain", "--output-dir", root / name, *settings) == 0
    return {name: root / name for name in ("rs", "mi")}


@pytest.fixture(scope="module")
def places(launch, encrypted, tmp_path_factory) -> Path:
    """A model that two processes taught where patches stand."""
    output = tmp_path_factory.mktemp("places")
    options = ["--dataset_name", encrypted["mi"], "--output_dir", output, "--task", "places"]
    launch(PRETRAINING, *options, *ONE_STEP, *SIZES, num_processes=2)
    return output


@pytest.fixture(scope="module")
def private(launch, encrypted, tmp_path_factory) -> Path:
    """A classifier with differential privacy, trained by one process."""
    output = tmp_path_factory.mktemp("private")
    options = ["--dataset_name", encrypted["rs"], "--output_dir", output, "--max_train_steps", 1, *SIZES]
    launch(PRIVATE, *options, "--accountant", "rdp", "--expected_batch_size", 8)
    return output


def test_two_processes_tell_places(places):
    told = results(places)
    assert told["world_size"] == 2 and 0 <= told["eval_places_told"] <= 1
    assert "places_told" in (places / "README.md").read_text()


def test_a_launched_private_training_says_what_it_spent(private):
    told = results(private)
    assert 0 < told["epsilon"] <= 8 and told["records"] == 64
    assert "| epsilon |" in (private / "README.md").read_text()


def test_adapted_private_and_pretrained_checkpoints_answer_alike(
    example, encrypted, converted, places, private, tmp_path
):
    options = ["--dataset_name", str(encrypted["rs"]), "--output_dir", str(tmp_path / "foreign")]
    assert "eval_foreign_told" in example(PRETRAINING).main([*options, *ONE_STEP, *SIZES])
    adapt = example("adapt_backbone.py")
    names = {"model_name_or_path": "pevit", "teacher_name_or_path": "teacher", "pictures": "public"}
    options = [part for name, path in names.items() for part in (f"--{name}", str(converted / path))]
    options += ["--output_dir", str(tmp_path / "adapted"), "--max_train_steps", "1"]
    adapt.main(*adapt.parse_arguments({"adaptation": adapt.Arguments}, options))

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    asked = dict.fromkeys([tmp_path / "adapted", private], AutoModelForImageClassification)
    asked |= dict.fromkeys([tmp_path / "foreign", places], AutoModelForPreTraining)
    assert_answers_alike(asked, picture, tmp_path / "home")
