import json
import shutil
import subprocess
import sys

import pytest
import torch
from datasets import load_dataset
from example_helpers import EXAMPLES, MIXING, SHUFFLING, TINY_MODEL, results
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModelForImageClassification, ViTForImageClassification

from hipmr_hf import Encryption, PEViTForImageClassification, PEViTForImageClassificationWithTeacher
from hipmr_hf.errors import InputValueError

SCRIPT = "run_image_classification.py"
TWO_STEPS = [
    "--do_train",
    "--do_eval",
    "--max_steps",
    "2",
    "--per_device_train_batch_size",
    "8",
    "--report_to",
    "none",
    "--per_device_eval_batch_size",
    "8",
    "--save_strategy",
    "no",
    *TINY_MODEL,
]


def run(example, folder, output, *arguments):
    options = [
        "--dataset_name",
        str(folder),
        "--output_dir",
        str(output),
        "--use_cpu",
        "--disable_tqdm",
        "true",
    ]
    return example(SCRIPT).main([*options, *TWO_STEPS, *map(str, arguments)])


def test_one_process_trains_evaluates_and_saves_all_that_belongs_together(launch, folders, tmp_path):
    launch(SCRIPT, "--dataset_name", folders["rs"], "--output_dir", tmp_path, *TWO_STEPS)

    assert results(tmp_path)["world_size"] == 1
    assert 0 <= results(tmp_path)["eval_accuracy"] <= results(tmp_path)["eval_top_5_accuracy"] <= 1
    assert Encryption.from_pretrained(tmp_path) == SHUFFLING
    model = AutoModelForImageClassification.from_pretrained(tmp_path)
    processor = AutoImageProcessor.from_pretrained(tmp_path)
    assert isinstance(model, PEViTForImageClassification) and processor.patch_size == 8
    assert model.config.id2label[7] == "7"


def test_two_processes_are_two(launch, folders, tmp_path):
    launch(SCRIPT, "--dataset_name", folders["rs"], "--output_dir", tmp_path, *TWO_STEPS, num_processes=2)
    assert results(tmp_path)["world_size"] == 2
    # 30 test images in batches of 8 on two processes: padding must not be counted
    assert results(tmp_path)["eval_accuracy"] * 30 == pytest.approx(
        round(results(tmp_path)["eval_accuracy"] * 30)
    )


def test_the_whole_recipe_runs(example, folders, tmp_path):
    metrics = run(
        example,
        folders["rs"],
        tmp_path,
        "--patch_embedding",
        "invariant",
        "--turns",
        "symmetries",
        "--mixup_alpha",
        0.8,
        "--label_smoothing_factor",
        0.1,
        "--drop_path_rate",
        0.1,
        "--patch_drop_rate",
        0.25,
        "--layer_decay",
        "0.75",
        "--ema_decay",
        0.9,
        "--gradient_accumulation_steps",
        2,
    )
    assert torch.isfinite(torch.tensor(metrics["train_loss"]))
    config = AutoModelForImageClassification.from_pretrained(tmp_path).config
    assert (config.drop_path_rate, config.patch_drop_rate) == (0.1, 0.25)
    assert config.patch_embedding == "invariant"


def test_a_mixed_up_dataset_gets_positions_and_the_nonlinear_embedding(example, folders, tmp_path):
    run(example, folders["mi"], tmp_path)
    config = AutoModelForImageClassification.from_pretrained(tmp_path).config
    assert (config.position_encoding, config.patch_embedding) == ("absolute", "nonlinear")
    assert (config.patch_size, config.image_size) == (4, [16, 16])


def test_the_baseline_is_transformers_vit_on_plain_images(example, folders, tmp_path):
    run(example, folders["plain"], tmp_path, "--baseline", "vit", "--image_size", 32, "--patch_size", 8)
    assert isinstance(AutoModelForImageClassification.from_pretrained(tmp_path), ViTForImageClassification)
    assert not (tmp_path / "encryption_config.json").exists()


def test_the_baseline_also_takes_mixed_up_images(example, folders, tmp_path):
    run(example, folders["mi"], tmp_path, "--baseline", "vit")
    config = AutoModelForImageClassification.from_pretrained(tmp_path).config
    assert config.model_type == "vit" and config.patch_size == 4
    assert Encryption.from_pretrained(tmp_path) == MIXING


def test_a_teachers_logits_train_the_distilled_model(example, folders, tmp_path):
    run(example, folders["rs"], tmp_path, "--teacher_logits_column", "teacher_logits")
    model = AutoModelForImageClassification.from_pretrained(tmp_path)
    assert isinstance(model, PEViTForImageClassificationWithTeacher)


def test_another_encryption_than_the_models_is_refused(example, folders, tmp_path):
    run(example, folders["rs"], tmp_path / "first")
    with pytest.raises(ValueError, match=r"was encrypted with MixingUp.*was trained on RandomShuffling"):
        run(example, folders["mi"], tmp_path / "second", "--model_name_or_path", tmp_path / "first")
    assert not (tmp_path / "second").exists()


def test_a_plain_dataset_is_refused(example, folders, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no encryption_config.json"):
        run(example, folders["plain"], tmp_path)


def test_training_goes_on_from_a_checkpoint_with_the_same_encryption(example, folders, tmp_path):
    run(example, folders["rs"], tmp_path / "first")
    run(
        example,
        folders["rs"],
        tmp_path / "second",
        "--model_name_or_path",
        tmp_path / "first",
        "--learning_rate",
        0,
    )
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("first", "second"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_resumed_from_a_checkpoint_ends_with_the_same_weights(example, folders, tmp_path):
    recipe = [
        "--max_steps",
        6,
        "--save_strategy",
        "steps",
        "--save_steps",
        3,
        "--save_total_limit",
        2,
        "--ema_decay",
        0.5,
        "--turns",
        "flips",
    ]
    run(example, folders["rs"], tmp_path / "whole", *recipe)
    shutil.copytree(tmp_path / "whole" / "checkpoint-3", tmp_path / "resumed" / "checkpoint-3")
    run(example, folders["rs"], tmp_path / "resumed", *recipe)

    whole, resumed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "resumed"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_finished_run_keeps_its_weights_once_and_can_go_on(example, folders, tmp_path):
    """The model and its only checkpoint share one file; more steps write other ones."""
    saving = ["--save_strategy", "steps", "--save_steps", 1, "--lr_scheduler_type", "constant"]
    run(example, folders["rs"], tmp_path, *saving)
    (checkpoint,) = tmp_path.glob("checkpoint-*")
    assert checkpoint.name == "checkpoint-2" and (checkpoint / "optimizer.pt").exists()
    weights = tmp_path / "model.safetensors"
    assert (checkpoint / "model.safetensors").samefile(weights)
    before = {name: value.clone() for name, value in load_file(weights).items()}
    metrics = run(example, folders["rs"], tmp_path, *saving, "--max_steps", 3)
    assert metrics["epoch"] == pytest.approx(3 / 8)
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-3"]
    assert any(not torch.equal(before[name], value) for name, value in load_file(weights).items())


def test_without_a_second_split_a_share_is_held_out(example, folders, tmp_path):
    """As of a folder of classes without `test`."""
    rows = load_dataset(str(folders["rs"]), split="train", cache_dir=str(tmp_path / "cache"))
    rows.to_parquet(tmp_path / "rs" / "data" / "train-00000-of-00001.parquet")
    shutil.copy(folders["rs"] / "encryption_config.json", tmp_path / "rs")
    with pytest.raises(InputValueError, match=r"only 'train'; .* with --validation_fraction 0.1"):
        run(example, tmp_path / "rs", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    metrics = run(example, tmp_path / "rs", tmp_path / "out", "--validation_fraction", 0.25)
    assert metrics["eval_accuracy"] * 16 == pytest.approx(round(metrics["eval_accuracy"] * 16))
    with pytest.raises(InputValueError, match=r"--validation_fraction: got 1\.5, expected a share"):
        run(example, tmp_path / "rs", tmp_path / "out", "--validation_fraction", 1.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--eval_split", "tset"], "--eval_split: got 'tset', but the dataset has only"),
        (["--label_column", "image"], "--label_column: 'image' is of type Image"),
        (["--position_encoding", "somewhere"], "Field 'position_encoding' expected one of"),
        (["--eval_splits", "test"], "unknown argument --eval_splits, did you mean --eval_split?"),
        (["--turns", "some"], "argument --turns: invalid choice"),
        (
            ["--load_best_model_at_end", "--save_strategy", "steps"],
            "requires the save and eval strategy to match",
        ),
    ],
)
def test_what_the_user_can_mend_is_told_in_one_line(folders, tmp_path, arguments, message):
    command = [sys.executable, str(EXAMPLES / SCRIPT), "--dataset_name", str(folders["rs"]), *TWO_STEPS]
    command += ["--output_dir", str(tmp_path / "out"), "--use_cpu", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith(f"{SCRIPT}: error: ")]
    assert message in line and not (tmp_path / "out").exists()


def test_of_two_processes_one_tells_it(launch, folders, tmp_path):
    options = ["--dataset_name", folders["rs"], "--output_dir", tmp_path / "out", "--eval_split", "tset"]
    done = launch(SCRIPT, *options, *TWO_STEPS, num_processes=2, check=False)
    assert done.returncode != 0 and done.stderr.count(f"{SCRIPT}: error: ") == 1
    assert f'{SCRIPT}", line' not in done.stderr  # what else stands there is the launcher's own


def test_help_lists_our_options_before_those_of_trainer():
    command = [sys.executable, str(EXAMPLES / SCRIPT), "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True).stdout
    titles = [
        line for line in shown.splitlines() if line.endswith(":") and not line.startswith((" ", "usage"))
    ]
    trainers = "training (transformers.TrainingArguments):"
    assert titles == ["options:", "data:", "model:", "recipe:", trainers]
    assert shown.index("--turns {") < shown.index(trainers) < shown.index("--weight_decay WEIGHT_DECAY, ")


def test_averaged_weights_are_the_average(example, folders, tmp_path):
    """With decay d after two steps: the mean of torch's exponential average over w0, w1, w2."""
    module = example(SCRIPT)
    averages = module.AveragedWeights(0.5)
    model = torch.nn.Linear(1, 1, bias=False)
    steps = [1.0, 3.0, 7.0]
    torch.nn.init.constant_(model.weight, steps[0])
    state = type("State", (), {"global_step": 0, "is_world_process_zero": True})()
    args = type("Args", (), {"output_dir": str(tmp_path)})()
    averages.on_train_begin(args, state, None, model=model)
    for weight in steps[1:]:
        torch.nn.init.constant_(model.weight, weight)
        averages.on_step_end(args, state, None, model=model)
    averages.on_train_end(args, state, None, model=model)
    assert model.weight.item() == pytest.approx(
        0.5 * 3.0 + 0.5 * 7.0
    )  # torch starts the average at the first update


@pytest.mark.skipif(shutil.which("g++") is None, reason="Inductor needs a C++ compiler")
def test_compiled_training_ends_at_the_weights_of_eager_training(example, folders, tmp_path):
    for name, compiled in (("eager", "false"), ("compiled", "true")):
        metrics = run(example, folders["rs"], tmp_path / name, *TINY_MODEL, "--torch_compile", compiled)
        assert metrics["world_size"] == 1
    eager, compiled = (load_file(tmp_path / name / "model.safetensors") for name in ("eager", "compiled"))
    assert eager.keys() == compiled.keys()
    for name, weight in eager.items():
        torch.testing.assert_close(compiled[name], weight, rtol=1e-3, atol=1e-4)


RECIPES = sorted((EXAMPLES / "recipes").glob("imagenet_*.yaml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_the_papers_recipes_run_on_the_data_at_hand(example, folders, tmp_path, recipe):
    """The same file as for ImageNet; only the size of things is overridden."""
    folder = folders["mi" if "mi" in recipe.stem else "rs"]
    module = example(SCRIPT)
    metrics = module.main(
        [
            str(recipe),
            "--dataset_name",
            str(folder),
            "--output_dir",
            str(tmp_path),
            "--use_cpu",
            "--eval_split",
            "test",
            "--bf16",
            "false",
            "--torch_compile",
            "false",
            "--dataloader_num_workers",
            "0",
            "--hub_model_id",
            "none",
            "--push_to_hub",
            "false",
            *TWO_STEPS,
        ]
    )
    assert metrics["world_size"] == 1 and torch.isfinite(torch.tensor(metrics["train_loss"]))


def test_the_checkpoint_holds_no_path_of_the_owner(example, folders, tmp_path):
    run(example, folders["rs"], tmp_path)
    for name in ("config.json", "preprocessor_config.json", "encryption_config.json"):
        text = (tmp_path / name).read_text()
        assert str(folders["rs"]) not in text and "nonce" not in text and "key" not in json.loads(text)
