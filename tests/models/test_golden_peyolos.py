"""Parity of the detector with the numbers of the authors' published program."""

import json

import numpy as np
import pytest
import torch
from measurement_data import GOLDEN, needed
from safetensors.torch import load_file

from hipmr_hf.encryption import MixingUp
from hipmr_hf.models import PEYolosForObjectDetection, PEYolosImageProcessorPil
from hipmr_hf.models.convert_official_peyolos import convert_peyolos_state_dict, rename_peyolos_weights
from hipmr_hf.models.loss_peyolos import match

SIZES = ((64, 96), (96, 128))  # of the plain images

pytestmark = needed


def load_array(name: str) -> torch.Tensor:
    return torch.from_numpy(np.load(GOLDEN / f"peyolos.{name}.npy"))


def load_meta() -> dict:
    return json.loads((GOLDEN / "peyolos_meta.json").read_text())["cases"]["peyolos"]


def load_labels() -> list[dict[str, torch.Tensor]]:
    targets = json.loads((GOLDEN / "peyolos_targets.json").read_text())
    return [
        {
            "class_labels": torch.tensor(target["labels"], dtype=torch.int64),
            "boxes": torch.tensor(target["boxes"], dtype=torch.float32).reshape(-1, 4),
        }
        for target in targets
    ]


def build(dtype: torch.dtype = torch.float32) -> PEYolosForObjectDetection:
    state_dict = load_file(GOLDEN / "peyolos.safetensors")
    model, report = convert_peyolos_state_dict(state_dict, num_attention_heads=3, image_size=(32, 48))
    assert (report.dropped, report.new) == ((), ())
    return model.to(dtype)


def mix(plain: torch.Tensor, patch_size: int = 16) -> torch.Tensor:
    """Mean of the 2 x 2 sub-patches of every patch, in floating point."""
    half = patch_size // 2
    batch, channels, height, width = plain.shape
    grid = plain.reshape(batch, channels, height // patch_size, 2, half, width // patch_size, 2, half)
    return grid.mean(dim=(3, 6)).reshape(batch, channels, height // 2, width // 2)


def mixed_input(size: tuple[int, int]) -> torch.Tensor:
    return mix(load_array("input_{}x{}".format(*size)))


def test_mixed_images_match():
    torch.testing.assert_close(mixed_input((64, 96)), load_array("mi_image_64x96"), atol=1e-6, rtol=0)


def test_the_encryption_makes_these_images():
    plain = torch.randint(0, 256, (2, 3, 64, 96), generator=torch.Generator().manual_seed(0))
    encrypted = MixingUp(patch_size=16).encrypt_batch(plain.permute(0, 2, 3, 1).numpy().astype(np.uint8))
    exact = mix(plain.double()).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(encrypted, exact, atol=0.5)  # stored as whole grey levels


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@torch.no_grad()
def test_detections_match_in_float32(size, attention):
    model = build()
    model.set_attn_implementation(attention)
    output = model(mixed_input(size))
    name = "{}x{}".format(*size)
    torch.testing.assert_close(output.logits, load_array(f"logits_{name}"), atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(output.pred_boxes, load_array(f"boxes_{name}"), atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_detections_match_in_float64():
    output = build(torch.float64)(mix(load_array("input_64x96").double()))
    torch.testing.assert_close(output.logits, load_array("logits_f64_64x96"), atol=1e-9, rtol=0)
    torch.testing.assert_close(output.pred_boxes, load_array("boxes_f64_64x96"), atol=1e-9, rtol=0)


@torch.no_grad()
def test_activations_match():
    model, expected = build(), load_file(GOLDEN / "peyolos.acts_64x96.safetensors")
    pixel_values = mixed_input((64, 96))[:1]
    output = model(pixel_values, output_hidden_states=True)
    patches = model.peyolos.embeddings.patch_embeddings(pixel_values).flatten(2).transpose(1, 2)
    ours = {
        "patch_tokens": patches,
        "embeddings": output.hidden_states[0],
        "block0": output.hidden_states[1],
        "final_norm": output.last_hidden_state,
    }
    for name, activation in ours.items():
        torch.testing.assert_close(activation, expected[name], atol=2e-5, rtol=1e-4, msg=name)


@torch.no_grad()
def test_matching_matches():
    model, labels = build(), load_labels()
    output = model(mixed_input((64, 96)))
    matching = match(model.config, output.logits, output.pred_boxes, labels)
    found = [[queries.tolist(), objects.tolist()] for queries, objects in matching]
    assert found == load_meta()["indices"]


def test_losses_and_gradients_match():
    model, meta = build(), load_meta()
    output = model(mixed_input((64, 96)), labels=load_labels())
    assert output.loss.item() == pytest.approx(meta["total_loss"], abs=2e-5)
    for name, value in meta["losses"].items():
        assert output.loss_dict[name].item() == pytest.approx(value, abs=2e-5), name
    output.loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    expected, unknown = rename_peyolos_weights(load_file(GOLDEN / "peyolos.grads.safetensors"))
    assert not unknown
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, atol=1e-5, rtol=1e-3)
    weights = load_file(GOLDEN / "peyolos.safetensors")
    for name, norm in meta["grad_norms"].items():
        ours, _ = rename_peyolos_weights({name: weights[name]})
        total = torch.cat([gradients[new_name].flatten() for new_name in ours]).norm()
        assert total.item() == pytest.approx(norm, rel=1e-3), name


@torch.no_grad()
def test_post_processing_matches():
    expected = load_file(GOLDEN / "peyolos.postprocess.safetensors")
    sizes = [(480, 640), (333, 500), (64, 96)]
    output = build()(mixed_input((64, 96)))
    for target_sizes in (sizes, torch.tensor(sizes)):
        results = PEYolosImageProcessorPil().post_process_object_detection(output, -1.0, target_sizes)
        for i, result in enumerate(results):
            assert torch.equal(result["labels"], expected[f"labels_{i}"])
            torch.testing.assert_close(result["scores"], expected[f"scores_{i}"], atol=2e-5, rtol=1e-4)
            torch.testing.assert_close(result["boxes"], expected[f"boxes_{i}"], atol=2e-2, rtol=1e-4)


def test_parameter_count_matches():
    assert sum(parameter.numel() for parameter in build().parameters()) == load_meta()["n_params"]


def test_training_groups_match_but_for_the_biases_that_only_the_program_decays():
    model = build()
    exempt, new = model.no_weight_decay(), model.new_parameters()
    for name, group in load_meta()["optim_groups"].items():
        ours, _ = rename_peyolos_weights({name: torch.zeros(3)})
        assert all((new_name in new) == group.startswith("siat") for new_name in ours), name
        decays_here = all(new_name not in exempt for new_name in ours)
        of_head_or_patches = name.endswith("bias") and not group.startswith("backbone")
        assert decays_here == (not group.endswith("no_wd") and not of_head_or_patches), name
