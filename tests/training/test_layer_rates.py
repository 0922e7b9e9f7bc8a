"""Rates fall from the head to the patches, and nothing else of an optimizer changes."""

import pytest
import torch
from transformers import ViTConfig, ViTForImageClassification

from hipmr_hf import PEViTConfig, PEViTForImageClassification
from hipmr_hf.training.accelerate_loop import parameter_groups
from hipmr_hf.training.layer_rates import decay_rates_by_layer

SIZES = {"hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 1}


@pytest.mark.parametrize(
    "model",
    [
        PEViTForImageClassification(PEViTConfig(**SIZES, patch_size=4)),
        ViTForImageClassification(ViTConfig(**SIZES, intermediate_size=8, image_size=8, patch_size=4)),
    ],
    ids=["pevit", "vit"],
)
def test_every_parameter_has_the_rate_of_its_depth(model):
    optimizer = torch.optim.AdamW(parameter_groups(model, 0.05), lr=1.0)
    decays = {
        id(value): group["weight_decay"] for group in optimizer.param_groups for value in group["params"]
    }
    decay_rates_by_layer(optimizer, model, 0.5)
    rates = {id(value): group["lr"] for group in optimizer.param_groups for value in group["params"]}
    names = {name: id(value) for name, value in model.named_parameters()}
    assert sorted(rates) == sorted(names.values())
    for name, found in names.items():
        layer = next((i for i in range(3) if f"layers.{i}." in name or f"layer.{i}." in name), None)
        expected = 0.5 ** (3 - layer) if layer is not None else 0.5**4 if "embeddings." in name else 1.0
        assert rates[found] == expected, name
    assert decays == {
        id(v): group["weight_decay"] for group in optimizer.param_groups for v in group["params"]
    }


def test_frozen_parameters_may_be_left_out():
    model = PEViTForImageClassification(PEViTConfig(**SIZES, patch_size=4))
    optimizer = torch.optim.AdamW(model.classifier.parameters(), lr=1.0)
    decay_rates_by_layer(optimizer, model, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [1.0]
