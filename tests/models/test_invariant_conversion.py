"""The invariant patch embeddings beside other models: what is converted, taken over and refused."""

import numpy as np
import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from invariant_models import KINDS, WIDTHS, classifier, embedding_of, random_pixels

from hipmr_hf.attacks.gradients.leakage import gradient_leakage
from hipmr_hf.encryption import MixingUp
from hipmr_hf.models import PEViTConfig, PEYolosConfig
from hipmr_hf.models.convert_official import infer_pevit_config
from hipmr_hf.models.convert_official_peyolos import infer_peyolos_config
from hipmr_hf.models.convert_transformers_peyolos import convert_to_peyolos
from hipmr_hf.training.classification import build_pevit


def test_the_published_programs_weights_are_refused():
    shapes = {"cls_token": (1, 1, 8), "patch_embed.proj.weight": (8, 3, 4, 4), "norm.weight": (8,)}
    shapes |= {"blocks.0.attn.qkv.weight": (24, 8), "blocks.0.mlp.fc1.weight": (32, 8)}
    with pytest.raises(ValueError, match="`patch_embedding` 'invariant' is none of the published program's"):
        infer_pevit_config({n: torch.zeros(s) for n, s in shapes.items()}, 2, patch_embedding="invariant")
    shapes = {"backbone.det_token": (1, 3, 8), "backbone.pos_embed": (1, 1 + 6 + 3, 8)}
    shapes |= {"backbone.patch_embed.proj_siat.weight": (8, 3, 4, 4), "class_embed.layers.2.bias": (6,)}
    shapes |= {"backbone.blocks.0.attn.qkv.weight": (24, 8), "backbone.blocks.0.mlp.fc1.weight": (32, 8)}
    weights = {name: torch.zeros(shape) for name, shape in shapes.items()}
    with pytest.raises(ValueError, match="`patch_embedding` 'texture' is none of the published program's"):
        infer_peyolos_config(weights, 2, (8, 12), patch_embedding="texture")


@KINDS
@torch.no_grad()
def test_a_classifier_with_it_gives_a_detector_its_embedding(kind):
    source = classifier(position_encoding="absolute", image_size=16, patch_embedding=kind)
    model, report = convert_to_peyolos(
        source, image_size=(16, 24), patch_size=4, patch_embedding=kind, num_labels=3
    )
    assert not any("patch_embeddings" in name for name in (*report.new, *report.dropped))
    pixels = random_pixels()
    assert torch.equal(embedding_of(model)(pixels), embedding_of(source)(pixels))


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("linear", "invariant"),
        ("nonlinear", "invariant"),
        ("invariant", "nonlinear"),
        ("invariant", "texture"),
    ],
)
def test_an_embedding_of_another_kind_stays_new(kind, wanted):
    source = classifier(position_encoding="absolute", image_size=16, patch_embedding=kind)
    _, report = convert_to_peyolos(source, image_size=(16, 24), patch_size=4, patch_embedding=wanted)
    assert not any("patch_embeddings" in name for name in report.taken)
    assert sum("patch_embeddings" in name for name in report.new) in (4, 5)


def test_a_mixed_dataset_can_be_trained_with_it():
    model, _ = build_pevit(MixingUp(image_size=32, patch_size=8), **WIDTHS, patch_embedding="invariant")
    assert (model.config.position_encoding, model.config.patch_embedding) == ("absolute", "invariant")


@pytest.mark.parametrize("config_class", [PEViTConfig, PEYolosConfig])
def test_another_embedding_is_named(config_class):
    with pytest.raises(StrictDataclassError, match=r"'linear'.*'invariant'"):
        config_class(patch_embedding="orbit")


@KINDS
def test_recovery_from_gradients_does_not_claim_to_know_it(kind):
    images = np.zeros((1, 16, 24, 3), np.uint8)
    with pytest.raises(ValueError, match=f"model: its patch embedding is {kind}"):
        gradient_leakage(classifier(patch_embedding=kind), images, [0])
