"""Beside the paper's recipes lies one for each task with the invariant embedding, for the presets."""

import dataclasses
import re

import pytest
import yaml
from example_helpers import EXAMPLES, TINY_MODEL
from transformers import TrainingArguments

from benchmarks.speed.recipes import DATA, data_of
from hipmr_hf import Encryption
from hipmr_hf.hub.preset_figures import preset_of
from hipmr_hf.training.script import parse_arguments

RECIPES = EXAMPLES / "recipes"
ALL = sorted(RECIPES.glob("*.yaml"))
PAPERS = {"imagenet_pevit_base_rs", "imagenet_pevit_base_mi", "coco_peyolos_small_mi"}
MAY_DIFFER = {"dataset_name", "output_dir", "patch_embedding", "turns"}
SCRIPTS = {
    "peyolos": "run_object_detection.py",
    "masks": "run_semantic_segmentation.py",
    "pretraining": "run_pretraining.py",
    "dp": "run_image_classification_dp.py",
    "adaptation": "adapt_backbone.py",
}
SMALL = "--hidden_size 32 --num_hidden_layers 1 --num_attention_heads 2 --disable_tqdm true --max_steps 1"


def script_of(stem: str) -> str:
    """Name the script of a recipe by the words of its name; classification has none of these."""
    return next((SCRIPTS[word] for word in stem.split("_") if word in SCRIPTS), "run_image_classification.py")


def python_of(stem: str) -> str:
    """The owner's Python in a recipe's header, for few scenes."""
    header = (RECIPES / f"{stem}.yaml").read_text().split("in Python:\n")[1].split("# On the builder's")[0]
    code = "\n".join(line[4:] for line in header.splitlines())
    return re.sub(r"digit_scenes\(\d+", "digit_scenes(12", code)


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_it_differs_in_the_embedding_and_in_the_data(name):
    papers, invariant = (
        yaml.safe_load((RECIPES / f"{name}{suffix}.yaml").read_text()) for suffix in ("", "_invariant")
    )
    different = {key for key in {*papers, *invariant} if papers.get(key) != invariant.get(key)}
    assert different <= MAY_DIFFER and invariant["patch_embedding"] in ("invariant", "texture")


@pytest.mark.parametrize("recipe", ALL, ids=lambda path: path.stem)
def test_its_script_takes_every_line(example, recipe):
    module = example(script_of(recipe.stem))
    own = [module.Arguments] if hasattr(module, "Arguments") else None
    kinds = own or [module.DataArguments, module.ModelArguments, module.RecipeArguments, TrainingArguments]
    processor = [] if own else ["--bf16", "false", "--use_cpu"]
    parsed = parse_arguments({kind.__name__: kind for kind in kinds}, [str(recipe), *processor])
    told = {field.name for part in parsed for field in dataclasses.fields(part)}
    assert set(yaml.safe_load(recipe.read_text())) <= told


@pytest.mark.parametrize("recipe", ALL, ids=lambda path: path.stem)
def test_what_is_not_the_papers_is_for_a_preset_that_leaves_little(recipe):
    encryption = DATA[data_of(yaml.safe_load(recipe.read_text()))][0]
    if recipe.stem in PAPERS:
        assert preset_of(encryption) in ("paper-rs", "paper-mi")
    else:
        places = any(word in recipe.stem for word in ("_mi", "masks"))
        assert preset_of(encryption) == ("dense" if places else "classification")


def test_every_recipe_stands_in_the_table_of_tasks_or_is_the_papers():
    page = (EXAMPLES / "README.md").read_text().split("## The recipes, and what they cost")[1]
    named = re.findall(r"`(\w+\.py)` \| (`.*`)", page.split("<!-- recipes: start -->")[0])
    told = {stem: script for script, cell in named for stem in re.findall(r"`(\w+)\.yaml`", cell)}
    assert told == {path.stem: script_of(path.stem) for path in ALL if path.stem not in PAPERS}


@pytest.mark.parametrize("column", ["how_many", "which"])
def test_the_owners_lines_and_the_recipe_of_labels_run_for_numbers_and_for_classes(
    example, tmp_path, monkeypatch, column
):
    monkeypatch.chdir(tmp_path)
    exec(python_of("digits_pevit_labels"), {})
    assert preset_of(Encryption.from_pretrained("outputs/digits_labels")) == "classification"
    options = [str(RECIPES / "digits_pevit_labels.yaml"), "--label_column", column, *SMALL.split()]
    told = example("run_image_classification.py").main(options)
    assert ("eval_r2" if column == "how_many" else "eval_average_precision") in told


def test_the_owners_lines_of_the_recipe_of_masks_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(python_of("digits_pevit_masks_mi"), {})
    assert preset_of(Encryption.from_pretrained("outputs/digits_masks_mi")) == "dense"


@pytest.mark.parametrize(
    ("stem", "more"),
    [
        ("eurosat_pevit_pretraining", "--max_steps 1 --disable_tqdm true"),
        ("eurosat_pevit_dp", "--max_train_steps 1 --expected_batch_size 16 --accountant rdp"),
    ],
)
def test_recipes_of_tiles_take_a_step_on_the_data_at_hand(example, folders, tmp_path, stem, more):
    module = example(script_of(stem))
    options = [
        str(RECIPES / f"{stem}.yaml"),
        "--dataset_name",
        str(folders["rs"]),
        *TINY_MODEL,
        *more.split(),
    ]
    options += ["--output_dir", str(tmp_path), "--per_device_train_batch_size", "16"]
    if hasattr(module, "Arguments"):
        told = module.main(*parse_arguments({"training": module.Arguments}, options))
        assert told["steps"] == 1 and 0 < told["epsilon"] <= 8
    else:
        assert 0 <= module.main(options)["eval_foreign_told"] <= 1


def test_the_recipe_of_adaptation_takes_a_step(example, converted, tmp_path):
    script, paths = example("adapt_backbone.py"), {"model_name_or_path": "pevit", "pictures": "public"}
    paths["teacher_name_or_path"] = "teacher"
    given = [part for name, path in paths.items() for part in (f"--{name}", str(converted / path))]
    options = [str(RECIPES / "eurosat_dinov2_adaptation.yaml"), *given, "--output_dir", str(tmp_path)]
    (args,) = parse_arguments({"adaptation": script.Arguments}, [*options, "--max_train_steps", "1"])
    assert script.main(args)["steps"] == 1
