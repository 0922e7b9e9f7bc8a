"""The patch embedding that fits an encryption is the default, and one line tells where it is ours."""

import pytest

from hipmr_hf import Encryption, MixingUp, RandomShuffling
from hipmr_hf.training import patch_embedding
from hipmr_hf.training.classification import build_pevit, pevit_config_for
from hipmr_hf.training.detectors import build_peyolos
from hipmr_hf.training.segmentation import build_segmenter

TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture(autouse=True)
def not_told_yet():
    patch_embedding._tell.cache_clear()


@pytest.mark.parametrize(
    ("encryption", "fits"),
    [
        (RandomShuffling(), "linear"),
        (RandomShuffling(sub_patch_grid=2, interval=4), "linear"),
        (RandomShuffling(patch_normalization=True), "linear"),
        (RandomShuffling(sub_patch_symmetries=True), "invariant"),
        (RandomShuffling(shuffle_tones=True), "invariant"),
        (MixingUp(), "nonlinear"),
        (MixingUp(sub_patch_symmetries=True, patch_normalization=True), "invariant"),
        (Encryption.from_preset("classification"), "invariant"),
        (Encryption.from_preset("dense"), "invariant"),
        (Encryption.from_preset("strongest"), "invariant"),
    ],
    ids=str,
)
def test_it_follows_from_the_settings_and_is_told_once(encryption, fits, caplog):
    assert pevit_config_for(encryption, "tiny").patch_embedding == fits
    assert pevit_config_for(encryption, "tiny").patch_embedding == fits
    assert caplog.text.count("the patch embedding is the invariant one") == (fits == "invariant")


def test_what_is_asked_for_is_taken_and_nothing_is_said(caplog):
    encryption = Encryption.from_preset("dense", 64)
    model, _ = build_pevit(encryption, patch_embedding="nonlinear", num_labels=2, **TINY)
    assert model.config.patch_embedding == "nonlinear" and not caplog.text


def test_detectors_have_it_too_and_checkpoints_keep_theirs(tmp_path, caplog):
    dense = Encryption.from_preset("dense", 64)
    model, processor = build_peyolos(dense, (32, 32), **TINY)
    assert model.config.patch_embedding == "texture" and "the texture one" in caplog.text
    assert build_peyolos(MixingUp(64, 8), (32, 32), **TINY)[0].config.patch_embedding == "nonlinear"
    old, processor = build_peyolos(dense, (32, 32), patch_embedding="nonlinear", **TINY)
    old.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again, _ = build_peyolos(dense, (32, 32), checkpoint=str(tmp_path))
    assert again.config.patch_embedding == "nonlinear"


def test_weights_of_a_plain_transformer_get_it_for_mixed_pictures(tmp_path):
    from transformers import DeiTConfig, DeiTModel

    DeiTModel(DeiTConfig(**TINY, intermediate_size=32)).save_pretrained(tmp_path)
    model, _ = build_peyolos(Encryption.from_preset("dense", 64), (32, 32), checkpoint=str(tmp_path))
    assert model.config.patch_embedding == "texture"


def test_segmenters_get_it_for_tones_that_were_dealt_out():
    sizes = {**TINY, "num_labels": 2, "decoder_hidden_size": 4}
    model, _ = build_segmenter(Encryption.from_preset("dense", 64), (32, 32), **sizes)
    assert model.config.patch_embedding == "texture"
    turned = MixingUp(64, 8, sub_patch_symmetries=True)
    assert build_segmenter(turned, (32, 32), **sizes)[0].config.patch_embedding == "invariant"
    asked = build_segmenter(turned, (32, 32), patch_embedding="linear", **sizes)[0]
    assert asked.config.patch_embedding == "linear"
