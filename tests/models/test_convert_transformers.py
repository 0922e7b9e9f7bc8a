import pytest
import torch
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


def random_weights(kind, config):
    """A model none of whose weights is at a value that hides a mistake, such as zero biases."""
    model = kind(config).eval()
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.data.copy_(0.3 * torch.randn(weight.shape, generator=generator) + (weight.data == 1))
    return model


@pytest.mark.parametrize(
    ("kind", "config", "expected"),
    [
        (ViTForImageClassification, ViTConfig, PEViTForImageClassification),
        (DeiTForImageClassification, DeiTConfig, PEViTForImageClassification),
        (DeiTForImageClassificationWithTeacher, DeiTConfig, PEViTForImageClassificationWithTeacher),
    ],
)
def test_with_absolute_positions_the_logits_are_the_same_to_the_last_digits(kind, config, expected, tmp_path):
    """In float64, of what was loaded from a file; a DeiT with one head keeps its distillation token."""
    source = random_weights(kind, config(**SIZES, layer_norm_eps=1e-5))
    source.save_pretrained(tmp_path)
    model, _, report = load_pevit_from_transformers(str(tmp_path), position_encoding="absolute")
    assert type(model) is expected and (report.dropped, report.new) == ((), ())
    with torch.no_grad():
        ours, theirs = (each.double()(PIXELS.double()).logits for each in (model, source))
    torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


def test_positions_give_way_to_the_reference_encoding(tmp_path):
    random_weights(ViTForImageClassification, ViTConfig(**SIZES)).save_pretrained(tmp_path)
    model, _, report = load_pevit_from_transformers(str(tmp_path))
    assert model.config.position_encoding == "reference"
    assert report.dropped == () and "vit.embeddings.position_embeddings" in report.taken
    assert report.new and all(".reference_encoding." in name for name in report.new)


@pytest.mark.parametrize("encoding", ["none", "reference"])
def test_averaged_positions_lose_the_places_and_nothing_else(encoding):
    """Of a distilled DeiT, whose positions have rows for two tokens, in float64."""
    source = random_weights(DeiTForImageClassificationWithTeacher, DeiTConfig(**SIZES)).double()
    model, _ = convert_transformers_state_dict(source.state_dict(), source.config, position_encoding=encoding)
    positions = source.deit.embeddings.position_embeddings
    positions.data[:, 2:] = positions.data[:, 2:].mean(dim=1, keepdim=True)
    with torch.no_grad():
        ours, theirs = model(PIXELS.double()).logits, source(PIXELS.double()).logits
    torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


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
