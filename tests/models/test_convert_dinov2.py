"""DINOv2, with registers and without, as PEViT: the same features in float64, whatever has to be folded."""

import os

import pytest
import torch
from conversion_models import random_weights, resize_patches
from transformers import (
    Dinov2Config,
    Dinov2ForImageClassification,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    ViTConfig,
    ViTModel,
)

from hipmr_hf.models import PEViTForImageClassification, PEViTModel
from hipmr_hf.models.convert_official import ConversionError
from hipmr_hf.models.convert_transformers import (
    convert_transformers_state_dict,
    load_pevit_from_transformers,
)
from hipmr_hf.models.convert_transformers_peyolos import convert_to_peyolos
from hipmr_hf.models.convert_transformers_tensors import resize_patch_weights

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
PLACED = {**SIZES, "image_size": 28, "patch_size": 7}
DOUBLE = {"dtype": torch.float64, "generator": torch.Generator().manual_seed(0)}
PIXELS = torch.randn(2, 3, 28, 28, **DOUBLE)
KINDS = {
    "dinov2": (Dinov2Model, Dinov2Config),
    "dinov2_with_registers": (Dinov2WithRegistersModel, Dinov2WithRegistersConfig),
}


def dinov2(name, **settings):
    kind, config = KINDS[name]
    return random_weights(kind(config(**{**PLACED, **settings})).double())


def convert(source, **settings):
    prefix = source.config.model_type
    tensors = {f"{prefix}.{name}": tensor for name, tensor in source.state_dict().items()}
    return convert_transformers_state_dict(tensors, source.config, **settings)


def features(model, pixels):
    """Class token and patches, without what stands between them."""
    with torch.no_grad():
        tokens = getattr(model, "pevit", model)(pixels).last_hidden_state
    registers = getattr(model.config, "num_register_tokens", 0)
    return torch.cat((tokens[:, :1], tokens[:, 1 + registers :]), dim=1)


@pytest.mark.parametrize("name", KINDS)
def test_with_its_positions_the_features_are_the_same(name):
    source = dinov2(name)
    model, report = convert(source, position_encoding="absolute")
    torch.testing.assert_close(features(model, PIXELS), features(source, PIXELS), atol=1e-10, rtol=1e-10)
    assert report.new == ("classifier.weight", "classifier.bias")
    assert report.dropped == (f"{name}.embeddings.mask_token",)
    assert "LayerScale folded into 4 projections" in report.notes


@pytest.mark.parametrize("encoding", ["none", "reference"])
@pytest.mark.parametrize("name", KINDS)
def test_averaged_positions_lose_the_places_and_nothing_else(name, encoding):
    source = dinov2(name)
    model, report = convert(source, position_encoding=encoding)
    positions = source.embeddings.position_embeddings
    positions.data[:, 1:] = positions.data[:, 1:].mean(dim=1, keepdim=True)
    torch.testing.assert_close(features(model, PIXELS), features(source, PIXELS), atol=1e-10, rtol=1e-10)
    assert f"{name}.embeddings.position_embeddings" in report.taken


@pytest.mark.parametrize("rows", [3, 6])
@pytest.mark.parametrize("name", KINDS)
def test_other_sizes_resize_positions_as_the_source_does(name, rows):
    """One of the two has a low-pass filter, which only fewer rows show."""
    source = dinov2(name)
    model, report = convert(source, position_encoding="absolute", image_size=7 * rows)
    pixels = torch.randn(1, 3, 7 * rows, 7 * rows, **DOUBLE)
    # The source interpolates in float32.
    torch.testing.assert_close(features(model, pixels), features(source, pixels), atol=1e-4, rtol=1e-4)
    assert f"positions resized from 4x4 to {rows}x{rows} patches" in report.notes


def test_larger_patches_give_the_tokens_of_enlarged_ones():
    source = dinov2("dinov2")
    model, report = convert(source, position_encoding="absolute", patch_size=9, image_size=36)
    enlarged = resize_patches(PIXELS, 7, 9)
    torch.testing.assert_close(features(model, enlarged), features(source, PIXELS), atol=1e-8, rtol=1e-8)
    assert "patch embedding resized from 7 to 9 pixels (pseudo-inverse)" in report.notes


def test_a_smaller_kernel_is_the_best_one_for_patches_that_are_made_smaller():
    weight = torch.randn(4, 1, 8, 8, **DOUBLE)
    small = resize_patch_weights(weight, 4)
    patches = torch.eye(64, dtype=torch.float64).reshape(64, 1, 8, 8)
    made_smaller = resize_patches(patches, 8, 4).flatten(1)
    error = weight.flatten(1) - small.flatten(1) @ made_smaller.T
    assert (error @ made_smaller).abs().max() < 1e-9  # the normal equations


def test_the_head_on_patches_is_dropped_and_the_labels_stay():
    config = Dinov2Config(**PLACED, id2label={0: "cat", 1: "dog"})
    source = random_weights(Dinov2ForImageClassification(config))
    model, report = convert_transformers_state_dict(source.state_dict(), config, position_encoding="none")
    assert {"classifier.weight", "classifier.bias"} <= set(report.dropped) & set(report.new)
    assert type(model) is PEViTForImageClassification and model.config.id2label == {0: "cat", 1: "dog"}


def test_registers_are_stored_and_loaded(tmp_path):
    source = dinov2("dinov2_with_registers", num_register_tokens=3)
    model, _ = convert(source, position_encoding="none")
    assert model.pevit.embeddings.register_tokens.shape == (1, 3, 16)
    model.save_pretrained(tmp_path)
    loaded = PEViTModel.from_pretrained(tmp_path, dtype=torch.float64).eval()
    assert torch.equal(features(loaded, PIXELS), features(model, PIXELS))
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    tiles = PIXELS.unfold(2, 7, 7).unfold(3, 7, 7).reshape(2, 3, 16, 7, 7)[:, :, order]
    shuffled = tiles.reshape(2, 3, 4, 4, 7, 7).transpose(3, 4).reshape(2, 3, 28, 28)
    moved = features(loaded, shuffled)[:, 1:]
    torch.testing.assert_close(moved, features(loaded, PIXELS)[:, 1:][:, order], atol=1e-10, rtol=1e-10)


def test_what_has_no_place_is_refused_in_words():
    with pytest.raises(ConversionError, match=r"use_swiglu_ffn: .* take a small, base or large one"):
        convert(dinov2("dinov2", use_swiglu_ffn=True))
    with pytest.raises(ConversionError, match=r"patches of .* pixels, and PEViT's are square"):
        convert(ViTModel(ViTConfig(**SIZES, image_size=28, patch_size=[7, 14])))
    model, _ = convert(dinov2("dinov2_with_registers"), position_encoding="absolute")
    with pytest.raises(ConversionError, match="4 register tokens, and a detector has no place"):
        convert_to_peyolos(model, image_size=28, patch_size=7)
    with pytest.raises(ConversionError, match="4 register tokens, and a detector has no place"):
        convert_to_peyolos(dinov2("dinov2_with_registers"), image_size=28, patch_size=7)
    with pytest.raises(ConversionError, match="use_swiglu_ffn: "):
        convert_to_peyolos(dinov2("dinov2", use_swiglu_ffn=True), image_size=28, patch_size=7)


def test_weights_without_a_processor_are_normalised_as_dinov2_is(tmp_path):
    dinov2("dinov2").save_pretrained(tmp_path)
    _, processor, _ = load_pevit_from_transformers(str(tmp_path), position_encoding="none")
    assert list(processor.image_mean) == [0.485, 0.456, 0.406]
    assert list(processor.image_std) == [0.229, 0.224, 0.225]


def test_the_real_dinov2_small_keeps_its_features():
    folder = os.environ.get("DINOV2_SMALL")
    if folder is None:
        pytest.skip("real weights are not at hand: name a folder with DINOv2-small in DINOV2_SMALL")
    source = Dinov2Model.from_pretrained(folder, dtype=torch.float64).eval()
    model, report = convert(source, position_encoding="absolute", image_size=112)
    pixels = torch.randn(1, 3, 112, 112, **DOUBLE)
    torch.testing.assert_close(features(model, pixels), features(source, pixels), atol=1e-4, rtol=1e-4)
    assert report.new == ("classifier.weight", "classifier.bias")
