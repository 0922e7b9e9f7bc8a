"""Recover training images from the gradients of one step, as a server of federated training would.

Three attackers, from the exact to the general; the one whose answer explains the gradients best is kept:
- `from_positions`: with position embeddings, their gradient G (num_patches, hidden_size) is that of every
  token, and the gradient of the patch embedding is G^T X: a linear system for the patches X, in their places.
- `from_relu`: without positions, a linear layer before a ReLU (PEViT's reference encoding has one) has a
  gradient H^T U of rank num_patches; H is sparse where the ReLU was off, which tells its columns apart.
- `by_matching`: dummy patches are changed until they give the same gradients.

What comes back is the image that the model was given: encrypted patches, for RS in no order, never the plain
image. The label is taken as known: for one image it can be read from the classifier's gradient.

Sources: Zhu, Liu, Han, "Deep leakage from gradients", NeurIPS 2019; Zhao et al., iDLG, 2020 (the label);
Lu et al., "APRIL: finding the Achilles' heel on privacy for vision transformers", CVPR 2022 (the gradient of
the positions); Dimitrov et al., "SPEAR: exact gradient inversion of batches", 2024 (rank, sparsity).
"""

import dataclasses
import math
import re
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from ...errors import InputValueError
from ..base import AttackResult
from .leaked_patches import join, leak_scores, split
from .relu_sparsity import tokens_of_relu_layer

_RELATIVE_NOISE = 1e-6
"""Singular values below this share of the largest drown in the rounding of float32 gradients."""

_EXPLAINED = 1e-3
"""Relative error up to which a closed form counts as consistent with the gradients."""

_RESTARTS = 4
"""Starting points of the matching, at most: some end in a local minimum, which the mismatch tells."""


@dataclasses.dataclass(frozen=True)
class _Leak:
    """What an attacker of gradients knows."""

    model: nn.Module
    name: str  # of the patch embedding
    projection: nn.Conv2d
    gradients: dict[str, torch.Tensor]
    labels: torch.Tensor
    shape: tuple[int, int, int]  # images, rows and columns of patches

    @property
    def tokens(self) -> int:
        return math.prod(self.shape)

    def embedding_gradient(self) -> torch.Tensor:
        """(hidden_size, channels * patch_size**2), float64."""
        return self.gradients[f"{self.name}.weight"].flatten(1).double()

    def pixels(self, patches: torch.Tensor) -> torch.Tensor:
        """(images * patches, channels * patch_size**2) to (images, channels, height, width)."""
        return join(patches, self.shape, self.projection.kernel_size[0])


def gradients_of(
    model: nn.Module, pixel_values: torch.Tensor, labels: torch.Tensor, *, create_graph: bool = False
) -> dict[str, torch.Tensor]:
    """Compute what a training client sends: the gradient of the mean cross-entropy for every parameter.

    Args:
        model: `model(pixel_values=...)` returns logits, or an output that has them.
        pixel_values: (batch, channels, height, width).
        labels: (batch,) class ids.
        create_graph: keep what is needed to differentiate the gradients.

    Returns:
        Gradients by the name of the parameter; zeros for a parameter without influence.

    Example:
        >>> class Tiny(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.head = nn.Linear(4, 2)
        ...     def forward(self, pixel_values):
        ...         return self.head(pixel_values.flatten(1))
        >>> gradients_of(Tiny(), torch.ones(1, 1, 2, 2), torch.tensor([0]))["head.bias"].shape
        torch.Size([2])
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel

    names, weights = zip(*((n, w) for n, w in model.named_parameters() if w.requires_grad), strict=True)
    with sdpa_kernel(SDPBackend.MATH):  # the fused kernels cannot be differentiated twice
        outputs = model(pixel_values=pixel_values)
        loss = nn.functional.cross_entropy(getattr(outputs, "logits", outputs), labels)
        found = torch.autograd.grad(loss, weights, create_graph=create_graph, allow_unused=True)
    return {
        name: torch.zeros_like(weight) if gradient is None else gradient
        for name, weight, gradient in zip(names, weights, found, strict=True)
    }


def gradient_leakage(
    model: nn.Module, images: np.ndarray, labels: list[int], *, steps: int = 300, seed: int = 0
) -> AttackResult:
    """Compute the gradients of one training step, then attack them alone.

    Args:
        model: a classifier of patches, whose first convolution has a stride as wide as its kernel; it gets
            pixels from -1 to 1. It is not changed.
        images: uint8 (batch, height, width, channels), as encrypted; what the training client holds.
        labels: a class id for each image.
        steps: of the optimisation where no closed form holds, for each of up to 4 starting points; 0 for
            closed forms alone.
        seed: of the starting point and of the search.

    Returns:
        The first image as recovered. Scores over all images, matched with the true patches by the Hungarian
        method: patch_psnr in dB, recovered and in_place (shares of patches that come back with 30 dB or
        more, anywhere and in their places). Chance is one grey, the true mean. `effort` names the method and
        the mismatch of its gradients (0 explains them, 1 not at all).

    Raises:
        ValueError: a model without a patch embedding or with an invariant one, or images that are not whole
            patches.
    """
    model = _frozen_copy(model)
    name, projection = _patch_embedding(model)
    size = projection.kernel_size[0]
    true_patches = split(images, size)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    observed = {
        key: value.detach() for key, value in gradients_of(model, pixels, torch.tensor(labels)).items()
    }
    started = time.process_time()
    shape = len(images), images.shape[1] // size, images.shape[2] // size
    leak = _Leak(model, name, projection, observed, torch.tensor(labels), shape)
    method, patches, mismatch = _attack(leak, steps, seed)
    found = np.rint((leak.pixels(patches).permute(0, 2, 3, 1).numpy() + 1) * 127.5)
    found = found.clip(0, 255).astype(np.uint8)
    return AttackResult(
        f"gradient_leakage ({method})",
        found[0],
        time.process_time() - started,
        effort={"method": method, "steps": steps, "seed": seed, "mismatch": mismatch},
        scores=leak_scores(split(found, size), true_patches),
        chance=leak_scores(np.broadcast_to(true_patches.mean(axis=0), true_patches.shape), true_patches),
    )


def _attack(leak: _Leak, steps: int, seed: int) -> tuple[str, torch.Tensor, float]:
    """The answer that explains the gradients best: its name, patches and mismatch."""
    answers = [("one grey", torch.zeros(leak.tokens, leak.embedding_gradient().shape[1]))]
    for method, closed_form in (("positions", from_positions), ("relu", from_relu)):
        patches = closed_form(leak) if method == "positions" else closed_form(leak, seed)
        if patches is not None:
            answers.append((method, patches.float().clamp(-1, 1)))
    rated = [(method, patches, mismatch(leak, patches)) for method, patches in answers]
    best = min(rated, key=lambda answer: answer[2])
    if best[2] > _EXPLAINED and steps:
        for restart in range(_RESTARTS):
            patches = by_matching(leak, steps=steps, seed=seed + restart)
            rated.append(("matching", patches, mismatch(leak, patches)))
            best = min(rated, key=lambda answer: answer[2])
            if best[2] < _EXPLAINED:
                break
    return best


def from_positions(leak: _Leak) -> torch.Tensor | None:
    """Solve G^T X = dW for the patches; None where no position embedding has the tokens' gradients.

    Exact for one image while num_patches <= hidden_size; for more images G is a sum and the system lies.
    """
    hidden_size, count = leak.projection.out_channels, leak.shape[1] * leak.shape[2]
    bias = leak.gradients.get(f"{leak.name}.bias")
    for gradient in leak.gradients.values():
        if gradient.ndim != 3 or gradient.shape[1] < count or gradient.shape[2] != hidden_size:
            continue
        tokens = gradient[0, -count:].double()
        if bias is None or (tokens.sum(dim=0) - bias).norm() > _EXPLAINED * bias.norm():
            continue  # something stands between the embedding and these positions
        solved = torch.linalg.lstsq(
            tokens.T, leak.embedding_gradient(), rcond=_RELATIVE_NOISE, driver="gelsd"
        )
        return solved.solution.repeat(leak.shape[0], 1)
    return None


def from_relu(leak: _Leak, seed: int) -> torch.Tensor | None:
    """Recover the tokens that enter a linear layer before a ReLU, then the patches; None where none does."""
    weight = leak.projection.weight.detach().flatten(1).double()
    basis = _row_space(leak)
    parameters = dict(leak.model.named_parameters())
    for key, offset in _layers_on_tokens(leak):
        names = (f"{key}.weight", f"{key}.bias")
        layer = [source[name].detach().double() for source in (leak.gradients, parameters) for name in names]
        tokens = tokens_of_relu_layer(*layer, leak.tokens, seed=seed)
        if tokens is not None:
            inner = torch.linalg.lstsq(weight @ basis.T, (tokens - offset).T, driver="gelsd").solution
            return inner.T @ basis
    return None


def _row_space(leak: _Leak) -> torch.Tensor:
    """An orthonormal basis (rank, pixels) of what patches can be: the rows of the embedding's gradient."""
    _, values, rows = torch.linalg.svd(leak.embedding_gradient(), full_matrices=False)
    kept = int((values > _RELATIVE_NOISE * values[0]).sum())
    return rows[: min(kept, leak.tokens)]


def _layers_on_tokens(leak: _Leak) -> list[tuple[str, torch.Tensor]]:
    """Linear layers whose inputs are the patch tokens plus a constant: their names and the constant."""
    weight = leak.projection.weight.detach().flatten(1)
    probe = torch.randn(leak.tokens, weight.shape[1], generator=torch.Generator().manual_seed(0))
    at_zero, at_probe = (_linear_inputs(leak, patches) for patches in (0 * probe, probe))
    found = []
    for key, inputs in at_probe.items():
        offset = at_zero[key].flatten(0, -2)
        tokens = inputs.flatten(0, -2) - offset
        if tokens.shape == (leak.tokens, weight.shape[0]) and torch.allclose(
            tokens, probe @ weight.T, rtol=1e-3, atol=1e-4
        ):
            found.append((key, offset[0].double()))
    return found


def _linear_inputs(leak: _Leak, patches: torch.Tensor) -> dict[str, torch.Tensor]:
    """What enters each linear layer that has a bias, for given patches."""
    seen: dict[str, torch.Tensor] = {}

    def watcher(key: str) -> Callable:
        return lambda module, inputs, output: seen.update({key: inputs[0].detach()})

    handles = [
        module.register_forward_hook(watcher(key))
        for key, module in leak.model.named_modules()
        if isinstance(module, nn.Linear) and module.bias is not None
    ]
    try:
        with torch.no_grad():
            leak.model(pixel_values=leak.pixels(patches))
    finally:
        for handle in handles:
            handle.remove()
    return seen


def mismatch(leak: _Leak, patches: torch.Tensor) -> float:
    """Say how badly patches explain the gradients; 0 is perfectly, a model that learned nothing gives 1."""
    found = gradients_of(leak.model, leak.pixels(patches), leak.labels)
    return float(_difference(found, leak.gradients))


def _difference(found: dict[str, torch.Tensor], observed: dict[str, torch.Tensor]) -> torch.Tensor:
    """Squared error over squared norm, mean over parameters: else the classifier outweighs them all."""
    norms = {key: value.square().sum() for key, value in observed.items()}
    least = _RELATIVE_NOISE**2 * max(norms.values())  # a key's bias has no influence, only rounding
    errors = [(found[key] - observed[key]).square().sum() / n for key, n in norms.items() if n > least]
    return torch.stack(errors).mean()


def by_matching(leak: _Leak, *, steps: int, seed: int) -> torch.Tensor:
    """Change dummy patches, noise at first, until they give the observed gradients (L-BFGS, float64).

    They stay in the row space of the patch embedding's gradient, which for few patches is most of the answer.

    Args:
        leak: what is known.
        steps: iterations of L-BFGS.
        seed: of the noise.

    Returns:
        float32 (num_patches, pixels of a patch), -1 to 1.
    """
    model = _frozen_copy(leak.model).double()
    observed = {key: value.double() for key, value in leak.gradients.items()}
    basis = _row_space(leak)
    noise = torch.randn(leak.tokens, basis.shape[1], generator=torch.Generator().manual_seed(seed))
    inner = (0.3 * noise.double() @ basis.T).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [inner], max_iter=steps, history_size=50, line_search_fn="strong_wolfe", tolerance_change=0
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        pixels = leak.pixels(inner @ basis)
        found = gradients_of(model, pixels, leak.labels, create_graph=True)
        error = _difference(found, observed)
        error.backward()
        return error.detach()

    optimizer.step(closure)
    return (inner.detach() @ basis).float().clamp(-1, 1)


def _frozen_copy(model: nn.Module) -> nn.Module:
    import copy

    return copy.deepcopy(model).eval()


def _patch_embedding(model: nn.Module) -> tuple[str, nn.Conv2d]:
    for name, module in model.named_modules():
        kind = re.fullmatch(r"PEViT(Invariant|Texture)PatchEmbeddings", type(module).__name__)
        if kind is not None:
            raise InputValueError(
                f"model: its patch embedding is {kind[1].lower()}, a mean over turned patches, which "
                "this attack does not invert; attack a model with a linear or non-linear one."
            )
        if isinstance(module, nn.Conv2d) and module.kernel_size == module.stride:
            return name, module
    raise InputValueError(
        f"model: {type(model).__name__} has no convolution whose stride is as wide as its kernel, expected a "
        "vision transformer with one as its patch embedding."
    )
