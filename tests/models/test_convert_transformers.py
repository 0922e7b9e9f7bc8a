import pytest
import torch
from conversion_models import random_weights, resize_patches
from transformers import (
    AutoModelForImageClassification,
    DeiTConfig,
    DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessorPil,
    ViTModel,
    YolosConfig,
    YolosForObjectDetection,
)

from hipmr_hf.cli import main
from hipmr_hf.models import (
    PEViTForImageClassification,
    PEViTForImageClassificationWithTeacher,
    PEViTImageProcessorPil,
)
from hipmr_hf.models.convert_transformers import (
    convert_transformers_state_dict,
    load_pevit_from_transformers,
)

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "image_size": 16,
    "patch_size": 4,
    "num_labels": 3,
}
PIXELS = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
KINDS = {
    "vit": (ViTForImageClassification, ViTConfig, PEViTForImageClassification),
    "deit": (DeiTForImageClassification, DeiTConfig, PEViTForImageClassification),
    "distilled deit": (
        DeiTForImageClassificationWithTeacher,
        DeiTConfig,
        PEViTForImageClassificationWithTeacher,
    ),
}


def classifier(name, **settings):
    kind, config, _ = KINDS[name]
    return random_weights(kind(config(**SIZES, **settings)))


def convert(source, **settings):
    return convert_transformers_state_dict(source.state_dict(), source.config, **settings)


def check_the_same(ours, theirs):
    """Logits (batch, labels), in float64 to the last digits."""
    assert ours.dtype == torch.float64
    torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("name", KINDS)
@torch.no_grad()
def test_with_absolute_positions_the_logits_are_the_same(name, tmp_path):
    """Of what was loaded from a file; a DeiT with one head keeps its distillation token."""
    source = classifier(name, layer_norm_eps=1e-5)
    source.save_pretrained(tmp_path)
    model, _, report = load_pevit_from_transformers(str(tmp_path), position_encoding="absolute")
    assert type(model) is KINDS[name][2] and (report.dropped, report.new) == ((), ())
    check_the_same(*(each.double()(PIXELS.double()).logits for each in (model, source)))


@pytest.mark.parametrize("size", [(12, 12), (24, 24), (24, 12)])
@pytest.mark.parametrize("name", KINDS)
@torch.no_grad()
def test_other_sizes_resize_positions_as_the_source_does(name, size):
    """Where they are stored resized, and where a model is shown such a picture."""
    source = classifier(name).double()
    pixels = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    theirs = source(pixels, interpolate_pos_encoding=True).logits
    stored, report = convert(source, position_encoding="absolute", image_size=size)
    shown, _ = convert(source, position_encoding="absolute")
    check_the_same(stored(pixels).logits, theirs)
    check_the_same(shown(pixels).logits, theirs)
    assert f"positions resized from 4x4 to {size[0] // 4}x{size[1] // 4} patches" in report.notes


def see_only_what_smaller_patches_show(source, size):
    """Give a model a kernel that makes every patch smaller itself, and then looks with a part of its own."""
    kernel = source.base_model.embeddings.patch_embeddings.projection.weight
    pixels = torch.eye(16, dtype=torch.float64).reshape(16, 1, 4, 4)
    made_smaller = resize_patches(pixels, 4, size).flatten(1)
    kernel.copy_((kernel[..., :size, :size].flatten(2) @ made_smaller.T).unflatten(2, (4, 4)))


@pytest.mark.parametrize("patch_size", [3, 6])
@pytest.mark.parametrize("name", KINDS)
@torch.no_grad()
def test_other_patches_give_the_logits_of_those_that_they_were_resized_from(name, patch_size):
    source = classifier(name).double()
    if patch_size < 4:
        see_only_what_smaller_patches_show(source, patch_size)
    model, report = convert(source, position_encoding="absolute", patch_size=patch_size)
    resized = resize_patches(PIXELS.double(), 4, patch_size)
    check_the_same(model(resized).logits, source(PIXELS.double()).logits)
    assert f"patch embedding resized from 4 to {patch_size} pixels (pseudo-inverse)" in report.notes


def test_positions_give_way_to_the_reference_encoding(tmp_path):
    classifier("vit").save_pretrained(tmp_path)
    model, _, report = load_pevit_from_transformers(str(tmp_path))
    assert model.config.position_encoding == "reference"
    assert report.dropped == () and "vit.embeddings.position_embeddings" in report.taken
    assert report.new and all(".reference_encoding." in name for name in report.new)


@pytest.mark.parametrize("encoding", ["none", "reference"])
@pytest.mark.parametrize("name", KINDS)
@torch.no_grad()
def test_averaged_positions_lose_the_places_and_nothing_else(name, encoding):
    source = classifier(name).double()
    model, _ = convert(source, position_encoding=encoding)
    patches = source.base_model.embeddings.position_embeddings[:, -16:]  # rows of tokens stand before them
    patches.copy_(patches.mean(dim=1, keepdim=True))
    check_the_same(model(PIXELS.double()).logits, source(PIXELS.double()).logits)


def test_a_model_without_a_head_gets_a_new_one(tmp_path):
    ViTModel(ViTConfig(**SIZES)).save_pretrained(tmp_path)
    _, _, report = load_pevit_from_transformers(str(tmp_path), position_encoding="none")
    assert set(report.dropped) == {"vit.pooler.dense.weight", "vit.pooler.dense.bias"}
    assert report.new == ("classifier.weight", "classifier.bias")


def test_labels_and_normalisation_come_along(tmp_path):
    names = {0: "cat", 1: "dog", 2: "hen"}
    sizes = {name: value for name, value in SIZES.items() if name != "num_labels"}
    ViTForImageClassification(ViTConfig(**sizes, id2label=names)).save_pretrained(tmp_path)
    ViTImageProcessorPil(image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6]).save_pretrained(tmp_path)
    model, processor, _ = load_pevit_from_transformers(str(tmp_path))
    assert model.config.id2label == names
    assert list(processor.image_mean) == [0.1, 0.2, 0.3] and list(processor.image_std) == [0.4, 0.5, 0.6]
    assert processor.patch_size == 4


def test_the_command_lists_what_became_of_the_tensors(tmp_path, capsys):
    ViTForImageClassification(ViTConfig(**SIZES)).save_pretrained(tmp_path / "vit")
    assert main(["convert", str(tmp_path / "vit"), "--output-dir", str(tmp_path / "pevit")]) == 0
    printed = capsys.readouterr().out
    assert "dropped: 0\nnew: 5\n" in printed and "Positions averaged: every patch" in printed
    loaded = AutoModelForImageClassification.from_pretrained(tmp_path / "pevit")
    assert type(loaded) is PEViTForImageClassification
    assert PEViTImageProcessorPil.from_pretrained(tmp_path / "pevit").patch_size == 4


def test_the_command_converts_a_published_file(tmp_path, capsys):
    shapes = {"cls_token": (1, 1, 8), "patch_embed.proj.weight": (8, 3, 4, 4), "norm.weight": (8,)}
    shapes |= {"blocks.0.attn.qkv.weight": (24, 8), "blocks.0.mlp.fc1.weight": (32, 8), "mask": (1,)}
    torch.save({"model": {name: torch.ones(shape) for name, shape in shapes.items()}}, tmp_path / "pevit.pth")
    command = ["convert", str(tmp_path / "pevit.pth"), "--output-dir", str(tmp_path / "out")]
    assert main(command) == 2 and "--num-heads: a state dict cannot tell it" in capsys.readouterr().err
    assert main([*command, "--num-heads", "2"]) == 0
    printed = capsys.readouterr().out
    assert "taken: 5\ndropped: 1\n    mask\nnew: " in printed and "    classifier.weight\n" in printed
    assert (
        type(AutoModelForImageClassification.from_pretrained(tmp_path / "out")) is PEViTForImageClassification
    )


def test_other_models_are_refused(tmp_path, capsys):
    sizes = {name: value for name, value in SIZES.items() if name != "image_size"}
    YolosForObjectDetection(YolosConfig(**sizes, image_size=[16, 16])).save_pretrained(tmp_path / "yolos")
    assert main(["convert", str(tmp_path / "yolos"), "--output-dir", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "is of model type 'yolos', allowed are 'vit', 'deit', 'dinov2' and" in error
    assert not list(tmp_path.glob("*out*"))
