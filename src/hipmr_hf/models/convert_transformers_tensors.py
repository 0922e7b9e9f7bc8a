"""What conversion does to tensors: LayerScale folded, patches and positions resized, positions averaged."""

from collections.abc import Mapping

import torch
from torch import nn

from .configuration_pevit import PEViTConfig

Tensors = dict[str, torch.Tensor]

_EMBEDDINGS = "pevit.embeddings."
_POSITIONS = _EMBEDDINGS + "position_embeddings"
_PREFIX_TOKENS = ("cls_token", "distillation_token")
_FC2 = _EMBEDDINGS + "reference_encoding.fc2."
_AT_REST = 0.5  # sigmoid(0), what a reference encoding with a zero last layer adds


def fold_layer_scale(tensors: Mapping[str, torch.Tensor], scale: torch.Tensor, layer: str) -> Tensors:
    """Fold diag(scale) behind a linear layer into it: s * (W x + b) = (diag(s) W) x + s b, exactly.

    Args:
        tensors: weights by name; those of `layer` are needed.
        scale: (hidden_size,), LayerScale's factors.
        layer: name of the linear layer in front of it.

    Returns:
        The layer's new weight (hidden_size, inputs) and bias (hidden_size,), in their own type.

    Source: Touvron et al., "Going deeper with image transformers" (LayerScale), section 2.

    >>> layer = {"fc2.weight": torch.ones(2, 3), "fc2.bias": torch.ones(2)}
    >>> fold_layer_scale(layer, torch.tensor([1.0, 5.0]), "fc2")["fc2.bias"]
    tensor([1., 5.])
    """
    weight, bias = tensors[f"{layer}.weight"], tensors[f"{layer}.bias"]
    return {f"{layer}.weight": scale.unsqueeze(1) * weight, f"{layer}.bias": scale * bias}


def resize_patch_weights(weight: torch.Tensor, size: int) -> torch.Tensor:
    """Resize the kernel of a patch embedding by the pseudo-inverse of resizing patches (bicubic).

    A larger kernel gives, on patches that were enlarged bicubically, what the old one gives on the patches
    themselves, exactly; for a smaller one it is the least-squares answer.

    Args:
        weight: (hidden_size, channels, width, width).
        size: new width in pixels, above 0.

    Returns:
        (hidden_size, channels, size, size), in the type of `weight`.

    Source: Beyer et al., "FlexiViT: One Model for All Patch Sizes", section 3.4.

    >>> resize_patch_weights(torch.rand(8, 3, 14, 14), 16).shape
    torch.Size([8, 3, 16, 16])
    """
    old = weight.shape[-1]
    if old == size:
        return weight
    pixels = torch.eye(old * old, dtype=torch.float64).reshape(-1, 1, old, old)
    resized = nn.functional.interpolate(pixels, size=(size, size), mode="bicubic", antialias=True)
    inverse = torch.linalg.pinv(resized.flatten(1))  # (size * size, old * old)
    flat = weight.double().flatten(2) @ inverse.T
    return flat.unflatten(2, (size, size)).to(weight.dtype)


def fit_embeddings(
    tensors: Mapping[str, torch.Tensor],
    config: PEViTConfig,
    *,
    grid: tuple[int, int],
    antialias: bool,
) -> tuple[Tensors, list[str]]:
    """Bring the embeddings of a plain ViT into the shapes and the meaning that a PEViT's have.

    Positions that stay are resized to the config's grid as the source resizes them; registers have none, so
    their rows are zero. Positions that give way are averaged: every patch gets the mean in the bias of its
    embedding, and the class and distillation tokens get their own, so nothing but the places is lost. A
    reference encoding starts as nothing: its last layer is zero, and the bias takes away the half that a
    sigmoid then adds.

    Args:
        tensors: the source's weights under PEViT's names.
        config: of the PEViT.
        grid: rows and columns of the source's positions.
        antialias: whether the source resizes positions with a low-pass filter, as DINOv2 with registers does.

    Returns:
        The same weights, fitted, with a reference encoding's last layer where there is one; and sentences
        that tell what was done.
    """
    fitted, told = dict(tensors), []
    kernel = _EMBEDDINGS + "patch_embeddings.projection.weight"
    if kernel in fitted and fitted[kernel].shape[-1] != config.patch_size:
        old = fitted[kernel].shape[-1]
        fitted[kernel] = resize_patch_weights(fitted[kernel], config.patch_size)
        told.append(f"patch embedding resized from {old} to {config.patch_size} pixels (pseudo-inverse)")
    last = "projection" if config.patch_embedding == "linear" else "mixing.1"
    last = "mixing" if config.patch_embedding not in ("linear", "nonlinear") else last
    bias = _EMBEDDINGS + f"patch_embeddings.{last}.bias"
    if _POSITIONS in fitted and config.position_encoding == "absolute":
        positions = fitted[_POSITIONS]
        if grid != config.position_grid:
            told.append(f"positions resized from {_by(grid)} to {_by(config.position_grid)} patches")
        fitted[_POSITIONS] = _resized(positions, grid, config, antialias=antialias)
    elif _POSITIONS in fitted:
        prefix, patches = _apart(fitted.pop(_POSITIONS), grid)
        for row, name in enumerate(_PREFIX_TOKENS[: prefix.shape[1]]):
            fitted[_EMBEDDINGS + name] = fitted[_EMBEDDINGS + name] + prefix[:, row : row + 1]
        before = fitted.get(bias, torch.zeros(config.hidden_size, dtype=patches.dtype))
        fitted[bias] = before + patches.mean(dim=(0, 1))
        told.append("positions averaged: every patch starts with their mean, the class token with its own")
    if config.position_encoding == "reference" and bias in fitted:
        size, dtype = config.hidden_size, fitted[bias].dtype
        fitted[bias] = fitted[bias] - _AT_REST
        fitted[_FC2 + "weight"] = torch.zeros(size, size, dtype=dtype)
        fitted[_FC2 + "bias"] = torch.zeros(size, dtype=dtype)
        told.append("the reference encoding starts as nothing (its last layer is zero)")
    return fitted, told


def _apart(positions: torch.Tensor, grid: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of the tokens in front, and rows of the patches."""
    return positions.tensor_split([positions.shape[1] - grid[0] * grid[1]], dim=1)


def _resized(
    positions: torch.Tensor, grid: tuple[int, int], config: PEViTConfig, *, antialias: bool
) -> torch.Tensor:
    prefix, patches = _apart(positions, grid)
    registers = positions.new_zeros(1, config.num_register_tokens, positions.shape[2])
    if grid != config.position_grid:
        field = patches.unflatten(1, grid).permute(0, 3, 1, 2)
        field = nn.functional.interpolate(
            field, size=config.position_grid, mode="bicubic", align_corners=False, antialias=antialias
        )
        patches = field.flatten(2).transpose(1, 2)
    return torch.cat((prefix, registers, patches), dim=1)


def _by(grid: tuple[int, int]) -> str:
    return f"{grid[0]}x{grid[1]}"


__all__ = ["fit_embeddings", "fold_layer_scale", "resize_patch_weights"]
