"""Parity with the numbers of the authors' published program."""

import json

import numpy as np
import pytest
import torch
from measurement_data import GOLDEN, needed
from safetensors.torch import load_file

from hipmr_hf.models import PEViTConfig, PEViTForImageClassification, PEViTForImageClassificationWithTeacher
from hipmr_hf.models.convert_official import convert_pevit_state_dict, rename_pevit_weights

CASES = ("pevit_tiny", "pevit_distilled")
LABELS = torch.tensor([1, 2, 0])

pytestmark = needed


def load_array(name: str) -> torch.Tensor:
    return torch.from_numpy(np.load(GOLDEN / f"{name}.npy"))


def load_tensors(name: str) -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / f"{name}.safetensors")


def load_meta() -> dict:
    return json.loads((GOLDEN / "pevit_meta.json").read_text())


def build(case: str, dtype: torch.dtype = torch.float32):
    model, report = convert_pevit_state_dict(load_tensors(case), num_attention_heads=3)
    assert not report.dropped
    assert not report.new
    return model.to(dtype)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_logits_match_in_float32(case, attention):
    model = build(case)
    model.set_attn_implementation(attention)
    logits = model(load_array(f"{case}.input")).logits
    torch.testing.assert_close(logits, load_array(f"{case}.logits"), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_logits_match_in_float64(case):
    logits = build(case, torch.float64)(load_array(f"{case}.input").double()).logits
    torch.testing.assert_close(logits, load_array(f"{case}.logits_f64"), atol=1e-9, rtol=0)


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_shuffled_pixels_give_the_same_logits(case):
    logits = build(case)(load_array(f"{case}.input_rs")).logits
    torch.testing.assert_close(logits, load_array(f"{case}.logits"), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_permuting_tokens_permutes_features(case):
    model = build(case, torch.float64)
    plain = model.pevit(load_array(f"{case}.input").double()).last_hidden_state
    shuffled = model.pevit(load_array(f"{case}.input_rs").double()).last_hidden_state
    prefix = plain.shape[1] - 16
    for i, permutation in enumerate(load_array(f"{case}.perm")):
        torch.testing.assert_close(shuffled[i, prefix:], plain[i, prefix:][permutation], atol=1e-6, rtol=0)


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_activations_match(case):
    model, expected = build(case), load_tensors(f"{case}.acts")
    pixel_values = load_array(f"{case}.input")
    outputs = model.pevit(pixel_values, output_hidden_states=True)
    patches = model.pevit.embeddings.patch_embeddings(pixel_values).flatten(2).transpose(1, 2)
    ours = {
        "patch_tokens": patches,
        "embeddings": outputs.hidden_states[0],
        "block0": outputs.hidden_states[1],
        "block1": outputs.hidden_states[2],
        "final_norm": outputs.last_hidden_state,
    }
    for name, activation in ours.items():
        torch.testing.assert_close(activation, expected[name], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradients_match(case):
    model, meta = build(case), load_meta()["cases"][case]
    loss = model(load_array(f"{case}.input"), labels=LABELS).loss
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert loss.item() == pytest.approx(meta["ce_loss"], abs=2e-5)
    expected, unknown = rename_pevit_weights(load_tensors(f"{case}.grads"))
    assert not unknown
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, atol=1e-5, rtol=1e-3)
    for name, norm in meta["grad_norms"].items():
        ours, _ = rename_pevit_weights({name: load_tensors(case)[name]})
        total = torch.cat([gradients[new_name].flatten() for new_name in ours]).norm()
        assert total.item() == pytest.approx(norm, rel=1e-3), name


def test_distilled_training_mode_returns_both_heads():
    model = build("pevit_distilled").train()
    output = model(load_array("pevit_distilled.input"))
    for ours, theirs in ((output.cls_logits, "cls"), (output.distillation_logits, "dist")):
        expected = load_array(f"pevit_distilled.train_logits_{theirs}")
        torch.testing.assert_close(ours, expected, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(output.logits, (output.cls_logits + output.distillation_logits) / 2)


@pytest.mark.parametrize("case", CASES)
def test_parameter_count_matches(case):
    model = build(case)
    assert (
        sum(parameter.numel() for parameter in model.parameters()) == load_meta()["cases"][case]["n_params"]
    )


@pytest.mark.parametrize("kind", ["pevit", "distilled"])
def test_weight_decay_groups_match(kind):
    model = build({"pevit": "pevit_tiny", "distilled": "pevit_distilled"}[kind])
    exempt = model.no_weight_decay()
    for name, group in load_meta()["weight_decay_groups"][kind].items():
        ours, _ = rename_pevit_weights({name: torch.zeros(3)})
        assert all((new_name in exempt) == (group == "no_decay") for new_name in ours), name


@pytest.mark.parametrize("kind", ["pevit", "distilled"])
def test_initial_spread_matches(kind):
    torch.manual_seed(0)
    config = PEViTConfig.tiny(num_hidden_layers=1, num_labels=10)
    model_class = {"pevit": PEViTForImageClassification, "distilled": PEViTForImageClassificationWithTeacher}[
        kind
    ]
    parameters = dict(model_class(config).named_parameters())
    for name, (std, largest) in load_meta()["init_std"][kind].items():
        ours, _ = rename_pevit_weights({name: torch.zeros(3)})
        values = torch.cat([parameters[new_name].flatten() for new_name in ours])
        # 192 values give a standard deviation to about 5%; the largest value bounds the distribution.
        assert values.std(unbiased=False).item() == pytest.approx(std, rel=0.25, abs=1e-9), name
        assert values.abs().max().item() == pytest.approx(largest, rel=0.4, abs=1e-9), name
