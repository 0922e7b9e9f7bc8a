"""Detectors from other checkpoints: what can be equal is equal, what is new is listed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    DeiTConfig,
    DeiTForImageClassificationWithTeacher,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessorPil,
    ViTModel,
    YolosConfig,
    YolosForObjectDetection,
)

from hipmr_hf.models import PEViTConfig, PEViTForImageClassification, PEYolosConfig, PEYolosForObjectDetection
from hipmr_hf.models.convert_official_peyolos import convert_peyolos_state_dict, infer_peyolos_config
from hipmr_hf.models.convert_transformers_peyolos import convert_to_peyolos, load_peyolos_from_transformers

SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 48}
NEW_DETECTOR_PARTS = ("detection_tokens", "patch_embeddings", "class_labels_classifier", "bbox_predictor")


def randomised(model):
    """Weights large enough that a slip shows; those of a new YOLOS are partly zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def yolos(**overrides) -> YolosForObjectDetection:
    settings = {"image_size": [16, 24], "patch_size": 4, "num_detection_tokens": 7, "num_labels": 5}
    return randomised(YolosForObjectDetection(YolosConfig(**{**SIZES, **settings, **overrides})))


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


@torch.no_grad()
def test_a_vit_gives_blocks_and_resized_positions():
    source = randomised(ViTForImageClassification(ViTConfig(**SIZES, image_size=32, patch_size=8)))
    model, report = convert_to_peyolos(source, image_size=(16, 24), patch_size=4)
    assert all(any(part in name for part in NEW_DETECTOR_PARTS) for name in report.new)
    assert {name.split(".")[0] for name in report.dropped} == {"vit", "classifier"}
    assert model.config.position_grid == (4, 6) and model.config.layer_norm_eps == 1e-12
    hidden = torch.randn(1, 9, 32)
    for ours, theirs in zip(model.peyolos.layers, source.vit.layers, strict=True):
        torch.testing.assert_close(ours(hidden), theirs(hidden))


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


def test_a_pevit_on_mixed_images_gives_its_patch_embedding_too():
    config = PEViTConfig(
        **SIZES, image_size=16, patch_size=4, position_encoding="absolute", patch_embedding="nonlinear"
    )
    source = randomised(PEViTForImageClassification(config))
    model, report = convert_to_peyolos(source, image_size=(16, 24), patch_size=4)
    assert set(report.dropped) == {"classifier.weight", "classifier.bias"}
    assert torch.equal(
        model.peyolos.embeddings.patch_embeddings.mixing[1].weight,
        source.pevit.embeddings.patch_embeddings.mixing[1].weight,
    )
    _, report = convert_to_peyolos(source, image_size=(16, 24), patch_size=8)
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
    with pytest.raises(ValueError, match="model type 'bert', allowed are 'vit', 'deit', 'pevit', 'yolos'"):
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
