"""Weights of transformers' ViT and DeiT, renamed for PEViT: a start from what was learnt on plain images."""

import re
from collections.abc import Mapping
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModel, PreTrainedConfig
from transformers.image_processing_base import ImageProcessingMixin
from transformers.modeling_utils import PreTrainedModel

from .configuration_pevit import PEViTConfig
from .convert_official import ConversionError, ConversionReport
from .image_processing_pevit import PEViTImageProcessorPil
from .modeling_pevit import PEViTForImageClassification, PEViTForImageClassificationWithTeacher

# Names that transformers 5 gives both models, whatever release wrote the checkpoint, and ours.
_RENAMED = (
    (r"(?:vit|deit)\.embeddings\.cls_token", "pevit.embeddings.cls_token"),
    (r"(?:vit|deit)\.embeddings\.distillation_token", "pevit.embeddings.distillation_token"),
    (r"(?:vit|deit)\.embeddings\.position_embeddings", "pevit.embeddings.position_embeddings"),
    (
        r"(?:vit|deit)\.embeddings\.patch_embeddings\.projection\.(weight|bias)",
        r"pevit.embeddings.patch_embeddings.projection.\1",
    ),
    (r"(?:vit|deit)\.layers\.(\d+)\.(.+)", r"pevit.layers.\1.\2"),
    (r"(?:vit|deit)\.layernorm\.(weight|bias)", r"pevit.layernorm.\1"),
    (r"(?:cls_)?classifier\.(weight|bias)", r"classifier.\1"),
    (r"distillation_classifier\.(weight|bias)", r"distillation_classifier.\1"),
)
SHARED_SETTINGS = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "initializer_range",
    "layer_norm_eps",
    "image_size",
    "patch_size",
    "num_channels",
    "qkv_bias",
)


def load_pevit_from_transformers(
    checkpoint: str, *, position_encoding: str = "reference", **overrides: Any
) -> tuple[PreTrainedModel, PEViTImageProcessorPil, ConversionReport]:
    """Load a ViT or DeiT (also distilled) as the PEViT that its weights fit.

    Args:
        checkpoint: folder or Hub repository of a checkpoint of `model_type` "vit" or "deit".
        position_encoding: "reference" (RPE, new and untrained) or "none" drop the positions, for shuffled
            patches; "absolute" keeps them, for mixed-up images.
        overrides: further arguments of [`PEViTConfig`], such as `patch_size`; what does not fit any more is
            new.

    Returns:
        The classifier in evaluation mode; a processor with the checkpoint's own mean and deviation; and what
        became of every tensor.

    Raises:
        ConversionError: there is no such checkpoint, or it is of another model type.
    """
    source = source_config(checkpoint)
    _check_model_type(checkpoint, source)
    model, report = convert_transformers_state_dict(
        _load_state_dict(checkpoint, source), source, position_encoding=position_encoding, **overrides
    )
    statistics = image_statistics(checkpoint)
    return model, PEViTImageProcessorPil(patch_size=model.config.patch_size, **statistics), report


def source_config(checkpoint: str) -> PreTrainedConfig:
    """Read the config of a checkpoint of transformers.

    Raises:
        ConversionError: There is no such checkpoint, or transformers does not know its model type.
    """
    try:
        return AutoConfig.from_pretrained(checkpoint)
    except (OSError, ValueError) as error:
        said = " ".join(str(error).split())
        raise ConversionError(f"checkpoint: {checkpoint} is none that transformers reads: {said}") from error


def convert_transformers_state_dict(
    state_dict: Mapping[str, torch.Tensor],
    source: PreTrainedConfig,
    *,
    position_encoding: str = "reference",
    **overrides: Any,
) -> tuple[PreTrainedModel, ConversionReport]:
    """Build the PEViT that a state dict of transformers' ViT or DeiT fits, with its weights.

    Args:
        state_dict: tensors under the names of `ViTForImageClassification`,
            `DeiTForImageClassificationWithTeacher` and their like.
        source: the config of that model.
        position_encoding, overrides: as in `load_pevit_from_transformers`.

    Returns:
        [`PEViTForImageClassificationWithTeacher`] if there is a distillation head, else
        [`PEViTForImageClassification`], in evaluation mode; and the report.

    >>> from transformers import ViTConfig, ViTForImageClassification
    >>> sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    >>> vit = ViTForImageClassification(ViTConfig(**sizes, image_size=8, patch_size=4))
    >>> model, report = convert_transformers_state_dict(vit.state_dict(), vit.config)
    >>> report.dropped, report.new[0]
    (('vit.embeddings.position_embeddings',), 'pevit.embeddings.reference_encoding.reference')
    """
    kinds = (PEViTForImageClassification, PEViTForImageClassificationWithTeacher)
    distilled = "distillation_classifier.weight" in state_dict
    model = kinds[distilled](_config_for(state_dict, source, position_encoding, overrides)).eval()
    expected = model.state_dict()
    weights, dropped = {}, []
    for name, tensor in state_dict.items():
        new_name = _rename(name)
        if new_name in expected and expected[new_name].shape == tensor.shape:
            weights[new_name] = tensor
        else:
            dropped.append(name)
    taken = tuple(name for name in state_dict if name not in dropped)
    model.load_state_dict(weights, strict=False)
    new = tuple(name for name in expected if name not in weights)
    return model, ConversionReport(taken, tuple(dropped), new)


def _rename(name: str) -> str | None:
    return next((re.sub(old, new, name) for old, new in _RENAMED if re.fullmatch(old, name)), None)


def _config_for(
    state_dict: Mapping[str, torch.Tensor],
    source: PreTrainedConfig,
    position_encoding: str,
    overrides: Mapping[str, Any],
) -> PEViTConfig:
    settings: dict[str, Any] = {name: getattr(source, name) for name in SHARED_SETTINGS}
    if isinstance(settings["image_size"], (tuple, list)):
        settings["image_size"] = tuple(settings["image_size"])
    return PEViTConfig(
        **{**settings, **overrides},
        position_encoding=position_encoding,
        use_distillation_token="deit.embeddings.distillation_token" in state_dict,
        id2label=source.id2label,
        label2id=source.label2id,
    )


def _check_model_type(checkpoint: str, source: PreTrainedConfig) -> None:
    if source.model_type not in ("vit", "deit"):
        raise ConversionError(
            f"checkpoint: {checkpoint} is of model type {source.model_type!r}, allowed are 'vit' and 'deit'; "
            "a .pth or .safetensors file of the published program is given as that file."
        )


def _load_state_dict(checkpoint: str, source: PreTrainedConfig) -> dict[str, torch.Tensor]:
    """Load with the class that saved it, which knows the names of older releases."""
    architecture = (source.architectures or [""])[0]
    kind = getattr(transformers, architecture, None) if "ImageClassification" in architecture else None
    if kind is not None:
        return kind.from_pretrained(checkpoint, dtype=torch.float32).state_dict()
    base = AutoModel.from_pretrained(checkpoint, dtype=torch.float32).state_dict()
    return {f"{source.model_type}.{name}": tensor for name, tensor in base.items()}


def image_statistics(checkpoint: str) -> dict[str, Any]:
    """Mean and deviation that the checkpoint's own processor normalises with."""
    try:
        settings, _ = ImageProcessingMixin.get_image_processor_dict(checkpoint)
    except OSError:  # a checkpoint without a processor
        return {}
    names = ("image_mean", "image_std", "rescale_factor", "do_rescale", "do_normalize")
    return {name: settings[name] for name in names if settings.get(name) is not None}


__all__ = [
    "SHARED_SETTINGS",
    "convert_transformers_state_dict",
    "image_statistics",
    "load_pevit_from_transformers",
    "source_config",
]
