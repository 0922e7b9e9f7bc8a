"""A new patch embedding for encrypted patches, fitted by regression to the tokens of the old one."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ..errors import InputValueError
from ..models.convert_transformers_tensors import resize_patch_weights
from ..models.embeddings_pevit import PEViTInvariantPatchEmbeddings, PEViTPatchEmbeddings
from ..models.image_processing_pevit import PEViTImageProcessorPil
from .pairs import patch_pairs

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from ..encryption.base import Encryption

MOST_PAIRS = 20_000
_HELD_OUT = 0.1
_RIDGE = 1e-4  # share of the mean variance of the features
_STEPS, _BATCH, _RATE = 150, 512, 2e-3
_LEAST_PAIRS = 200


@dataclasses.dataclass(frozen=True)
class RefitReport:
    """How well a new embedding gives the old one's tokens.

    Args:
        explained: share of the tokens' variance, at most 1, on patches held out.
        num_pairs: patches it was fitted on.
        patch_embedding: one of those of `PEViTConfig`, such as "linear" or "invariant".
    """

    explained: float
    num_pairs: int
    patch_embedding: str

    def __str__(self) -> str:
        return (
            f"the {self.patch_embedding} patch embedding, fitted on {self.num_pairs:,} encrypted patches of "
            f"public pictures, explains {100 * self.explained:.0f} % of the old one's tokens"
        )


def refit_patch_embedding(
    model: PreTrainedModel,
    processor: PEViTImageProcessorPil,
    encryption: Encryption,
    images: Sequence[np.ndarray],
    *,
    patch_embedding: str = "linear",
    steps: int = _STEPS,
    seed: int = 0,
) -> tuple[PreTrainedModel, PEViTImageProcessorPil, RefitReport]:
    """Give a converted PEViT an embedding of encrypted patches that says what the old one said of plain ones.

    Linear embeddings are fitted by ridge regression; for the others Adam moves their first layer, which
    starts from random directions of the patches, and ridge regression sets the last.

    Args:
        model: a PEViT with a linear patch embedding, converted from a plain model; left as it is.
        processor: what the model's pixels are normalised by.
        encryption: settings; its plain patches may have another width than the model's, which is then
            resized.
        images: public pictures, uint8 (height, width, 3) each. They are seen plain.
        patch_embedding: one of those of `PEViTConfig`, such as "linear" or "invariant".
        steps: of Adam; unused for "linear".
        seed: of what is held out and of the start.

    Returns:
        The model with the new embedding and everything else as it was, in evaluation mode and at least
        float32; a processor for encrypted images, with pixels from -1 to 1; and how well it fits.

    Raises:
        InputValueError: the model's embedding is not linear, or the pictures have too few patches.

    Source: the linear case is ordinary ridge regression (Hoerl and Kennard, 1970).
    """
    if model.config.patch_embedding != "linear":
        raise InputValueError(
            f"model: its patch embedding is {model.config.patch_embedding!r}, and only a linear one's tokens "
            "are known for plain patches; convert the plain model anew."
        )
    pairs = patch_pairs(images, encryption, most=MOST_PAIRS, seed=seed)
    if len(pairs.encrypted) < _LEAST_PAIRS:
        raise InputValueError(
            f"pictures: they have {len(pairs.encrypted)} patches, expected at least {_LEAST_PAIRS} to fit an "
            "embedding on; give more pictures."
        )
    new = PEViTImageProcessorPil(
        patch_size=encryption.encrypted_patch_size, encrypted_size=encryption.encrypted_size
    )
    fitted = _rebuilt(model, encryption, patch_embedding, seed)
    pixels = _normalised(pairs.encrypted, new, fitted.dtype)
    tokens = _tokens(model, _normalised(pairs.plain, processor, fitted.dtype))
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(seed))
    held, used = order.tensor_split([round(_HELD_OUT * len(order))])
    embeddings = _base(fitted).embeddings.patch_embeddings
    if patch_embedding == "linear":
        _fit_linear(embeddings, pixels[used], tokens[used])
    else:
        _fit_hidden(embeddings, pixels[used], tokens[used], steps=steps, seed=seed)
    with torch.no_grad():
        missed = (_embedded(embeddings, pixels[held]) - tokens[held]).square().sum()
    spread = (tokens[held] - tokens[used].mean(dim=0)).square().sum()
    return fitted, new, RefitReport(float(1 - missed / spread), len(used), patch_embedding)


def _normalised(patches: np.ndarray, processor: PEViTImageProcessorPil, dtype: torch.dtype) -> torch.Tensor:
    """(pairs, width, width, channels) of grey levels to (pairs, channels, width, width) as the model sees."""
    pixels = torch.from_numpy(np.ascontiguousarray(patches.transpose(0, 3, 1, 2))).to(dtype)
    mean, std = (
        torch.tensor(values, dtype=dtype).view(-1, 1, 1)
        for values in (processor.image_mean, processor.image_std)
    )
    return (pixels * processor.rescale_factor - mean) / std


@torch.no_grad()
def _tokens(model: PreTrainedModel, plain: torch.Tensor) -> torch.Tensor:
    projection = _base(model).embeddings.patch_embeddings.projection
    weight = resize_patch_weights(projection.weight, plain.shape[-1])
    return plain.flatten(1) @ weight.to(plain.dtype).flatten(1).T + projection.bias.to(plain.dtype)


def _base(model: PreTrainedModel) -> Any:
    return getattr(model, model.base_model_prefix, model)


def _rebuilt(
    model: PreTrainedModel, encryption: Encryption, patch_embedding: str, seed: int
) -> PreTrainedModel:
    """The same model with an untrained embedding of encrypted patches."""
    config = copy.deepcopy(model.config)
    # The position grid stays what it is: rows and columns of plain patches.
    rows, columns = config.position_grid
    config.patch_size, config.patch_embedding = encryption.encrypted_patch_size, patch_embedding
    config.image_size = [rows * config.patch_size, columns * config.patch_size]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fitted = type(model)(config).to(torch.promote_types(model.dtype, torch.float32)).eval()
    kept = {name: value for name, value in model.state_dict().items() if ".patch_embeddings." not in name}
    fitted.load_state_dict(kept, strict=False)
    return fitted


def _embedded(embeddings: PEViTPatchEmbeddings, pixels: torch.Tensor) -> torch.Tensor:
    """(pairs, channels, width, width) to tokens (pairs, hidden_size)."""
    return torch.cat([embeddings.embed(part).flatten(1) for part in pixels.split(4 * _BATCH)])


def _fit_linear(embeddings: PEViTPatchEmbeddings, pixels: torch.Tensor, tokens: torch.Tensor) -> None:
    weight, bias = _ridge(pixels.flatten(1), tokens)
    _set(embeddings.projection.weight, weight.T.reshape(embeddings.projection.weight.shape))
    _set(embeddings.projection.bias, bias)


def _fit_hidden(
    embeddings: PEViTPatchEmbeddings, pixels: torch.Tensor, tokens: torch.Tensor, *, steps: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    flat = embeddings.seen(pixels).flatten(1)
    # Random mixtures of patches less their mean: directions in which patches really differ.
    width = len(embeddings.projection.weight)
    picked = torch.randint(len(flat), (2, width), generator=generator)
    kernels = flat[picked[0]] - flat[picked[1]]
    kernels = kernels / kernels.norm(dim=1, keepdim=True).clamp(min=1e-3)
    scale = (flat @ kernels.T).std().clamp(min=1e-3)
    _set(embeddings.projection.weight, (2 * kernels / scale).reshape(embeddings.projection.weight.shape))
    _set(embeddings.projection.bias, torch.randn(width, generator=generator))
    _fit_last(embeddings, pixels, tokens)
    optimizer = torch.optim.Adam(embeddings.parameters(), lr=_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    for _ in range(steps):
        batch = torch.randint(len(pixels), (_BATCH,), generator=generator)
        loss = nn.functional.mse_loss(_embedded(embeddings, pixels[batch]), tokens[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    optimizer.zero_grad()
    _fit_last(embeddings, pixels, tokens)


@torch.no_grad()
def _fit_last(embeddings: PEViTPatchEmbeddings, pixels: torch.Tensor, tokens: torch.Tensor) -> None:
    """Set the linear part by ridge regression on what stands before it."""
    invariant = isinstance(embeddings, PEViTInvariantPatchEmbeddings)
    last = embeddings.mixing if invariant else embeddings.mixing[1]
    with_tones = invariant and embeddings.tones is not None
    seen: list[torch.Tensor] = []
    hook = last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].flatten(1)))
    _embedded(embeddings, pixels)
    hook.remove()
    features, num_hidden = torch.cat(seen), seen[0].shape[1]
    if with_tones:
        features = torch.cat((features, embeddings.measure_tones(pixels).flatten(1)), dim=1)
    weight, bias = _ridge(features, tokens)
    _set(last.weight, weight[:num_hidden].T[..., None, None])
    _set(last.bias, bias)
    if with_tones:
        _set(embeddings.tones.weight, weight[num_hidden:].T[..., None, None])


def _ridge(features: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight (features, hidden_size) and bias (hidden_size,) of the ridge regression, in float64."""
    features, tokens = features.double(), tokens.double()
    centre, level = features.mean(dim=0), tokens.mean(dim=0)
    moved = features - centre
    gram = moved.T @ moved
    gram.diagonal().add_(_RIDGE * gram.diagonal().mean() + 1e-12)
    weight = torch.linalg.solve(gram, moved.T @ (tokens - level))
    return weight, level - centre @ weight


@torch.no_grad()
def _set(parameter: nn.Parameter | torch.Tensor, value: torch.Tensor) -> None:
    parameter.copy_(value)
