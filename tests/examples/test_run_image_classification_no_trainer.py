import pytest
import torch
from example_helpers import SHUFFLING, TINY_MODEL, results
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModelForImageClassification, HfArgumentParser

from hipmr_hf import Encryption

SCRIPT = "run_image_classification_no_trainer.py"
SMALL = ["--per_device_train_batch_size", "8", "--per_device_eval_batch_size", "8", *TINY_MODEL]
RECIPE = [
    "--turns",
    "symmetries",
    "--mixup_alpha",
    0.8,
    "--label_smoothing",
    0.1,
    "--drop_path_rate",
    0.1,
    "--patch_drop_rate",
    0.25,
    "--ema_decay",
    0.9,
    "--layer_decay",
    0.75,
]


def run(example, folder, output, *arguments):
    module = example(SCRIPT)
    options = ["--dataset_name", str(folder), "--output_dir", str(output), *SMALL, *map(str, arguments)]
    return module.main(HfArgumentParser(module.Arguments).parse_args_into_dataclasses(options)[0])


@pytest.mark.parametrize("num_processes", [1, 2])
def test_two_steps_through_accelerate_launch(launch, folders, tmp_path, num_processes):
    launch(
        SCRIPT,
        "--dataset_name",
        folders["rs"],
        "--output_dir",
        tmp_path,
        "--max_train_steps",
        2,
        *SMALL,
        *RECIPE,
        num_processes=num_processes,
    )

    assert results(tmp_path)["world_size"] == num_processes
    assert Encryption.from_pretrained(tmp_path) == SHUFFLING
    assert AutoModelForImageClassification.from_pretrained(tmp_path).config.model_type == "pevit"
    assert AutoImageProcessor.from_pretrained(tmp_path).patch_size == 8


def test_a_resumed_run_ends_with_the_same_weights(example, folders, tmp_path):
    plain = ["--turns", "flips", "--ema_decay", 0.5, "--checkpoint_every_epoch", "--max_train_samples", 32]
    run(example, folders["rs"], tmp_path / "whole", "--max_train_steps", 8, *plain)
    (tmp_path / "resumed").mkdir()
    (tmp_path / "whole" / "checkpoint-1").rename(tmp_path / "resumed" / "checkpoint-1")
    run(example, folders["rs"], tmp_path / "resumed", "--max_train_steps", 8, "--resume", *plain)

    whole, resumed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "resumed"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_teacher_and_a_plain_baseline(example, folders, tmp_path):
    steps = ["--max_train_steps", 2, "--max_eval_samples", 8]
    run(example, folders["rs"], tmp_path / "distilled", "--teacher_logits_column", "teacher_logits", *steps)
    run(
        example,
        folders["plain"],
        tmp_path / "vit",
        "--baseline",
        "vit",
        "--image_size",
        32,
        "--patch_size",
        8,
        *steps,
    )
    kinds = [
        AutoModelForImageClassification.from_pretrained(tmp_path / name).config
        for name in ("distilled", "vit")
    ]
    assert [kind.model_type for kind in kinds] == ["pevit", "vit"] and kinds[0].use_distillation_token


def test_another_encryption_than_the_models_is_refused(example, folders, tmp_path):
    run(example, folders["rs"], tmp_path / "first", "--max_train_steps", 1, "--max_eval_samples", 8)
    with pytest.raises(ValueError, match="was encrypted with MixingUp"):
        run(example, folders["mi"], tmp_path / "second", "--model_name_or_path", tmp_path / "first")
