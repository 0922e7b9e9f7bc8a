"""Opacus's other ways: functorch gives the gradients of hooks, ghost clipping their norms and clipped sum."""

import pytest
import torch
import torch.nn.functional as F
from opacus import GradSampleModule
from opacus.grad_sample import GradSampleModuleFastGradientClipping
from opacus.optimizers import DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping

from hipmr_hf import PEViTConfig, PEViTForImageClassification, PEYolosConfig, PEYolosForObjectDetection

SIZE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
KINDS = [
    (embedding, encoding)
    for embedding in ("linear", "nonlinear", "invariant", "texture")
    for encoding in ("reference", "absolute")
]
LABELS = torch.tensor([0, 1, 2, 1, 0])
IMAGES = torch.randn(5, 3, 16, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def build(patch_embedding, position_encoding):
    """The same model at every call, in float64."""
    torch.manual_seed(0)
    sizes = {**SIZE, "patch_size": 4, "image_size": [16, 24], "num_labels": 3}
    settings = {"patch_embedding": patch_embedding, "position_encoding": position_encoding}
    model = PEViTForImageClassification(PEViTConfig(**sizes, **settings))
    for weight in model.parameters():  # large enough that a slip shows
        weight.data.add_(0.1 * torch.randn(weight.shape))
    return model.double().train()


def losses_of(model):
    return F.cross_entropy(model(pixel_values=IMAGES).logits, LABELS, reduction="none")


def samples(kind, **options):
    model = build(*kind)
    losses_of(GradSampleModule(model, **options)).mean().backward()
    return {name: weight.grad_sample for name, weight in model.named_parameters()}


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_functorch_finds_the_gradients_of_hooks(kind):
    hooks, functorch = samples(kind), samples(kind, force_functorch=True)
    assert hooks.keys() == functorch.keys() and all(found.abs().max() > 0 for found in hooks.values())
    torch.testing.assert_close(functorch, hooks, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_ghost_clipping_finds_the_norms_and_the_clipped_sum_of_hooks(kind):
    hooks = samples(kind)
    norms = torch.stack([found.flatten(1).norm(dim=1) for found in hooks.values()]).norm(dim=0)
    bound = float(norms.median())  # some are clipped, some are not
    factors = (bound / (norms + 1e-6)).clamp(max=1)
    clipped = {name: torch.einsum("n,n...->...", factors, found) for name, found in hooks.items()}

    model = build(*kind)
    ghost = GradSampleModuleFastGradientClipping(model, max_grad_norm=bound)
    optimizer = DPOptimizerFastGradientClipping(
        torch.optim.SGD(model.parameters(), 0.1),
        noise_multiplier=0.0,
        max_grad_norm=bound,
        expected_batch_size=len(LABELS),
    )
    criterion = DPLossFastGradientClipping(ghost, optimizer, lambda losses, _: losses)
    criterion(losses_of(ghost), None).backward()
    torch.testing.assert_close(ghost.per_sample_gradient_norms, norms, rtol=0, atol=1e-10)
    found = {name: weight.grad for name, weight in model.named_parameters()}
    torch.testing.assert_close(found, clipped, rtol=0, atol=1e-10)


def test_a_detector_has_no_hooks_for_the_mask_that_is_missing():
    """Opacus detaches every input of a layer, and PEYOLOS's embedding is given None for a mask."""
    torch.manual_seed(0)
    sizes = {**SIZE, "patch_size": 4, "image_size": [16, 24], "num_labels": 3, "num_detection_tokens": 4}
    model = PEYolosForObjectDetection(PEYolosConfig(**sizes)).double().train()
    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'detach'"):
        GradSampleModule(model)(pixel_values=IMAGES)
