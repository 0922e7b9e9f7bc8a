"""Training without labels through the script, and a classifier that starts from it."""

import json

import pytest
from example_helpers import MIXING, SHUFFLING, TINY_MODEL, results
from huggingface_hub import ModelCard
from transformers import AutoModel, AutoModelForPreTraining

from hipmr_hf import Encryption, PEViTForPreTraining
from hipmr_hf.errors import InputValueError

SCRIPT = "run_pretraining.py"
TWO_STEPS = ["--do_train", "--do_eval", "--max_steps", "2", "--report_to", "none", "--turns", "flips"]
TWO_STEPS += ["--per_device_train_batch_size", "8", "--per_device_eval_batch_size", "8", *TINY_MODEL]
HERE = ["--save_strategy", "no", "--use_cpu", "--disable_tqdm", "true"]


def run(example, folder, output, *arguments):
    options = ["--dataset_name", str(folder), "--output_dir", str(output), *HERE, *TWO_STEPS]
    return example(SCRIPT).main([*options, *map(str, arguments)])


def test_two_processes_tell_foreign_patches_and_the_card_says_so(launch, folders, tmp_path):
    launch(SCRIPT, "--dataset_name", folders["rs"], "--output_dir", tmp_path, *TWO_STEPS, num_processes=2)
    told = results(tmp_path)
    assert told["world_size"] == 2 and 0 <= told["eval_foreign_told"] <= 1
    assert Encryption.from_pretrained(tmp_path) == SHUFFLING
    assert type(AutoModelForPreTraining.from_pretrained(tmp_path)) is PEViTForPreTraining
    card = ModelCard((tmp_path / "README.md").read_text())
    assert card.data.pipeline_tag == "image-feature-extraction" and "AutoModel.from_pretrained" in card.text
    assert card.data.eval_results[0].metric_name == "foreign_told"


def test_places_are_told_and_a_classifier_with_positions_starts_from_there(example, folders, tmp_path):
    few = ["--max_eval_samples", 17]  # whose last one is alone in its batch
    metrics = run(example, folders["mi"], tmp_path / "told", "--task", "places", *few)
    assert 0 <= metrics["eval_places_told"] <= 1
    config = json.loads((tmp_path / "told" / "config.json").read_text())
    assert (config["pretraining_task"], config["position_encoding"]) == ("places", "none")
    options = ["--dataset_name", str(folders["mi"]), "--output_dir", str(tmp_path / "classes"), *HERE]
    options += ["--model_name_or_path", str(tmp_path / "told"), "--position_encoding", "absolute"]
    options += ["--do_train", "--max_steps", "1", "--report_to", "none"]
    example("run_image_classification.py").main([*options, "--learning_rate", "0"])
    before, after = (AutoModel.from_pretrained(tmp_path / name) for name in ("told", "classes"))
    assert Encryption.from_pretrained(tmp_path / "classes") == MIXING
    assert after.embeddings.position_embeddings is not None
    taken = before.state_dict()
    assert all((taken[name] == value).all() for name, value in after.state_dict().items() if name in taken)


@pytest.mark.parametrize(
    ("data", "arguments", "message"),
    [
        ("rs", ["--task", "places"], "RandomShuffling shuffles the patches"),
        ("mi", ["--task", "places", "--position_encoding", "absolute"], "would tell the places"),
        ("mi", ["--foreign_patch_rate", "1"], "`foreign_patch_rate` must be above 0 and below 1"),
    ],
)
def test_what_cannot_be_told_is_refused(example, folders, tmp_path, data, arguments, message):
    with pytest.raises(InputValueError, match=message):
        run(example, folders[data], tmp_path, *arguments)
