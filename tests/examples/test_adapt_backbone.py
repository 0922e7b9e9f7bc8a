"""A converted backbone learns in encrypted pictures what its teacher sees in plain ones."""

import pytest
import torch
from example_helpers import ADAPTED, results
from transformers import AutoModelForImageClassification, Dinov2Config, Dinov2Model

from hipmr_hf import Encryption
from hipmr_hf.errors import InputValueError


def arguments(converted, output, *more):
    paths = {"model_name_or_path": "pevit", "teacher_name_or_path": "teacher", "pictures": "public"}
    given = [part for name, path in paths.items() for part in (f"--{name}", str(converted / path))]
    return [*given, "--output_dir", str(output), "--per_device_train_batch_size", "8", *more]


def adapt(example, converted, output, *more):
    script = example("adapt_backbone.py")
    (args,) = script.parse_arguments({"adaptation": script.Arguments}, arguments(converted, output, *more))
    return script.main(args)


def test_the_student_comes_nearer_and_the_checkpoint_is_whole(example, converted, tmp_path):
    metrics = adapt(
        example, converted, tmp_path / "out", "--max_train_steps", "60", "--learning_rate", "3e-3"
    )
    assert metrics["steps"] == 60 and metrics["last_loss"] < 0.8 * metrics["first_loss"]
    assert Encryption.from_pretrained(tmp_path / "out") == ADAPTED
    model = AutoModelForImageClassification.from_pretrained(tmp_path / "out")
    before = AutoModelForImageClassification.from_pretrained(converted / "pevit")
    assert not torch.equal(model.pevit.layers[0].mlp.fc1.weight, before.pevit.layers[0].mlp.fc1.weight)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "How its images were encrypted" in card and str(converted) not in card


def test_a_killed_run_goes_on_in_the_middle_of_an_epoch(example, converted, tmp_path):
    steps = ("--checkpoint_every", "3", "--gradient_checkpointing", "true")
    adapt(example, converted, tmp_path / "out", "--max_train_steps", "3", *steps)
    assert [path.name for path in (tmp_path / "out").glob("checkpoint-*")] == ["checkpoint-3"]
    metrics = adapt(example, converted, tmp_path / "out", "--max_train_steps", "6", "--resume", *steps)
    assert metrics["steps"] == 6
    assert [path.name for path in (tmp_path / "out").glob("checkpoint-*")] == ["checkpoint-6"]


def test_two_processes_share_the_pictures(launch, converted, tmp_path):
    command = arguments(converted, tmp_path / "out", "--max_train_steps", "2")
    launch("adapt_backbone.py", *command, num_processes=2)
    assert results(tmp_path / "out")["world_size"] == 2


def test_another_teacher_is_refused(example, converted, tmp_path):
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "patch_size": 7}
    Dinov2Model(Dinov2Config(**sizes, image_size=28)).save_pretrained(tmp_path / "other")
    wrong = ("--teacher_name_or_path", str(tmp_path / "other"))
    with pytest.raises(InputValueError, match="name the model that the student was converted from"):
        adapt(example, converted, tmp_path / "out", *wrong)
