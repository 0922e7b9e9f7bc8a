import pytest
import yaml
from command_helpers import run
from example_helpers import EXAMPLES, TINY_MODEL, results
from huggingface_hub import ModelCard
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForSemanticSegmentation, pipeline
from without_the_package import assert_answers_alike

from hipmr_hf import Encryption, MixingUp, PEViTForSemanticSegmentation
from hipmr_hf.training.digit_scenes import digit_scenes

SCRIPT = "run_semantic_segmentation.py"
MIXING = MixingUp(patch_size=8)
SIZE = {"size": (48, 64), "digit_sizes": (12, 24), "with_masks": True, "one_class": True}
TWO_STEPS = (
    "--do_train --do_eval --max_steps 2 --report_to none --save_strategy no --class_names ground digit"
)
TWO_STEPS = [*TWO_STEPS.split(), "--per_device_train_batch_size", "3", "--per_device_eval_batch_size", "2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of scenes and masks, which the command mixed up; 11 for evaluation, which no two processes can
    share evenly."""
    root = tmp_path_factory.mktemp("scenes")
    for split, count in (("train", 12), ("test", 11)):
        for name in ("images", "masks"):
            (root / "plain" / split / name).mkdir(parents=True)
        for number, row in enumerate(digit_scenes(count, seed=count, split=split, **SIZE)):
            row["image"].save(root / "plain" / split / "images" / f"{number}.png")
            row["mask"].save(root / "plain" / split / "masks" / f"{number}.png")
    command = ["encrypt", root / "plain", "--output-dir", root / "mi", "--strategy", "mi", "--patch-size", 8]
    assert run(*command, "--mask-column", "mask") == 0
    return root / "mi"


def test_files_train_in_two_processes_and_the_checkpoint_answers_without_the_package(
    launch, folder, tmp_path
):
    launch(
        SCRIPT, "--dataset_name", folder, "--output_dir", tmp_path, *TWO_STEPS, *TINY_MODEL, num_processes=2
    )
    scores = results(tmp_path)
    assert (scores["world_size"], scores["eval_images"]) == (2, 11)
    assert 0 <= scores["eval_mean_iou"] <= scores["eval_pixel_accuracy"] <= 1 and "eval_iou_digit" in scores
    assert Encryption.from_pretrained(tmp_path) == MIXING
    assert Image.open(tmp_path / "segments.png").size == (4 * 4 * 32 + 3 * 6, 3 * 4 * 24 + 2 * 6)
    model = AutoModelForSemanticSegmentation.from_pretrained(tmp_path)
    assert isinstance(model, PEViTForSemanticSegmentation) and model.config.position_grid == (6, 8)
    assert AutoImageProcessor.from_pretrained(tmp_path).patch_size == 4
    card = ModelCard((tmp_path / "README.md").read_text())
    told = {result.metric_name: result.metric_value for result in card.data.eval_results}
    assert told["mean_iou"] == scores["eval_mean_iou"] and card.data.pipeline_tag == "image-segmentation"
    assert "AutoModelForSemanticSegmentation" in card.text
    plain = digit_scenes(1, seed=3, **SIZE)[0]["image"]
    segment = pipeline("image-segmentation", model=str(tmp_path), device="cpu")
    found = segment(Encryption.from_pretrained(tmp_path)(plain))
    assert {one["label"] for one in found} <= {"ground", "digit"} and found[0]["mask"].size == (32, 24)
    assert_answers_alike({tmp_path: AutoModelForSemanticSegmentation}, plain, tmp_path / "home")


def test_one_process_and_two_measure_the_same(example, folder, tmp_path):
    """The checkpoint of one run, evaluated in another, whose batches fall otherwise."""
    options = ["--use_cpu", "--disable_tqdm", "true", "--draw", "0", "--dataset_name", str(folder)]
    first = example(SCRIPT).main([*options, *TWO_STEPS, *TINY_MODEL, "--output_dir", str(tmp_path / "a")])
    again = ["--model_name_or_path", str(tmp_path / "a"), "--output_dir", str(tmp_path / "b"), "--do_eval"]
    again += ["--per_device_eval_batch_size", "11", "--report_to", "none", "--class_names", "ground", "digit"]
    second = example(SCRIPT).main([*options, *again])
    for name in ("eval_mean_iou", "eval_pixel_accuracy", "eval_iou_ground", "eval_images"):
        assert first[name] == pytest.approx(second[name])


def test_the_recipe_file_runs(example, folder, tmp_path):
    recipe = EXAMPLES / "recipes" / "digits_pevit_masks_mi.yaml"
    assert yaml.safe_load(recipe.read_text())["patch_embedding"] == "texture"
    options = ["--dataset_name", str(folder), "--output_dir", str(tmp_path), *TWO_STEPS, *TINY_MODEL]
    scores = example(SCRIPT).main([str(recipe), *options, "--disable_tqdm", "true", "--bf16", "false"])
    assert scores["eval_images"] == 11
    model = AutoModelForSemanticSegmentation.from_pretrained(tmp_path)
    assert model.config.patch_embedding == "texture"
