"""Weights of the authors' published PEYOLOS program, renamed for this package's detector."""

import re
from collections.abc import Mapping
from typing import Any

import torch

from .configuration_peyolos import PEYolosConfig
from .convert_official import (
    ConversionError,
    ConversionReport,
    check_shapes,
    refuse_invariant,
    rename_pevit_weights,
)
from .modeling_peyolos import PEYolosForObjectDetection

# The backbone's other names are those of the program's classifier.
_RENAMED = (
    (r"backbone\.det_token", "peyolos.embeddings.detection_tokens"),
    (r"backbone\.mid_pos_embed", "peyolos.mid_position_embeddings"),
    (
        r"backbone\.patch_embed\.proj_siat\.(weight|bias)",
        r"peyolos.embeddings.patch_embeddings.projection.\1",
    ),
    (
        r"backbone\.patch_embed\.proj_siat_embed\.(weight|bias)",
        r"peyolos.embeddings.patch_embeddings.mixing.1.\1",
    ),
    (r"class_embed\.layers\.(\d)\.(weight|bias)", r"class_labels_classifier.layers.\1.\2"),
    (r"bbox_embed\.layers\.(\d)\.(weight|bias)", r"bbox_predictor.layers.\1.\2"),
)
_NEEDED = (
    "backbone.det_token",
    "backbone.pos_embed",
    "backbone.patch_embed.proj_siat.weight",
    "backbone.blocks.0.attn.qkv.weight",
    "backbone.blocks.0.mlp.fc1.weight",
    "class_embed.layers.2.bias",
)


def rename_peyolos_weights(
    state_dict: Mapping[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """Rename tensors of the published detector, splitting `qkv` in three.

    Args:
        state_dict: All or some of the program's tensors, under its names.

    Returns:
        The tensors under our names, and the program's names that are unknown to us.

    >>> renamed, unknown = rename_peyolos_weights(
    ...     {"backbone.det_token": torch.zeros(1, 2, 8), "head.bias": torch.zeros(8)}
    ... )
    >>> list(renamed), unknown
    (['peyolos.embeddings.detection_tokens'], ('head.bias',))
    """
    renamed, unknown = {}, []
    for name, tensor in state_dict.items():
        new_name = next((re.sub(old, new, name) for old, new in _RENAMED if re.fullmatch(old, name)), None)
        if new_name is not None:
            renamed[new_name] = tensor
        elif name.startswith("backbone."):
            shared, _ = rename_pevit_weights({name.removeprefix("backbone."): tensor})
            of_backbone = {key for key in shared if key.startswith("pevit.")}
            renamed.update({"peyolos" + key.removeprefix("pevit"): shared[key] for key in of_backbone})
            unknown += [] if of_backbone else [name]
        else:
            unknown.append(name)
    return renamed, tuple(unknown)


def infer_peyolos_config(
    state_dict: Mapping[str, torch.Tensor],
    num_attention_heads: int,
    image_size: tuple[int, int],
    **overrides: Any,
) -> PEYolosConfig:
    """The config that fits a state dict of the published detector.

    Args:
        state_dict: The program's tensors, under its names.
        num_attention_heads: What the tensors cannot tell: 3 for Ti, 6 for S, 12 for B.
        image_size: (height, width) in pixels of the *encrypted* images that the position grid belongs to:
            half of the program's `init_pe_size`, since it mixes 2 x 2 sub-patches.
        overrides: Further arguments of [`PEYolosConfig`], such as `id2label`.

    Raises:
        ConversionError: If tensors are missing that every PEYOLOS has, the grid does not fit, or for
            a `patch_embedding` that the program does not have, such as "invariant".

    >>> shapes = {"backbone.det_token": (1, 3, 8), "backbone.pos_embed": (1, 1 + 6 + 3, 8)}
    >>> shapes |= {"backbone.patch_embed.proj_siat.weight": (8, 3, 4, 4)}
    >>> shapes |= {"backbone.blocks.0.attn.qkv.weight": (24, 8)}
    >>> shapes |= {"backbone.blocks.0.mlp.fc1.weight": (32, 8), "class_embed.layers.2.bias": (6,)}
    >>> state_dict = {name: torch.zeros(shape) for name, shape in shapes.items()}
    >>> config = infer_peyolos_config(state_dict, num_attention_heads=2, image_size=(8, 12))
    >>> config.patch_size, config.position_grid, config.num_detection_tokens, config.num_labels
    (4, (2, 3), 3, 5)
    """
    missing = [name for name in _NEEDED if name not in state_dict]
    if missing:
        raise ConversionError(
            f"`state_dict` is no PEYOLOS of the published program: {', '.join(missing)} missing. For the "
            "classifier, use the classifier's converter."
        )
    hidden_size, num_channels, patch_size, _ = state_dict["backbone.patch_embed.proj_siat.weight"].shape
    blocks = {int(match[1]) for name in state_dict if (match := re.match(r"backbone\.blocks\.(\d+)\.", name))}
    num_detection_tokens = state_dict["backbone.det_token"].shape[1]
    num_cells = state_dict["backbone.pos_embed"].shape[1] - 1 - num_detection_tokens
    height, width = image_size
    if (height // patch_size) * (width // patch_size) != num_cells:
        raise ConversionError(
            f"`image_size` must have {num_cells} patches of {patch_size} pixels, got {tuple(image_size)}. "
            "Give half of the program's `init_pe_size`."
        )
    refuse_invariant(overrides)
    settings: dict[str, Any] = {
        "hidden_size": hidden_size,
        "num_hidden_layers": len(blocks),
        "num_attention_heads": num_attention_heads,
        "intermediate_size": state_dict["backbone.blocks.0.mlp.fc1.weight"].shape[0],
        "num_channels": num_channels,
        "patch_size": patch_size,
        "image_size": (height, width),
        "qkv_bias": "backbone.blocks.0.attn.qkv.bias" in state_dict,
        "num_detection_tokens": num_detection_tokens,
        "use_mid_position_embeddings": "backbone.mid_pos_embed" in state_dict,
        "num_labels": state_dict["class_embed.layers.2.bias"].shape[0] - 1,
    }
    return PEYolosConfig(**{**settings, **overrides})


def convert_peyolos_state_dict(
    state_dict: Mapping[str, torch.Tensor],
    num_attention_heads: int,
    image_size: tuple[int, int],
    **overrides: Any,
) -> tuple[PEYolosForObjectDetection, ConversionReport]:
    """Build the detector that a state dict of the published program belongs to, with its weights.

    The program resizes its positions only where the number of patches differs; this package always does, so
    for an image of as many patches in another shape the two give different boxes.

    Args:
        state_dict, num_attention_heads, image_size, overrides: As in [`infer_peyolos_config`].

    Returns:
        The detector in evaluation mode, and what became of every tensor.

    Raises:
        ConversionError: As in [`infer_peyolos_config`], or if a tensor does not fit the config.
    """
    config = infer_peyolos_config(state_dict, num_attention_heads, image_size, **overrides)
    model = PEYolosForObjectDetection(config).eval()
    renamed = {name: rename_peyolos_weights({name: tensor})[0] for name, tensor in state_dict.items()}
    return model, fill(model, renamed)


def fill(
    model: PEYolosForObjectDetection, renamed: Mapping[str, Mapping[str, torch.Tensor]]
) -> ConversionReport:
    """Load renamed tensors into a detector.

    Args:
        model: Changed in place.
        renamed: For every tensor of the source, what becomes of it under the model's names; nothing if there
            is no place for it.

    Returns:
        What became of every tensor.

    Raises:
        ConversionError: If a tensor does not have the shape that the model needs.
    """
    expected = model.state_dict()
    weights: dict[str, torch.Tensor] = {}
    taken = tuple(
        name for name, parts in renamed.items() if parts and all(part in expected for part in parts)
    )
    for name in taken:
        weights.update(renamed[name])
    check_shapes(weights, expected)
    model.load_state_dict(weights, strict=False)
    dropped = tuple(name for name in renamed if name not in taken)
    return ConversionReport(taken, dropped, tuple(name for name in expected if name not in weights))


__all__ = ["convert_peyolos_state_dict", "fill", "infer_peyolos_config", "rename_peyolos_weights"]
