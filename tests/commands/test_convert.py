"""`hipmr convert` as a user types it; what becomes of weights is tested beside the models."""

import re

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    AutoModelForObjectDetection,
    BertConfig,
    ViTConfig,
    ViTForImageClassification,
)

from hipmr_hf import Encryption, MixingUp, RandomShuffling
from hipmr_hf.cli import main
from hipmr_hf.models import convert_transformers
from hipmr_hf.training.classification import build_pevit

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
MIXING, SHUFFLING = MixingUp(image_size=64, patch_size=16), RandomShuffling(image_size=64, patch_size=16)


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    """A ViT with patches of 16 pixels, as those of DeiT are."""
    folder = tmp_path_factory.mktemp("vit")
    config = ViTConfig(**SIZES, image_size=64, patch_size=16, num_labels=3)
    ViTForImageClassification(config).save_pretrained(folder)
    return folder


def run(*arguments: object) -> int:
    return main(["convert", *map(str, arguments)])


def only_line(capsys) -> str:
    """The one line on the standard error, without bars."""
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("hipmr: error: ")]
    return line


@pytest.mark.parametrize(
    ("encryption", "position", "patch_size"),
    [(SHUFFLING, "reference", 16), (MIXING, "absolute", 8), (MixingUp(patch_size=16), "absolute", 8)],
    ids=["RS", "MI", "MI of any size"],
)
def test_the_settings_go_along_and_choose_what_they_imply(
    encryption, position, patch_size, vit, tmp_path, capsys
):
    encryption.save_pretrained(tmp_path / "data")
    assert run(vit, "--encryption", tmp_path / "data", "--output-dir", tmp_path / "out") == 0
    shown = capsys.readouterr()
    assert ("random weights: train the checkpoint" in shown.out) == (position == "reference")
    assert ("resized from 16 to 8 pixels" in shown.out) == (patch_size == 8)
    assert Encryption.from_pretrained(tmp_path / "out") == encryption
    config = AutoModelForImageClassification.from_pretrained(tmp_path / "out").config
    assert (config.position_encoding, config.patch_size) == (position, patch_size)
    processor = AutoImageProcessor.from_pretrained(tmp_path / "out")
    size = processor.encrypted_size and tuple(processor.encrypted_size)
    assert (processor.patch_size, size) == (patch_size, encryption.encrypted_size)


def test_a_presets_name_stands_for_its_settings(vit, tmp_path):
    assert run(vit, "--encryption", "classification", "--output-dir", tmp_path / "out") == 0
    assert Encryption.from_pretrained(tmp_path / "out") == Encryption.from_preset("classification")
    config = AutoModelForImageClassification.from_pretrained(tmp_path / "out").config
    assert config.patch_size == Encryption.from_preset("classification").encrypted_patch_size


def test_training_goes_on_from_it_without_a_table_of_mismatches(vit, tmp_path, capfd, caplog):
    """Only the head for other classes is new, and one line says so."""
    MIXING.save_pretrained(tmp_path / "data")
    assert run(vit, "--encryption", tmp_path / "data", "--output-dir", tmp_path / "out") == 0
    capfd.readouterr()
    model, _ = build_pevit(MIXING, checkpoint=str(tmp_path / "out"), num_labels=5)
    shown = "".join(capfd.readouterr())
    assert "MISMATCH" not in shown and "LOAD REPORT" not in shown
    (record,) = [record for record in caplog.records if record.name.startswith("hipmr_hf")]
    assert "as expected, 2 parameters are new" in record.getMessage()
    assert "classifier.bias, classifier.weight" in record.getMessage()
    assert model.classifier.out_features == 5


def test_a_detector_takes_size_and_patches_from_the_settings(vit, tmp_path):
    MIXING.save_pretrained(tmp_path / "data")
    command = (vit, "--architecture", "peyolos", "--encryption", tmp_path / "data")
    assert run(*command, "--output-dir", tmp_path / "out") == 0
    config = AutoModelForObjectDetection.from_pretrained(tmp_path / "out").config
    assert (config.image_size, config.patch_size) == ([32, 32], 8)
    assert list(AutoImageProcessor.from_pretrained(tmp_path / "out").encrypted_size) == [32, 32]
    assert Encryption.from_pretrained(tmp_path / "out") == MIXING


def test_what_does_not_go_together_is_one_line(vit, tmp_path, capsys):
    SHUFFLING.save_pretrained(tmp_path / "rs")
    BertConfig().save_pretrained(tmp_path / "bert")
    (tmp_path / "unknown").mkdir()
    (tmp_path / "unknown" / "config.json").write_text('{"model_type": "nobody knows"}')
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    torch.save({"weight": torch.ones(1)}, tmp_path / "other.pth")
    out = ("--output-dir", tmp_path / "out")
    for command, message in (
        (
            (vit, "--architecture", "peyolos", "--encryption", tmp_path / "rs"),
            "--encryption: .* was shuffled",
        ),
        ((vit, "--encryption", tmp_path / "bert"), "no encryption_config.json"),
        ((tmp_path / "bert",), "of model type 'bert'"),
        ((tmp_path / "unknown",), "checkpoint: .*unknown is none that transformers reads"),
        ((tmp_path / "nowhere",), "checkpoint: .*nowhere is none that transformers reads"),
        ((tmp_path / "torn.safetensors", "--num-heads", 2), "torn.safetensors cannot be read"),
        ((tmp_path / "other.pth", "--num-heads", 2), "is no PEViT of the published program"),
    ):
        assert run(*command, *out) == 2
        line = only_line(capsys)
        assert re.search(message, line), line
    assert not (tmp_path / "out").exists()


def test_a_mistake_of_ours_is_not_taken_for_the_users(vit, tmp_path, monkeypatch, capsys):
    def broken(*arguments, **settings):
        raise ValueError("too many values to unpack")

    monkeypatch.setattr(convert_transformers, "_config_for", broken)
    assert run(vit, "--output-dir", tmp_path / "out") == 1
    shown = capsys.readouterr().err
    assert "Traceback" in shown and "mistake of the program" in shown


@pytest.mark.parametrize(
    ("encryption", "kind"),
    [
        (RandomShuffling(image_size=64, patch_size=16, sub_patch_grid=2, shuffle_tones=True), "invariant"),
        (MIXING, "linear"),
    ],
    ids=["tones apart", "MI"],
)
def test_an_embedding_is_fitted_on_public_pictures_in_one_go(encryption, kind, vit, tmp_path, capsys):
    folder = tmp_path / "public"
    folder.mkdir()
    for index in range(16):
        pixels = np.random.default_rng(index).integers(0, 256, (10, 10, 3), np.uint8)
        Image.fromarray(pixels).resize((80, 80), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    encryption.save_pretrained(tmp_path / "data")
    command = (vit, "--encryption", tmp_path / "data", "--pictures", folder)
    assert run(*command, "--output-dir", tmp_path / "out") == 0
    assert f"The {kind} patch embedding, fitted on " in capsys.readouterr().out
    model = AutoModelForImageClassification.from_pretrained(tmp_path / "out")
    assert (model.config.patch_embedding, model.config.patch_size) == (kind, 8)
    processor = AutoImageProcessor.from_pretrained(tmp_path / "out")
    picture = encryption(Image.open(folder / "0.png"))
    assert torch.isfinite(model(**processor(picture, return_tensors="pt")).logits).all()


def test_pictures_without_what_they_are_for_are_refused(vit, tmp_path, capsys):
    MIXING.save_pretrained(tmp_path / "data")
    out, settings = ("--output-dir", tmp_path / "out"), ("--encryption", tmp_path / "data")
    for command, message in (
        ((vit, "--pictures", tmp_path), "--pictures: .* name the dataset with --encryption"),
        ((vit, *settings, "--patch-embedding", "linear"), "--patch-embedding: .* with --pictures"),
        ((vit, *settings, "--pictures", tmp_path, "--architecture", "peyolos"), "for a pevit from"),
    ):
        assert run(*command, *out) == 2
        line = only_line(capsys)
        assert re.search(message, line), line
