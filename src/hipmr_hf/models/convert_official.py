"""Weights of the authors' published PEViT program, renamed for this package's models."""

import argparse
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers.modeling_utils import PreTrainedModel

from .configuration_pevit import PEViTConfig
from .modeling_pevit import PEViTForImageClassification, PEViTForImageClassificationWithTeacher

# The program's names (timm's, plus the reference encoding) and ours; `qkv` becomes three layers.
_RENAMED = (
    (r"cls_token", "pevit.embeddings.cls_token"),
    (r"dist_token", "pevit.embeddings.distillation_token"),
    (r"pos_embed", "pevit.embeddings.position_embeddings"),
    (r"patch_embed\.proj\.(weight|bias)", r"pevit.embeddings.patch_embeddings.projection.\1"),
    (r"reference", "pevit.embeddings.reference_encoding.reference"),
    (r"ref_encoding\.0\.(weight|bias)", r"pevit.embeddings.reference_encoding.fc1.\1"),
    (r"ref_encoding\.2\.(weight|bias)", r"pevit.embeddings.reference_encoding.fc2.\1"),
    (r"blocks\.(\d+)\.norm1\.(weight|bias)", r"pevit.layers.\1.layernorm_before.\2"),
    (r"blocks\.(\d+)\.norm2\.(weight|bias)", r"pevit.layers.\1.layernorm_after.\2"),
    (r"blocks\.(\d+)\.attn\.qkv\.(weight|bias)", r"pevit.layers.\1.attention.{}_proj.\2"),
    (r"blocks\.(\d+)\.attn\.proj\.(weight|bias)", r"pevit.layers.\1.attention.o_proj.\2"),
    (r"blocks\.(\d+)\.mlp\.(fc1|fc2)\.(weight|bias)", r"pevit.layers.\1.mlp.\2.\3"),
    (r"norm\.(weight|bias)", r"pevit.layernorm.\1"),
    (r"head\.(weight|bias)", r"classifier.\1"),
    (r"head_dist\.(weight|bias)", r"distillation_classifier.\1"),
)
_NEEDED = (
    "cls_token",
    "patch_embed.proj.weight",
    "blocks.0.attn.qkv.weight",
    "blocks.0.mlp.fc1.weight",
    "norm.weight",
)


class ConversionError(ValueError):
    """A checkpoint that cannot be taken over, or not with these arguments."""


@dataclass(frozen=True)
class ConversionReport:
    """What became of every tensor.

    Args:
        taken: Names in the published state dict that were carried over.
        dropped: Names in it that the model has no place for.
        new: Names in the model that the state dict did not fill; they keep their random initialisation.
        notes: What was done to tensors that were taken, in words: folded, resized, averaged.
    """

    taken: tuple[str, ...]
    dropped: tuple[str, ...]
    new: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{len(self.taken)} tensors taken"]
        for verb, names in (("dropped", self.dropped), ("new, randomly initialised", self.new)):
            lines.append(f"{len(names)} {verb}" + (f": {', '.join(names)}" if names else ""))
        return "; ".join([*lines, *self.notes])


def load_state_dict(checkpoint: str | Path) -> dict[str, torch.Tensor]:
    """Read a published checkpoint without running any code in it.

    Args:
        checkpoint: A `.safetensors` file, or a `.pth` file that holds a state dict, bare or under `model`
            or `state_dict`. The latter is read with `weights_only=True`.

    Returns:
        Names and tensors, without the `module.` prefix that a parallel wrapper leaves.

    Raises:
        FileNotFoundError: If there is no such file.
        ConversionError: If the file holds more than tensors and plain settings, or no state dict.
    """
    path = Path(checkpoint)
    if not path.is_file():
        raise FileNotFoundError(f"`checkpoint` must be a .safetensors or .pth file, and {path} is no file.")
    content = _load_safetensors(path) if path.suffix == ".safetensors" else _load_pickle(path)
    for wrapper in ("model", "state_dict"):
        content = content[wrapper] if isinstance(content, Mapping) and wrapper in content else content
    if not isinstance(content, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise ConversionError(
            f"{path} holds no state dict. Expected names and tensors, bare or under 'model' or 'state_dict'."
        )
    return {name.removeprefix("module."): tensor for name, tensor in content.items()}


def _load_safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ConversionError(f"{path} cannot be read: {error}. Take it again from its source.") from error


def _load_pickle(path: Path) -> Any:
    try:
        # DeiT's training script stores its command line beside the weights; a Namespace holds attributes and
        # runs nothing.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a pickle can fail in many ways, and all of them mean the same here
        raise ConversionError(
            f"{path} cannot be read as weights alone: {error}. It is refused because unpickling more could "
            "run code. Where you trust the file, save its state dict as .safetensors and convert that."
        ) from error


def rename_pevit_weights(
    state_dict: Mapping[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """Rename tensors of the published program, splitting `qkv` in three.

    Args:
        state_dict: All or some of the program's tensors, under its names.

    Returns:
        The tensors under our names, and the program's names that are unknown to us.

    >>> renamed, unknown = rename_pevit_weights({"norm.bias": torch.zeros(8), "mask_token": torch.zeros(8)})
    >>> list(renamed), unknown
    (['pevit.layernorm.bias'], ('mask_token',))
    """
    renamed, unknown = {}, []
    for name, tensor in state_dict.items():
        new_name = next((re.sub(old, new, name) for old, new in _RENAMED if re.fullmatch(old, name)), None)
        if new_name is None:
            unknown.append(name)
        elif "{}" in new_name:
            renamed.update(
                (new_name.format(part), t.clone()) for part, t in zip("qkv", tensor.chunk(3), strict=True)
            )
        else:
            renamed[new_name] = tensor
    return renamed, tuple(unknown)


def infer_pevit_config(
    state_dict: Mapping[str, torch.Tensor], num_attention_heads: int, **overrides: Any
) -> PEViTConfig:
    """The config that fits a state dict of the published program.

    Args:
        state_dict: The program's tensors, under its names.
        num_attention_heads: What the tensors cannot tell: 3 for Ti, 6 for S, 12 for B.
        overrides: Further arguments of [`PEViTConfig`], such as `id2label`, or the (height, width)
            `image_size` of a position grid that is not square.

    Raises:
        ConversionError: If tensors are missing that every PEViT has, or for a `patch_embedding` that
            the program does not have, such as "invariant".

    >>> shapes = {"cls_token": (1, 1, 8), "patch_embed.proj.weight": (8, 3, 4, 4), "norm.weight": (8,)}
    >>> shapes |= {"blocks.0.attn.qkv.weight": (24, 8), "blocks.0.mlp.fc1.weight": (32, 8)}
    >>> shapes |= {"head.weight": (5, 8)}
    >>> config = infer_pevit_config({name: torch.zeros(shape) for name, shape in shapes.items()}, 2)
    >>> config.hidden_size, config.patch_size, config.num_labels, config.position_encoding
    (8, 4, 5, 'none')
    """
    missing = [name for name in _NEEDED if name not in state_dict]
    if missing:
        raise ConversionError(
            f"`state_dict` is no PEViT of the published program: {', '.join(missing)} missing. For "
            "the detector, use the detector's converter."
        )
    hidden_size, num_channels, patch_size, _ = state_dict["patch_embed.proj.weight"].shape
    blocks = {int(match[1]) for name in state_dict if (match := re.match(r"blocks\.(\d+)\.", name))}
    settings: dict[str, Any] = {
        "hidden_size": hidden_size,
        "num_hidden_layers": len(blocks),
        "num_attention_heads": num_attention_heads,
        "intermediate_size": state_dict["blocks.0.mlp.fc1.weight"].shape[0],
        "num_channels": num_channels,
        "patch_size": patch_size,
        "qkv_bias": "blocks.0.attn.qkv.bias" in state_dict,
        "use_distillation_token": "dist_token" in state_dict,
        "position_encoding": _position_encoding(state_dict),
    }
    refuse_invariant(overrides)
    if "head.weight" in state_dict:
        settings["num_labels"] = state_dict["head.weight"].shape[0]
    if settings["position_encoding"] == "absolute":
        num_patches = state_dict["pos_embed"].shape[1] - 1 - ("dist_token" in state_dict)
        settings["image_size"] = math.isqrt(num_patches) * patch_size
    return PEViTConfig(**{**settings, **overrides})


def refuse_invariant(overrides: Mapping[str, Any]) -> None:
    """Raise `ConversionError` for a patch embedding that no published checkpoint has the weights of."""
    if (chosen := overrides.get("patch_embedding")) in ("invariant", "texture"):
        raise ConversionError(
            f"`patch_embedding` {chosen!r} is none of the published program's, whose weights would mean "
            "something else in it. Leave it out, or train a new model with it."
        )


def _position_encoding(state_dict: Mapping[str, torch.Tensor]) -> str:
    if "reference" in state_dict:
        return "reference"
    return "absolute" if "pos_embed" in state_dict else "none"


def convert_pevit_state_dict(
    state_dict: Mapping[str, torch.Tensor], num_attention_heads: int, **overrides: Any
) -> tuple[PreTrainedModel, ConversionReport]:
    """Build the classifier that a state dict of the published program belongs to, with its weights.

    Args:
        state_dict: The program's tensors, under its names; plain DeiT classifiers work as well.
        num_attention_heads: 3 for Ti, 6 for S, 12 for B.
        overrides: Further arguments of [`PEViTConfig`].

    Returns:
        [`PEViTForImageClassificationWithTeacher`] if there is a distillation head, else
        [`PEViTForImageClassification`], in evaluation mode; and the report.

    Raises:
        ConversionError: If tensors are missing that every PEViT has, or do not fit the config.
    """
    config = infer_pevit_config(state_dict, num_attention_heads, **overrides)
    distilled = "head_dist.weight" in state_dict
    model = (PEViTForImageClassificationWithTeacher if distilled else PEViTForImageClassification)(
        config
    ).eval()
    expected = model.state_dict()
    taken, dropped, weights = [], [], {}
    for name, tensor in state_dict.items():
        renamed, _ = rename_pevit_weights({name: tensor})
        fits = bool(renamed) and all(new_name in expected for new_name in renamed)
        (taken if fits else dropped).append(name)
        weights.update(renamed if fits else {})
    check_shapes(weights, expected)
    model.load_state_dict(weights, strict=False)
    new = tuple(name for name in expected if name not in weights)
    return model, ConversionReport(tuple(taken), tuple(dropped), new)


def check_shapes(weights: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    """Raise `ConversionError` for a tensor that does not have the shape of the same name in `expected`."""
    for name, tensor in weights.items():
        if tensor.shape != expected[name].shape:
            raise ConversionError(
                f"{name} has the shape {tuple(tensor.shape)}, not {tuple(expected[name].shape)}. "
                "Pass the config's arguments that fit; for positions of a grid that is not square, "
                "`image_size=(height, width)`."
            )


__all__ = [
    "ConversionError",
    "ConversionReport",
    "check_shapes",
    "convert_pevit_state_dict",
    "infer_pevit_config",
    "load_state_dict",
    "refuse_invariant",
    "rename_pevit_weights",
]
