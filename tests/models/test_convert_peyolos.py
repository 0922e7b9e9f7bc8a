"""Detectors from other checkpoints: what can be equal is equal, what is new is listed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conversion_models import random_weights
from transformers import (
    BertConfig,
    BertModel,
    DeiTConfig,
    DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher,
    Dinov2Config,
    Dinov2ForImageClassification,
    Dinov2Model,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessorPil,
    ViTModel,
    YolosConfig,
    YolosForObjectDetection,
)

from hipmr_hf.cli import main
from hipmr_hf.models import (
    PEViTConfig,
    PEViTForImageClassification,
    PEViTForImageClassificationWithTeacher,
    PEViTPreTrainedModel,
    PEYolosConfig,
    PEYolosForObjectDetection,
    PEYolosImageProcessorPil,
)
from hipmr_hf.models.convert_official_peyolos import convert_peyolos_state_dict, infer_peyolos_config
from hipmr_hf.models.convert_transformers_peyolos import convert_to_peyolos, load_peyolos_from_transformers

SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 48}
NEW_DETECTOR_PARTS = ("detection_tokens", "patch_embeddings", "class_labels_classifier", "bbox_predictor")
LOST_PARTS = ("patch_embeddings", "classifier", "distillation_token", "mask_token")
PLACED = {**SIZES, "image_size": 32, "patch_size": 8}
ABSOLUTE = {**PLACED, "position_encoding": "absolute"}
BACKBONES = {
    "vit": (ViTForImageClassification, ViTConfig(**PLACED)),
    "deit": (DeiTForImageClassification, DeiTConfig(**PLACED)),
    "distilled deit": (DeiTForImageClassificationWithTeacher, DeiTConfig(**PLACED)),
    "pevit": (PEViTForImageClassification, PEViTConfig(**ABSOLUTE)),
    "distilled pevit": (PEViTForImageClassificationWithTeacher, PEViTConfig(**ABSOLUTE)),
}


def yolos(**overrides) -> YolosForObjectDetection:
    settings = {"image_size": [16, 24], "patch_size": 4, "num_detection_tokens": 7, "num_labels": 5}
    return random_weights(YolosForObjectDetection(YolosConfig(**{**SIZES, **settings, **overrides})))


def backbone(name):
    kind, config = BACKBONES[name]
    return random_weights(kind(config).double())


def dinov2(kind=Dinov2ForImageClassification, **settings):
    sizes = {name: value for name, value in PLACED.items() if name != "intermediate_size"}
    return random_weights(kind(Dinov2Config(**sizes, **settings)).double())


def pixels(height: int = 16, width: int = 24) -> torch.Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(1))


def check_the_same(model, source, images, outputs):
    """In float64, which keeps what was taken in float32 as it is."""
    ours, theirs = (each.double()(images.double()) for each in (model, source))
    for name in outputs:
        torch.testing.assert_close(ours[name], theirs[name], atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("mid", [False, True])
@pytest.mark.parametrize("size", [(16, 24), (24, 20)])
@torch.no_grad()
def test_with_a_linear_patch_embedding_the_detector_is_yolos(mid, size):
    source = yolos(use_mid_position_embeddings=mid)
    model, report = convert_to_peyolos(source, image_size=(16, 24), patch_size=4, patch_embedding="linear")
    assert (report.new, len(report.taken)) == ((), len(source.state_dict()))
    check_the_same(model, source, pixels(*size), ("logits", "pred_boxes"))


@torch.no_grad()
def test_a_one_layer_yolos_with_mid_positions_has_none_to_resize():
    source = yolos(use_mid_position_embeddings=True, num_hidden_layers=1)
    model, report = convert_to_peyolos(
        source, image_size=(16, 24), patch_size=4, patch_embedding="linear", num_detection_tokens=9
    )
    assert model.peyolos.mid_position_embeddings.shape == (0, 1, 1 + 24 + 9, 32)
    assert report.new == ("peyolos.embeddings.detection_tokens",)


@torch.no_grad()
def test_yolos_behind_a_new_patch_embedding_is_yolos_on_the_same_features():
    source = yolos()
    model, report = convert_to_peyolos(source, image_size=(8, 12), patch_size=2)
    assert all("patch_embeddings" in name for name in (*report.new, *report.dropped))
    assert len(report.new) == 4 and len(report.dropped) == 2
    model.peyolos.embeddings.patch_embeddings = source.vit.embeddings.patch_embeddings.projection
    check_the_same(model, source, pixels(), ("logits",))


def test_another_number_of_classes_or_detections_makes_only_those_new():
    _, report = convert_to_peyolos(
        yolos(), image_size=(16, 24), patch_size=4, patch_embedding="linear", num_labels=3
    )
    assert set(report.new) == {f"class_labels_classifier.layers.2.{kind}" for kind in ("weight", "bias")}
    model, report = convert_to_peyolos(
        yolos(), image_size=(16, 24), patch_size=4, patch_embedding="linear", num_detection_tokens=9
    )
    assert report.new == ("peyolos.embeddings.detection_tokens",)
    assert model.peyolos.embeddings.position_embeddings[0, -9:].std() < 0.05  # new ones


def check_the_report(report, source):
    assert all(any(part in name for part in NEW_DETECTOR_PARTS) for name in report.new)
    assert all(any(part in name for part in LOST_PARTS) for name in report.dropped)
    assert len(report.taken) + len(report.dropped) == len(source.state_dict())


def share_patch_embedding(model, source):
    ours, theirs = model.peyolos.embeddings, source.base_model.embeddings.patch_embeddings
    ours.patch_embeddings = theirs if isinstance(source, PEViTPreTrainedModel) else theirs.projection


def check_the_features(model, source, images, *, num_tokens=1):
    """In float64, all tokens of a detector and of the source, which is made to end with detection tokens.

    Where the source has two tokens in front, as a distilled one, it loses what the published program drops:
    the first position and the second token.
    """
    embeddings, ours = source.base_model.embeddings, model.peyolos.embeddings
    detections = ours.detection_tokens + ours.position_embeddings[:, -model.config.num_detection_tokens :]
    detections = detections.expand(len(images), -1, -1)
    embeddings.register_forward_hook(
        lambda _, __, tokens: torch.cat((tokens[:, :1], tokens[:, num_tokens:], detections), dim=1)
    )
    embeddings.position_embeddings[:, 0] = embeddings.position_embeddings[:, num_tokens - 1]
    asked = {"interpolate_pos_encoding": True} if source.config.model_type in ("vit", "deit") else {}
    expected = source.base_model(images.double(), **asked).last_hidden_state
    found = model.peyolos(images.double()).last_hidden_state
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("size", [(32, 48), (24, 16), (32, 32)])
@pytest.mark.parametrize("name", BACKBONES)
@torch.no_grad()
def test_a_backbones_features_are_the_same_behind_its_patch_embedding(name, size):
    """Positions are resized to the detector's grid as the backbone resizes them."""
    source = backbone(name)
    model, report = convert_to_peyolos(source, image_size=size, patch_size=8, num_detection_tokens=7)
    check_the_report(report, source)
    assert model.config.position_grid == (size[0] // 8, size[1] // 8)
    share_patch_embedding(model, source)
    num_tokens = 2 if "deit" in name or "distilled" in name else 1
    check_the_features(model, source, pixels(*size), num_tokens=num_tokens)


@pytest.mark.parametrize(
    ("given", "expected"), [(torch.bfloat16, torch.float32), (torch.float64, torch.float64)]
)
def test_the_detector_has_the_type_of_the_weights_and_at_least_float32(given, expected):
    model, _ = convert_to_peyolos(backbone("vit").to(given), image_size=32, patch_size=8)
    assert {weight.dtype for weight in model.parameters()} == {expected}


@pytest.mark.parametrize("kind", [Dinov2Model, Dinov2ForImageClassification])
@torch.no_grad()
def test_a_dinov2s_features_are_the_same_behind_its_patch_embedding(kind):
    source = dinov2(kind)
    model, report = convert_to_peyolos(source, image_size=32, patch_size=8, num_detection_tokens=7)
    check_the_report(report, source)
    assert report.notes == ("LayerScale folded into 6 projections",)
    share_patch_embedding(model, source)
    check_the_features(model, source, pixels(32, 32))


def run(source: Path, output: Path, *options: str):
    assert main(["convert", str(source), "--output-dir", str(output), *options]) == 0


def taken_weights(folder: Path):
    """Those of a stored detector that are not drawn anew."""
    model = PEYolosForObjectDetection.from_pretrained(folder)
    weights, positions = model.state_dict(), "peyolos.embeddings.position_embeddings"
    weights[positions] = weights[positions][:, : -model.config.num_detection_tokens]
    return {n: w for n, w in weights.items() if not any(part in n for part in NEW_DETECTOR_PARTS)}


def test_a_dinov2_becomes_the_detector_of_the_pevit_that_keeps_its_positions(tmp_path: Path, capsys):
    """As a user types it, and on another grid, to which DINOv2 itself resizes in float32."""
    dinov2().float().save_pretrained(tmp_path / "dinov2")
    detector = ("--architecture", "peyolos", "--image-size", "64", "96")
    run(tmp_path / "dinov2", tmp_path / "at once", *detector)
    assert "LayerScale folded into 6 projections." in capsys.readouterr().out
    run(tmp_path / "dinov2", tmp_path / "pevit", "--position-encoding", "absolute")
    run(tmp_path / "pevit", tmp_path / "in two steps", *detector)
    results = [tmp_path / folder for folder in ("at once", "in two steps")]
    torch.testing.assert_close(*map(taken_weights, results), atol=0, rtol=0)
    means = [list(PEYolosImageProcessorPil.from_pretrained(folder).image_mean) for folder in results]
    assert means == [[0.485, 0.456, 0.406]] * 2  # DINOv2's, though no processor was stored


@pytest.mark.parametrize("distilled", [False, True])
@torch.no_grad()
def test_positions_become_what_the_published_program_makes(shared, distilled):
    """The golden case of a plain checkpoint; a distilled one has a row before it, which is dropped."""
    before, after = (
        torch.from_numpy(np.load(shared / "golden" / f"finetune_det_plain.pos_{when}.npy"))
        for when in ("before", "after")
    )
    sizes = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    kind, config = (DeiTForImageClassificationWithTeacher, DeiTConfig) if distilled else (ViTModel, ViTConfig)
    source = kind(config(**sizes, image_size=64, patch_size=16))
    embeddings = (source.deit if distilled else source).embeddings
    embeddings.position_embeddings.copy_(
        torch.cat((torch.ones(1, 1, 12), before), 1) if distilled else before
    )
    torch.manual_seed(0)
    model, _ = convert_to_peyolos(source, image_size=(32, 48), patch_size=8, num_detection_tokens=10)
    ours = model.peyolos.embeddings.position_embeddings
    torch.testing.assert_close(ours[:, :25], after[:, :25], atol=1e-6, rtol=1e-5)
    assert 0.01 < ours[:, 25:].std() < 0.03


@torch.no_grad()
def test_a_pevit_on_mixed_images_gives_its_patch_embedding_too():
    config = PEViTConfig(**ABSOLUTE, patch_embedding="nonlinear")
    source = random_weights(PEViTForImageClassification(config).double())
    model, report = convert_to_peyolos(source, image_size=(32, 48), patch_size=8)
    assert set(report.dropped) == {"classifier.weight", "classifier.bias"}
    check_the_features(model, source, pixels(32, 48))
    _, report = convert_to_peyolos(source, image_size=(32, 48), patch_size=16)
    assert sum("patch_embeddings" in name for name in report.new) == 4


def test_a_saved_checkpoint_gives_the_processor_its_statistics(tmp_path: Path):
    ViTModel(ViTConfig(**SIZES, image_size=32, patch_size=8)).save_pretrained(tmp_path)
    ViTImageProcessorPil(image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6]).save_pretrained(tmp_path)
    model, processor, report = load_peyolos_from_transformers(
        str(tmp_path), image_size=(16, 24), patch_size=4, num_labels=3
    )
    assert isinstance(model, PEYolosForObjectDetection) and model.config.num_labels == 3
    assert list(processor.image_mean) == [0.1, 0.2, 0.3] and processor.patch_size == 4
    assert "peyolos.layernorm.weight" not in report.new


def test_another_model_type_is_refused():
    with pytest.raises(
        ValueError, match="type 'bert', allowed are 'vit', 'deit', 'dinov2', 'pevit', 'yolos'"
    ):
        convert_to_peyolos(BertModel(BertConfig(**SIZES)), image_size=16)


def test_state_dicts_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"no PEYOLOS of the published program: backbone\.det_token"):
        infer_peyolos_config({"weight": torch.zeros(1)}, 3, (32, 48))
    shapes = {"backbone.det_token": (1, 3, 8), "backbone.pos_embed": (1, 10, 8)}
    shapes |= {"backbone.patch_embed.proj_siat.weight": (8, 3, 4, 4)}
    shapes |= {"backbone.blocks.0.attn.qkv.weight": (24, 8), "backbone.blocks.0.mlp.fc1.weight": (32, 8)}
    shapes |= {"class_embed.layers.2.bias": (6,)}
    state_dict = {name: torch.zeros(shape) for name, shape in shapes.items()}
    with pytest.raises(ValueError, match=r"`image_size` must have 6 patches of 4 pixels, got \(8, 16\)"):
        infer_peyolos_config(state_dict, 2, (8, 16))
    state_dict["mask_token"] = torch.zeros(1)
    _, report = convert_peyolos_state_dict(state_dict, 2, (8, 12))
    assert report.dropped == ("mask_token",) and "peyolos.layernorm.bias" in report.new
    assert "backbone.det_token" in report.taken


def test_mid_positions_of_the_program_are_taken():
    config = PEYolosConfig(**SIZES, image_size=(8, 12), patch_size=4, use_mid_position_embeddings=True)
    model = PEYolosForObjectDetection(config)
    assert model.peyolos.mid_position_embeddings.shape == (2, 1, 1 + 6 + 100, 32)
