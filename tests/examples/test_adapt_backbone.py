"""A converted backbone learns in encrypted pictures what its teacher sees in plain ones."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from example_helpers import ADAPTED, EXAMPLES, results
from huggingface_hub import ModelCard
from safetensors.torch import load_file
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
    told = ModelCard(card).data
    assert told.pipeline_tag == "image-feature-extraction" and told.base_model is None
    assert told.eval_results[0].metric_value == pytest.approx(metrics["last_loss"])
    said = f"by {metrics['pictures']} public pictures without labels, which its teacher saw plain"
    assert said in card and "It has no classifier yet" in card and "Neither this training" not in card


def kill_after_its_first_checkpoint(command, output):
    """Start the script as a user does, and end it as a machine that goes away would."""
    threads = {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "adapt_backbone.py"), *command], env=os.environ | threads
    )
    try:
        started = time.monotonic()
        while not list(output.glob("checkpoint-*")) and time.monotonic() < started + 120:
            assert process.poll() is None, "it ended before there was a checkpoint"
            time.sleep(0.005)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL, "it was done before it could be killed"
    return max(int(path.name.split("-")[1]) for path in output.glob("checkpoint-*"))


def test_a_killed_run_goes_on_in_the_middle_of_an_epoch_to_the_same_weights(example, converted, tmp_path):
    """With dropout, so that the generator's state counts as well as order, encryption and optimizer."""
    shutil.copytree(converted, tmp_path / "dropping")
    model = AutoModelForImageClassification.from_pretrained(converted / "pevit", hidden_dropout_prob=0.1)
    model.save_pretrained(tmp_path / "dropping" / "pevit")
    steps = ("--max_train_steps", "20", "--learning_rate", "3e-3", "--checkpoint_every", "6")
    steps += ("--gradient_checkpointing", "true")
    command = arguments(tmp_path / "dropping", tmp_path / "killed", *steps)
    done = kill_after_its_first_checkpoint(command, tmp_path / "killed")
    assert 6 <= done < 20
    metrics = adapt(example, tmp_path / "dropping", tmp_path / "killed", "--resume", *steps)
    assert metrics["steps"] == 20
    assert [path.name for path in (tmp_path / "killed").glob("checkpoint-*")] == ["checkpoint-18"]

    adapt(example, tmp_path / "dropping", tmp_path / "whole", *steps)
    killed, whole = (load_file(tmp_path / run / "model.safetensors") for run in ("killed", "whole"))
    assert [name for name in whole if not torch.equal(killed[name], whole[name])] == []
    assert not torch.equal(whole["pevit.layers.0.mlp.fc1.weight"], model.pevit.layers[0].mlp.fc1.weight)


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
