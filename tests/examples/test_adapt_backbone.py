"""A converted backbone learns in encrypted pictures what its teacher sees in plain ones."""

import numpy as np
import pytest
import torch
from example_helpers import results
from PIL import Image as PILImage
from transformers import AutoModelForImageClassification, Dinov2Config, Dinov2Model

from hipmr_hf import Encryption, RandomShuffling
from hipmr_hf.cli import main
from hipmr_hf.errors import InputValueError

SETTINGS = RandomShuffling(image_size=32, patch_size=8, sub_patch_grid=2, shuffle_tones=True)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A teacher, public pictures, and the teacher converted for SETTINGS."""
    root = tmp_path_factory.mktemp("adapt")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 7}
    Dinov2Model(Dinov2Config(**sizes, image_size=28, initializer_range=0.2)).save_pretrained(root / "teacher")
    (root / "public").mkdir()
    for index in range(32):
        pixels = np.random.default_rng(index).integers(0, 256, (6, 6, 3), np.uint8)
        picture = PILImage.fromarray(pixels).resize((40, 40), PILImage.Resampling.BICUBIC)
        picture.save(root / "public" / f"{index}.png")
    SETTINGS.save_pretrained(root / "data")
    command = ["convert", root / "teacher", "--encryption", root / "data", "--pictures", root / "public"]
    assert main([*map(str, command), "--output-dir", str(root / "pevit")]) == 0
    return root


def arguments(start, output, *more):
    paths = {"model_name_or_path": "pevit", "teacher_name_or_path": "teacher", "pictures": "public"}
    given = [part for name, path in paths.items() for part in (f"--{name}", str(start / path))]
    return [*given, "--output_dir", str(output), "--per_device_train_batch_size", "8", *more]


def adapt(example, start, output, *more):
    script = example("adapt_backbone.py")
    (args,) = script.parse_arguments({"adaptation": script.Arguments}, arguments(start, output, *more))
    return script.main(args)


def test_the_student_comes_nearer_and_the_checkpoint_is_whole(example, start, tmp_path):
    metrics = adapt(example, start, tmp_path / "out", "--max_train_steps", "60", "--learning_rate", "3e-3")
    assert metrics["steps"] == 60 and metrics["last_loss"] < 0.8 * metrics["first_loss"]
    assert Encryption.from_pretrained(tmp_path / "out") == SETTINGS
    model = AutoModelForImageClassification.from_pretrained(tmp_path / "out")
    before = AutoModelForImageClassification.from_pretrained(start / "pevit")
    assert not torch.equal(model.pevit.layers[0].mlp.fc1.weight, before.pevit.layers[0].mlp.fc1.weight)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "How its images were encrypted" in card and str(start) not in card


def test_a_killed_run_goes_on_in_the_middle_of_an_epoch(example, start, tmp_path):
    steps = ("--checkpoint_every", "3", "--gradient_checkpointing", "true")
    adapt(example, start, tmp_path / "out", "--max_train_steps", "3", *steps)
    assert [path.name for path in (tmp_path / "out").glob("checkpoint-*")] == ["checkpoint-3"]
    metrics = adapt(example, start, tmp_path / "out", "--max_train_steps", "6", "--resume", *steps)
    assert metrics["steps"] == 6
    assert [path.name for path in (tmp_path / "out").glob("checkpoint-*")] == ["checkpoint-6"]


def test_two_processes_share_the_pictures(launch, start, tmp_path):
    command = arguments(start, tmp_path / "out", "--max_train_steps", "2")
    launch("adapt_backbone.py", *command, num_processes=2)
    assert results(tmp_path / "out")["world_size"] == 2


def test_another_teacher_is_refused(example, start, tmp_path):
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "patch_size": 7}
    Dinov2Model(Dinov2Config(**sizes, image_size=28)).save_pretrained(tmp_path / "other")
    wrong = ("--teacher_name_or_path", str(tmp_path / "other"))
    with pytest.raises(InputValueError, match="name the model that the student was converted from"):
        adapt(example, start, tmp_path / "out", *wrong)
