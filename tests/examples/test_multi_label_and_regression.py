"""Classes, numbers, features, all the way: `hipmr encrypt`, both scripts, a process without the package."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from datasets import ClassLabel, Features, List, Value
from example_helpers import TINY_MODEL, results
from PIL import Image
from transformers import AutoModelForImageClassification, pipeline
from without_the_package import run_without_the_package

from hipmr_hf import Encryption
from hipmr_hf.cli import main

TRAINER, NO_TRAINER = "run_image_classification.py", "run_image_classification_no_trainer.py"
TRAINERS = ["--do_train", "--do_eval", "--report_to", "none", "--save_strategy", "no", "--use_cpu"]
TRAINERS += ["--disable_tqdm", "true"]
SIZES = [*TINY_MODEL, "--per_device_train_batch_size", "16", "--per_device_eval_batch_size", "8"]
CLASSES = ("dark", "left", "light")

CLEAN = """
import json
from PIL import Image
from transformers import AutoModelForImageClassification, pipeline

told = {}
for folder in sys.argv[2:]:
    model = AutoModelForImageClassification.from_pretrained(folder, trust_remote_code=True)
    assert type(model).__module__.startswith("transformers_modules."), type(model)
    answer = pipeline("image-classification", model=folder, trust_remote_code=True, device="cpu")
    told[folder] = {"classes": answer(Image.open(sys.argv[1]))}
    extract = pipeline("image-feature-extraction", model=folder, trust_remote_code=True, device="cpu")
    assert type(extract.model).__module__.startswith("transformers_modules."), type(extract.model)
    told[folder]["features"] = extract(Image.open(sys.argv[1]), pool=True)
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory) -> Path:
    """What the command makes of pictures and a table: any of three classes, and how bright they are."""
    root = tmp_path_factory.mktemp("pictures")
    for split, count in (("train", 64), ("test", 30)):
        (root / "plain" / split).mkdir(parents=True)
        lines = []
        for i in range(count):
            generator = np.random.default_rng((count, i))
            light, left = generator.integers(40, 216), bool(i % 2)
            pixels = np.clip(generator.normal(light, 10, (32, 32, 3)), 0, 255).astype(np.uint8)
            pixels[:, :16] = pixels[:, :16] // (2 if left else 1)
            Image.fromarray(pixels).save(root / "plain" / split / f"{i}.png")
            seen = ["left"] * left + (["light"] if light > 160 else ["dark"] if light < 96 else [])
            row = {"file_name": f"{i}.png", "seen": seen, "lumen": 5000 + 10 * float(pixels.mean())}
            lines.append(json.dumps(row))
        (root / "plain" / split / "metadata.jsonl").write_text("\n".join(lines))
    command = ["encrypt", str(root / "plain"), "--output-dir", str(root / "encrypted"), "--labels", "seen"]
    command += ["--keep-columns", "label", "lumen", "--image-size", "32", "--patch-size", "8"]
    assert main(command) == 0
    return root / "encrypted"


@pytest.fixture(scope="module")
def numbers_of_two_processes(launch, encrypted, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("numbers")
    options = ["--dataset_name", encrypted, "--output_dir", output, "--label_column", "lumen", *SIZES]
    launch(NO_TRAINER, *options, "--num_train_epochs", 8, "--learning_rate", 3e-3, num_processes=2)
    return output


def test_the_owners_side_keeps_both_and_says_what_they_are(encrypted):
    features = Features.from_arrow_schema(pq.read_schema(next((encrypted / "data").glob("train-*"))))
    assert features["label"] == List(ClassLabel(names=list(CLASSES)))
    assert features["lumen"] == Value("float64")
    card = (encrypted / "README.md").read_text()
    assert "`label` (any of 3 classes)" in card and "`lumen` (float64)" in card
    assert "multi-label-image-classification" in card
    assert main(["leaks", str(encrypted)]) == 0


def test_numbers_are_learned_in_their_own_unit_by_two_processes(numbers_of_two_processes):
    """From 5,400 to 7,100, which a head without a scale would take thousands of steps to reach."""
    found = results(numbers_of_two_processes)
    assert found["world_size"] == 2 and found["r2"] > 0.5
    assert found["mae"] <= np.sqrt(found["mse"]) < 300
    card = (numbers_of_two_processes / "README.md").read_text()
    assert "mse | mae | r2 |" in card


def test_several_classes_are_learned_with_the_whole_recipe_and_answer_in_a_clean_process(
    launch, encrypted, numbers_of_two_processes, tmp_path
):
    options = ["--dataset_name", encrypted, "--output_dir", tmp_path / "classes", *TRAINERS, *SIZES]
    options += ["--num_train_epochs", 8, "--learning_rate", 4e-3, "--mixup_alpha", 0.1]
    launch(TRAINER, *options, "--label_smoothing_factor", 0.1, num_processes=2)
    metrics = results(tmp_path / "classes")
    assert metrics["world_size"] == 2 and {"eval_f1_micro", "eval_f1_macro"} <= metrics.keys()
    assert metrics["eval_average_precision"] > 0.6
    assert "average_precision" in (tmp_path / "classes" / "README.md").read_text()
    model = AutoModelForImageClassification.from_pretrained(tmp_path / "classes")
    assert model.config.problem_type == "multi_label_classification"

    told = asked_in_a_clean_process(tmp_path, [tmp_path / "classes", numbers_of_two_processes])
    for folder, theirs in told.items():
        sent = Image.open(tmp_path / "sent.png")
        here = pipeline("image-classification", model=folder, device="cpu")(sent)
        assert [(one["label"], pytest.approx(one["score"], rel=1e-5)) for one in here] == [
            (one["label"], one["score"]) for one in theirs["classes"]
        ]
        features = pipeline("image-feature-extraction", model=folder, device="cpu")(sent, pool=True)
        assert np.shape(features) == (1, 32) and np.std(features) > 0
        np.testing.assert_allclose(theirs["features"], features, rtol=1e-4, atol=1e-5)
    classes, numbers = (theirs["classes"] for theirs in told.values())
    assert {one["label"] for one in classes} == set(CLASSES) and all(0 < one["score"] < 1 for one in classes)
    assert numbers[0]["label"] == "lumen" and 5000 < numbers[0]["score"] < 8000


def asked_in_a_clean_process(root: Path, folders: list[Path]) -> dict[str, dict]:
    """What checkpoints answer there about one picture, left encrypted in `root / "sent.png"`."""
    picture = Image.fromarray(np.full((32, 32, 3), 200, np.uint8))
    Encryption.from_pretrained(folders[0])(picture).save(root / "sent.png")
    said = run_without_the_package(CLEAN, root / "home", root / "sent.png", *folders)
    return json.loads(said.splitlines()[-1])


def test_each_script_learns_what_the_other_does(example, encrypted, tmp_path):
    options = ["--dataset_name", str(encrypted), *SIZES]
    few = ["--max_train_samples", "16", "--num_train_epochs", "1", "--validation_fraction", "0.5"]
    loop = example(NO_TRAINER)
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "max_train_steps": 1}
    told = loop.main(loop.Arguments(str(encrypted), tmp_path / "loop", **small))
    assert {"f1_micro", "f1_macro", "average_precision"} <= told.keys()
    numbers = [
        *options,
        *TRAINERS,
        *few,
        "--label_column",
        "lumen",
        "--output_dir",
        str(tmp_path / "trainer"),
    ]
    told = example(TRAINER).main(numbers)
    assert {"eval_mse", "eval_mae", "eval_r2"} <= told.keys()
    assert torch.isfinite(torch.tensor(told["eval_loss"]))
