import re

import pytest
import yaml

from hipmr_hf.encryption import MixingUp, RandomShuffling
from hipmr_hf.hub.card_renewal import merge_card, save_card
from hipmr_hf.hub.cards import AuditRow, DatasetFacts, ModelFacts, dataset_card, model_card
from hipmr_hf.hub.shareable_command import shareable_command
from hipmr_hf.leaks.guard import key_id_in

FORBIDDEN = re.compile(r"\b(secure|anonymous|anonymi[sz]ed|confidential|intractable)\b", re.IGNORECASE)
SHUFFLING = RandomShuffling(image_size=64, patch_size=8, interval=2)
DATASET = DatasetFacts(
    "me/scans",
    SHUFFLING,
    {"train": 1200, "test": 34},
    columns={"image": "encrypted image", "label": "one of 3 classes", "nonce": "bytes"},
    key_id="0123456789abcdef",
    image_format="png",
    license="cc-by-4.0",
    gated_prompt="Do not try to restore pictures.",
    audit=(AuditRow("jigsaw, 2.7 CPU s, n = 16", ".49 of neighbours", ".005"),),
)
MODEL = ModelFacts(
    "me/pevit-scans",
    SHUFFLING,
    metrics={"eval_accuracy": 0.9131, "eval_top_5_accuracy": 0.99, "eval_loss": 0.4, "epoch": 3.0},
    baselines={"ViT on plain images": {"accuracy": 0.9201}},
    dataset_name="me/scans",
    evaluated_on="the 34 images of the split test, one seed",
    training_command="run_image_classification.py --dataset_name me/scans --do_train",
    base_model="facebook/deit-tiny-patch16-224",
    num_parameters=5_500_000,
    license="apache-2.0",
    audit=DATASET.audit,
)

# One expression over a whole card: everything that must be in it, in its order, and no heading in between.
DATASET_CARD = re.compile(
    r"""---
license: cc-by-4.0
size_categories: 1K<n<10K
task_categories:
- image-classification
tags:
- hipmr-hf
- perceptual-encryption
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-\*
  - split: test
    path: data/test-\*
encryption:
  strategy: rs
(?:  \w+: .+\n)+  key_id: 0123456789abcdef
extra_gated_prompt: .+
---

# scans

<!-- hipmr-hf: begin[^#]*-->
1,234 images, perceptually encrypted[^#]*
\| train \| 1200 \|
\| test \| 34 \|

Columns: `image` \(encrypted image\), `label` \(one of 3 classes\), `nonce` \(bytes\)\.

## How to load it

```python
[^#]*load_dataset\("me/scans"\)
[^#]*repo_type="dataset"\)  # to encrypt more images alike
```

## How it was encrypted

\*\*Random shuffling \(RS\)\*\*[^#]*
\| `strategy` \| rs \|
\| `image_size` \| 64 \|
\| `patch_size` \| 8 \|
\| `interval` \| 2 \|
[^#]*secret key and the nonce[^#]*as PNG: no path[^#]*

## Attacks tried on it

\| attack \| score \| chance \|
\|---\|---\|---\|
\| jigsaw, 2.7 CPU s, n = 16 \| .49 of neighbours \| .005 \|

## What this does not protect

(?:- [^\n#]+\n){9}
## Citation

```bibtex
@article\{[^#]*2306\.03679[^#]*\}
```
<!-- hipmr-hf: end -->"""
)
MODEL_CARD = re.compile(
    r"""---
[^#]*
model-index:
- name: pevit-scans
  results:
[^#]*---

# pevit-scans

<!-- hipmr-hf: begin[^#]*-->
A vision transformer of 5,500,000 parameters for image classification[^#]*Neither[^#]*

## How to use it

```python
from PIL import Image
[^`]*Encryption\.from_pretrained\("me/pevit-scans", repo_type="model"\)
[^`]*AutoModelForImageClassification\.from_pretrained\("me/pevit-scans"\)
[^`]*```

[^#]*
## Results

\| model \| accuracy \| top_5_accuracy \|
\|---\|---\|---\|
\| this model \| 0\.9131 \| 0\.99 \|
\| ViT on plain images \| 0\.9201 \|  \|

Measured on the 34 images of the split test, one seed\.

## How it was trained

```bash
run_image_classification\.py --dataset_name me/scans --do_train
```

## How its images were encrypted

[^#]*
## Attacks tried on the images

[^#]*
## What this does not protect

(?:- [^\n#]+\n){8}
## Citation

[^#]*<!-- hipmr-hf: end -->"""
)


def metadata(card) -> dict:
    return yaml.safe_load(str(card).split("---\n")[1])


def test_a_whole_dataset_card():
    assert DATASET_CARD.fullmatch(str(dataset_card(DATASET))), str(dataset_card(DATASET))


def test_a_whole_model_card():
    assert MODEL_CARD.fullmatch(str(model_card(MODEL))), str(model_card(MODEL))


def test_metadata_of_a_model_card():
    told = metadata(model_card(MODEL))
    assert (told["library_name"], told["pipeline_tag"], told["license"]) == (
        "transformers",
        "image-classification",
        "apache-2.0",
    )
    assert told["datasets"] == "me/scans" and told["base_model"] == "facebook/deit-tiny-patch16-224"
    (result,) = told["model-index"][0]["results"]
    assert result["task"]["type"] == "image-classification" and result["dataset"]["type"] == "me/scans"
    assert [metric["value"] for metric in result["metrics"]] == [0.9131, 0.99]
    assert told["encryption"]["patch_size"] == 8 and "key_id" not in told["encryption"]


def test_what_is_not_known_leaves_no_trace():
    for card in (
        str(dataset_card(DatasetFacts("me/scans", SHUFFLING, {"train": 3}))),
        str(model_card(ModelFacts("me/pevit", SHUFFLING))),
    ):
        assert not re.search(r"None|\[More Information Needed\]|null|\n\n\n|## Attacks|## Results", card), (
            card
        )


@pytest.mark.parametrize(
    "encryption",
    [
        RandomShuffling(),
        RandomShuffling(interval=6, drop_ratio=0.1),
        *(
            RandomShuffling(sub_patch_grid=2, sub_patch_symmetries=turned, patch_normalization=normalized)
            for turned in (False, True)
            for normalized in (False, True)
        ),
        MixingUp(),
        MixingUp(patch_normalization=True),
        MixingUp(sub_patch_symmetries=True, patch_normalization=True),
        RandomShuffling(sub_patch_grid=2, sub_patch_symmetries=True, shuffle_tones=True),
        MixingUp(sub_patch_symmetries=True, shuffle_tones=True),
        MixingUp(shuffle_tones=True),
    ],
)
def test_no_card_promises_what_does_not_hold(encryption):
    cards = (
        dataset_card(DatasetFacts("me/scans", encryption, {"train": 3})),
        model_card(ModelFacts("me/pevit", encryption, task="object-detection")),
    )
    for card in cards:
        assert not FORBIDDEN.search(str(card))
        assert "perceptual" in str(card) and "lower bounds" in str(card) and "chance" in str(card)


def test_a_mixed_up_scene_is_not_said_to_be_hidden():
    said = str(dataset_card(DatasetFacts("me/scans", MixingUp(), {"train": 3})))
    assert "the eye still sees the scene" in said and "do not recognise" not in said


def test_tones_that_were_dealt_out_are_said_to_stay_a_palette():
    for encryption in (MixingUp(shuffle_tones=True), RandomShuffling(shuffle_tones=True)):
        said = str(dataset_card(DatasetFacts("me/scans", encryption, {"train": 3})))
        assert "| `shuffle_tones` | True |" in said and "The palette stays as it was" in said
    usual = str(dataset_card(DatasetFacts("me/scans", MixingUp(), {"train": 3})))
    assert "shuffle_tones" not in usual and "palette" not in usual


def test_the_key_id_is_found_again_whatever_it_looks_like():
    for key_id in ("0123456789abcdef", "1234567890123456", "12345e1234567890"):
        facts = DatasetFacts("me/scans", SHUFFLING, {"train": 3}, key_id=key_id)
        assert key_id_in(str(dataset_card(facts))) == key_id


def test_a_task_without_a_model_is_refused():
    with pytest.raises(ValueError, match="task: got 'text'"):
        model_card(ModelFacts("me/pevit", SHUFFLING, task="text"))


# Cards that people have written in


def test_a_card_of_their_own_stays_as_it_is(tmp_path):
    (tmp_path / "README.md").write_text("# Mine\n\nMy words.\n")
    save_card(dataset_card(DATASET), tmp_path)
    assert (tmp_path / "README.md").read_text() == "# Mine\n\nMy words.\n"


def test_their_text_and_metadata_stay_and_ours_is_renewed(tmp_path):
    old = str(dataset_card(DatasetFacts("me/scans", MixingUp(), {"train": 3}, license="mit")))
    edited = old.replace("# scans\n", "# My scans\n\nAbout them.\n").replace(
        "license: mit", "license: cc0-1.0"
    )
    edited = edited.replace("---\n\n#", "language: de\n---\n\n#") + "\nMy closing words.\n"
    (tmp_path / "README.md").write_text(edited)
    save_card(dataset_card(DATASET), tmp_path)
    merged = (tmp_path / "README.md").read_text()
    assert "# My scans\n\nAbout them.\n" in merged and merged.endswith("\nMy closing words.\n")
    assert "Random shuffling" in merged and "Mixing-up" not in merged
    told = metadata(merged)
    assert told["license"] == "cc0-1.0" and told["language"] == "de"
    assert told["encryption"]["strategy"] == "rs" and told["size_categories"] == "1K<n<10K"


def test_merging_twice_changes_nothing_more():
    rendered = str(dataset_card(DATASET))
    once = merge_card(rendered, rendered)
    assert merge_card(once, rendered) == once and metadata(once) == metadata(rendered)


def test_commands_are_published_without_tokens_and_folders():
    command = [
        "/opt/x/train.py",
        "--output_dir=/home/me/out",
        "--hub_token=hf_x",
        "--dataset_name",
        "me/scans",
    ]
    assert shareable_command(command) == "train.py --output_dir=LOCAL --dataset_name me/scans"
    assert shareable_command(["t.py", "--token", "hf_x", "--dir", "C:\\Users\\me\\out"]) == "t.py --dir LOCAL"


def test_a_command_hides_local_data_that_a_relative_path_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jane_doe").mkdir()
    assert shareable_command(["train.py", "--dataset_name", "jane_doe"]) == "train.py --dataset_name LOCAL"
    assert shareable_command(["train.py", "--dataset_name", "me/scans"]) == "train.py --dataset_name me/scans"
