"""Beside each of the paper's recipes lies one with the invariant embedding, which differs in little else."""

import dataclasses

import pytest
import yaml
from example_helpers import EXAMPLES
from transformers import TrainingArguments

from hipmr_hf.training.script import parse_arguments

RECIPES = EXAMPLES / "recipes"
MAY_DIFFER = {"dataset_name", "output_dir", "patch_embedding", "turns"}


@pytest.mark.parametrize("name", ["imagenet_pevit_base_rs", "coco_peyolos_small_mi"])
def test_it_differs_in_the_embedding_and_in_the_data(name):
    papers, invariant = (
        yaml.safe_load((RECIPES / f"{name}{suffix}.yaml").read_text()) for suffix in ("", "_invariant")
    )
    different = {key for key in {*papers, *invariant} if papers.get(key) != invariant.get(key)}
    assert different <= MAY_DIFFER and invariant["patch_embedding"] in ("invariant", "texture")


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_its_script_takes_every_line(example, recipe):
    scripts = {"imagenet": "run_image_classification.py", "coco": "run_object_detection.py"}
    script = scripts.get(recipe.stem.split("_")[0], "run_semantic_segmentation.py")
    module = example(script)
    kinds = [module.DataArguments, module.ModelArguments, module.RecipeArguments, TrainingArguments]
    groups = {kind.__name__: kind for kind in kinds}
    parsed = parse_arguments(groups, [str(recipe), "--bf16", "false"])
    told = {field.name for part in parsed for field in dataclasses.fields(part)}
    assert set(yaml.safe_load(recipe.read_text())) <= told
