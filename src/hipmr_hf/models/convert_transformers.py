"""Weights of transformers' ViT, DeiT and DINOv2 for PEViT: a start from what was learnt on plain images."""

import re
from collections.abc import Mapping
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModel, PreTrainedConfig
from transformers.image_processing_base import ImageProcessingMixin
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from transformers.modeling_utils import PreTrainedModel

from .configuration_pevit import PEViTConfig
from .convert_official import ConversionError, ConversionReport
from .convert_transformers_tensors import fit_embeddings, fold_layer_scale
from .image_processing_pevit import PEViTImageProcessorPil
from .modeling_pevit import PEViTForImageClassification, PEViTForImageClassificationWithTeacher

# Names that transformers 5 gives ViT and DeiT, whatever release wrote the checkpoint, and ours.
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
# DINOv2's, with registers or without. Its classifier sees the mean of the patches beside the class token and
# means nothing behind the class token alone; its mask token is for pre-training.
_DINOV2 = r"dinov2(?:_with_registers)?\."
_RENAMED_DINOV2 = (
    (
        _DINOV2 + r"embeddings\.(cls_token|register_tokens|position_embeddings)",
        r"pevit.embeddings.\1",
    ),
    (
        _DINOV2 + r"embeddings\.patch_embeddings\.projection\.(weight|bias)",
        r"pevit.embeddings.patch_embeddings.projection.\1",
    ),
    (_DINOV2 + r"encoder\.layer\.(\d+)\.norm1\.(.+)", r"pevit.layers.\1.layernorm_before.\2"),
    (_DINOV2 + r"encoder\.layer\.(\d+)\.norm2\.(.+)", r"pevit.layers.\1.layernorm_after.\2"),
    (_DINOV2 + r"encoder\.layer\.(\d+)\.((?:attention|mlp)\..+)", r"pevit.layers.\1.\2"),
    (_DINOV2 + r"layernorm\.(weight|bias)", r"pevit.layernorm.\1"),
)
_LAYER_SCALE = _DINOV2 + r"encoder\.layer\.(\d+)\.layer_scale([12])\.lambda1"
_SCALED = {"1": "attention.o_proj", "2": "mlp.fc2"}
_POSITIONS = "pevit.embeddings.position_embeddings"
_MODEL_TYPES = ("vit", "deit", "dinov2", "dinov2_with_registers")
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
    """Load a ViT, DeiT (also distilled) or DINOv2 (also with registers) as the PEViT that its weights fit.

    Args:
        checkpoint: folder or Hub repository of a checkpoint of `model_type` "vit", "deit", "dinov2" or
            "dinov2_with_registers".
        position_encoding: "reference" (RPE, new, and nothing before it is trained) or "none" average the
            positions, for shuffled patches; "absolute" keeps them, for mixed-up images.
        overrides: further arguments of [`PEViTConfig`]. The patch embedding is resized to `patch_size`, and
            positions to the grid that `image_size` makes; what does not fit any more is new.

    Returns:
        The classifier in evaluation mode; a processor with the checkpoint's own mean and deviation; and what
        became of every tensor.

    Raises:
        ConversionError: there is no such checkpoint, or it is of another model type.

    Source: Beyer et al. (FlexiViT, 2023), section 3.4, for the patch embedding.
    """
    source = source_config(checkpoint)
    _check_model_type(checkpoint, source)
    model, report = convert_transformers_state_dict(
        _load_state_dict(checkpoint, source), source, position_encoding=position_encoding, **overrides
    )
    statistics = image_statistics(checkpoint, source.model_type)
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
    """Build the PEViT that a state dict of transformers' ViT, DeiT or DINOv2 fits, with its weights.

    Args:
        state_dict: tensors under the names of `ViTForImageClassification`,
            `DeiTForImageClassificationWithTeacher`, `Dinov2ForImageClassification` and their like.
        source: the config of that model.
        position_encoding, overrides: as in `load_pevit_from_transformers`.

    Returns:
        [`PEViTForImageClassificationWithTeacher`] if there is a distillation head, else
        [`PEViTForImageClassification`], in evaluation mode and in the type of the weights; and the report.

    Raises:
        ConversionError: the model has blocks that PEViT has not (SwiGLU), or patches that are not square.

    >>> from transformers import ViTConfig, ViTForImageClassification
    >>> sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    >>> vit = ViTForImageClassification(ViTConfig(**sizes, image_size=8, patch_size=4))
    >>> model, report = convert_transformers_state_dict(vit.state_dict(), vit.config)
    >>> report.dropped, report.new[0]
    ((), 'pevit.embeddings.reference_encoding.reference')
    """
    kinds = (PEViTForImageClassification, PEViTForImageClassificationWithTeacher)
    distilled = "distillation_classifier.weight" in state_dict
    config = _config_for(state_dict, source, position_encoding, overrides)
    model = kinds[distilled](config).to(next(iter(state_dict.values())).dtype).eval()
    renamed = {name: pevit_name(name, source.model_type) for name in state_dict}
    tensors = {new: state_dict[name] for name, new in renamed.items() if new is not None}
    scales = {name: found for name in state_dict if (found := re.fullmatch(_LAYER_SCALE, name))}
    for name, found in scales.items():
        layer = f"pevit.layers.{found[1]}.{_SCALED[found[2]]}"
        tensors |= fold_layer_scale(tensors, state_dict[name], layer)
    notes = [f"LayerScale folded into {len(scales)} projections"] if scales else []
    antialias = source.model_type == "dinov2_with_registers"  # the others resize positions without
    fitted, told = fit_embeddings(tensors, config, grid=_grid_of(source), antialias=antialias)
    expected = model.state_dict()
    weights = {
        name: tensor
        for name, tensor in fitted.items()
        if name in expected and expected[name].shape == tensor.shape
    }
    model.load_state_dict(weights, strict=False)
    # Positions that were averaged have gone into other weights, as LayerScale has.
    used = set(weights) | ({_POSITIONS} - set(fitted))
    taken = tuple(name for name, new in renamed.items() if new in used or name in scales)
    dropped = tuple(name for name in state_dict if name not in taken)
    came = {new for name, new in renamed.items() if name in taken}
    new = tuple(name for name in expected if name not in came)
    return model, ConversionReport(taken, dropped, new, (*notes, *told))


def pevit_name(name: str, model_type: str) -> str | None:
    """PEViT's name of a tensor of transformers; None if it has none of its own.

    >>> pevit_name("dinov2.encoder.layer.0.norm1.bias", "dinov2")
    'pevit.layers.0.layernorm_before.bias'
    """
    renamed = _RENAMED_DINOV2 if model_type.startswith("dinov2") else _RENAMED
    return next((re.sub(old, new, name) for old, new in renamed if re.fullmatch(old, name)), None)


def _config_for(
    state_dict: Mapping[str, torch.Tensor],
    source: PreTrainedConfig,
    position_encoding: str,
    overrides: Mapping[str, Any],
) -> PEViTConfig:
    settings: dict[str, Any] = {
        name: getattr(source, name) for name in SHARED_SETTINGS if hasattr(source, name)
    }
    settings["patch_size"] = _patch_size(source)
    if source.model_type.startswith("dinov2"):
        _check_dinov2(source)
        settings["intermediate_size"] = int(source.hidden_size * source.mlp_ratio)
        settings["num_register_tokens"] = getattr(source, "num_register_tokens", 0)
    if isinstance(settings["image_size"], (tuple, list)):
        settings["image_size"] = tuple(settings["image_size"])
    if overrides.get("patch_size", settings["patch_size"]) != settings["patch_size"]:
        # The grid of positions stays what it is unless an image size says otherwise.
        settings["image_size"] = tuple(side * overrides["patch_size"] for side in _grid_of(source))
    return PEViTConfig(
        **{**settings, **overrides},
        position_encoding=position_encoding,
        use_distillation_token="deit.embeddings.distillation_token" in state_dict,
        id2label=source.id2label,
        label2id=source.label2id,
    )


def _patch_size(source: PreTrainedConfig) -> int:
    sizes = source.patch_size if isinstance(source.patch_size, (list, tuple)) else [source.patch_size]
    if len(set(sizes)) > 1:
        raise ConversionError(
            f"patch_size: the checkpoint has patches of {list(sizes)} pixels, and PEViT's are square; take "
            "one with square patches."
        )
    return sizes[0]


def _grid_of(source: PreTrainedConfig) -> tuple[int, int]:
    size, patch = source.image_size, _patch_size(source)
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    return height // patch, width // patch


def _check_dinov2(source: PreTrainedConfig) -> None:
    if source.use_swiglu_ffn:
        raise ConversionError(
            "use_swiglu_ffn: the checkpoint's blocks have gated layers (SwiGLU, as DINOv2-giant has), which "
            "PEViT has not; take a small, base or large one."
        )


def _check_model_type(checkpoint: str, source: PreTrainedConfig) -> None:
    if source.model_type not in _MODEL_TYPES:
        raise ConversionError(
            f"checkpoint: {checkpoint} is of model type {source.model_type!r}, allowed are "
            f"{', '.join(map(repr, _MODEL_TYPES[:-1]))} and {_MODEL_TYPES[-1]!r}; a .pth or .safetensors "
            "file of the published program is given as that file."
        )


def _load_state_dict(checkpoint: str, source: PreTrainedConfig) -> dict[str, torch.Tensor]:
    """Load with the class that saved it, which knows the names of older releases."""
    architecture = (source.architectures or [""])[0]
    kind = getattr(transformers, architecture, None) if "ImageClassification" in architecture else None
    if kind is not None:
        return kind.from_pretrained(checkpoint, dtype=torch.float32).state_dict()
    base = AutoModel.from_pretrained(checkpoint, dtype=torch.float32).state_dict()
    return {f"{source.model_type}.{name}": tensor for name, tensor in base.items()}


def image_statistics(checkpoint: str, model_type: str) -> dict[str, Any]:
    """Mean and deviation that the checkpoint's own processor normalises with; DINOv2's are known without."""
    try:
        settings, _ = ImageProcessingMixin.get_image_processor_dict(checkpoint)
    except OSError:  # a checkpoint without a processor
        settings = {}
    names = ("image_mean", "image_std", "rescale_factor", "do_rescale", "do_normalize")
    statistics = {name: settings[name] for name in names if settings.get(name) is not None}
    if not statistics and model_type.startswith("dinov2"):
        return {"image_mean": IMAGENET_DEFAULT_MEAN, "image_std": IMAGENET_DEFAULT_STD}
    return statistics


__all__ = [
    "SHARED_SETTINGS",
    "convert_transformers_state_dict",
    "image_statistics",
    "load_pevit_from_transformers",
    "pevit_name",
    "source_config",
]
