"""Weights of transformers' ViT, DeiT, DINOv2 and YOLOS, and of PEViT, as a start for PEYOLOS."""

from typing import Any

import torch
import transformers
from transformers import AutoModel
from transformers.modeling_utils import PreTrainedModel

from .configuration_peyolos import PEYolosConfig
from .convert_official import ConversionError, ConversionReport
from .convert_official_peyolos import fill
from .convert_transformers import (
    SHARED_SETTINGS,
    convert_transformers_state_dict,
    image_statistics,
    pevit_name,
    source_config,
)
from .embeddings_peyolos import PatchLayout, bicubic_weights, resize_positions
from .image_processing_peyolos import PEYolosImageProcessorPil
from .modeling_peyolos import PEYolosForObjectDetection

_POSITIONS = "peyolos.embeddings.position_embeddings"
_MID_POSITIONS = "peyolos.mid_position_embeddings"
_DETECTION_TOKENS = "peyolos.embeddings.detection_tokens"
_CLASSES = "class_labels_classifier.layers.2."
# Parts of the names of transformers' YOLOS, which has kept the layout that its ViT had before version 5.
_YOLOS_NAMES = (
    ("encoder.layer.", "layers."),
    ("encoder.interpolation.mid_position_embeddings", "mid_position_embeddings"),
    ("attention.attention.query.", "attention.q_proj."),
    ("attention.attention.key.", "attention.k_proj."),
    ("attention.attention.value.", "attention.v_proj."),
    ("attention.output.dense.", "attention.o_proj."),
    ("intermediate.dense.", "mlp.fc1."),
    ("output.dense.", "mlp.fc2."),
)
_PREFIXES = {"vit": "vit.", "deit": "deit.", "pevit": "pevit.", "yolos": "vit."}
_MODEL_TYPES = ("vit", "deit", "dinov2", "pevit", "yolos")
_YOLOS_SETTINGS = ("num_detection_tokens", "use_mid_position_embeddings")


def load_peyolos_from_transformers(
    checkpoint: str, *, image_size: int | tuple[int, int], patch_size: int = 8, **overrides: Any
) -> tuple[PEYolosForObjectDetection, PEYolosImageProcessorPil, ConversionReport]:
    """Load a ViT, DeiT, DINOv2 (without registers), PEViT or YOLOS as the start of a PEYOLOS.

    Args:
        checkpoint: Folder or Hub repository of a checkpoint of that model type.
        image_size, patch_size, overrides: As in [`convert_to_peyolos`].

    Returns:
        The detector in evaluation mode; a processor with the checkpoint's own mean and deviation; and what
        became of every tensor.

    Raises:
        ConversionError: If there is no such checkpoint, it is of another model type, or the sizes do not fit.
    """
    config = source_config(checkpoint)
    _check_source(config)
    # The class that saved it also knows names of older releases.
    kind = getattr(transformers, (config.architectures or ["AutoModel"])[0], AutoModel)
    source = kind.from_pretrained(checkpoint, dtype=torch.float32)
    model, report = convert_to_peyolos(source, image_size=image_size, patch_size=patch_size, **overrides)
    statistics = image_statistics(checkpoint, config.model_type)
    return model, PEYolosImageProcessorPil(patch_size=patch_size, **statistics), report


def convert_to_peyolos(
    source: PreTrainedModel, *, image_size: int | tuple[int, int], patch_size: int = 8, **overrides: Any
) -> tuple[PEYolosForObjectDetection, ConversionReport]:
    """Build a detector with all the weights of another model that mean the same in it.

    Blocks, class token and positions are taken, positions resized bicubically to the detector's grid; of a
    distilled DeiT the first position is dropped, as in the published program. A DINOv2 first becomes a PEViT
    with its positions, which folds its LayerScale. Of YOLOS the detection tokens and heads are taken too; the
    last layer of the class head is new if `num_labels` differs. The patch embedding is new, for it sees other
    pixels; that of a PEViT is taken if it was trained on patches of the same size in the same way, and so is
    any with `patch_embedding="linear"` and the same size.

    Args:
        source: transformers' ViT, DeiT, DINOv2 (without registers) or YOLOS, or a PEViT, with or without a
            head; left as it is.
        image_size: Size in pixels, (height, width), of an *encrypted* image; sets the position grid.
        patch_size: Width in pixels of an *encrypted* patch.
        overrides: Further arguments of [`PEYolosConfig`], such as `id2label`.

    Returns:
        The detector in evaluation mode, in the type of the weights and at least float32, and what became of
        every tensor; a resized position embedding counts as taken although its rows for new detection tokens
        are new.

    Raises:
        ConversionError: If the source is of another model type, has registers or gated layers, or a size does
            not fit.

    Source: paper, section on PEYOLOS; Fang et al. (YOLOS, 2021), section 3.

    >>> from transformers import ViTConfig, ViTModel
    >>> sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    >>> vit = ViTModel(ViTConfig(**sizes, image_size=32, patch_size=16))
    >>> model, report = convert_to_peyolos(vit, image_size=(32, 48), num_detection_tokens=5)
    >>> model.config.position_grid, report.dropped[:1], report.new[0]
    ((4, 6), ('embeddings.patch_embeddings.projection.weight',), 'peyolos.embeddings.detection_tokens')
    """
    _check_source(source.config)
    if source.config.model_type == "dinov2":
        return _by_way_of_pevit(source, image_size=image_size, patch_size=patch_size, **overrides)
    settings = {name: getattr(source.config, name) for name in SHARED_SETTINGS}
    if source.config.model_type == "yolos":
        settings |= {name: getattr(source.config, name) for name in _YOLOS_SETTINGS}
        settings |= {"id2label": source.config.id2label, "label2id": source.config.label2id}
    settings |= {"image_size": image_size, "patch_size": patch_size, **overrides}
    if "num_labels" in overrides:
        settings = {name: value for name, value in settings.items() if name not in ("id2label", "label2id")}
    dtype = torch.promote_types(source.dtype, torch.float32)
    model = PEYolosForObjectDetection(PEYolosConfig(**settings)).to(dtype).eval()
    renamed = {name: _place(name, tensor, source, model) for name, tensor in source.state_dict().items()}
    return model, fill(model, renamed)


def _by_way_of_pevit(
    source: PreTrainedModel, **settings: Any
) -> tuple[PEYolosForObjectDetection, ConversionReport]:
    """A DINOv2 as the PEViT that it becomes, and that as a detector; the report has DINOv2's names."""
    prefix = "" if hasattr(source, source.base_model_prefix) else f"{source.base_model_prefix}."
    tensors = {f"{prefix}{name}": tensor for name, tensor in source.state_dict().items()}
    pevit, first = convert_transformers_state_dict(tensors, source.config, position_encoding="absolute")
    model, second = convert_to_peyolos(pevit, **settings)
    taken = tuple(
        name for name in first.taken if pevit_name(name, source.config.model_type) not in second.dropped
    )
    dropped = tuple(name for name in tensors if name not in taken)
    return model, ConversionReport(taken, dropped, second.new, first.notes)


def _place(
    name: str, tensor: torch.Tensor, source: PreTrainedModel, model: PEYolosForObjectDetection
) -> dict[str, torch.Tensor]:
    """The tensor under the detector's name, in its shape; nothing if it means nothing there."""
    new_name = _rename(name, source.config.model_type)
    expected = model.state_dict()
    if new_name not in expected:
        return {}
    if new_name in (_POSITIONS, _MID_POSITIONS):
        return {new_name: _resize(tensor, expected[new_name], source, model)}
    if ".patch_embeddings." in new_name and not _same_patches(source, model):
        return {}
    may_differ = new_name == _DETECTION_TOKENS or new_name.startswith(_CLASSES)
    return {} if may_differ and tensor.shape != expected[new_name].shape else {new_name: tensor}


def _rename(name: str, model_type: str) -> str:
    name = name.removeprefix(_PREFIXES[model_type])
    if model_type == "yolos":
        if name.startswith(("class_labels_classifier.", "bbox_predictor.")):
            return name
        for old, new in _YOLOS_NAMES:
            name = name.replace(old, new)
    return f"peyolos.{name}"


def _same_patches(source: PreTrainedModel, model: PEYolosForObjectDetection) -> bool:
    ours, theirs = model.config, source.config
    kind = getattr(theirs, "patch_embedding", "linear")
    return (kind, theirs.patch_size) == (ours.patch_embedding, ours.patch_size)


def _resize(
    table: torch.Tensor, expected: torch.Tensor, source: PreTrainedModel, model: PEYolosForObjectDetection
) -> torch.Tensor:
    """Resize the patch rows of positions; rows of detection tokens that are new keep their initialisation."""
    if not len(expected):
        return expected  # between one block and nothing there are no mid positions
    grid = _grid_of(source.config)
    if source.config.model_type in ("deit", "pevit"):
        prefix = table.shape[-2] - grid[0] * grid[1]
        table = table[..., prefix - 1 :, :]  # of a distilled model, the published program drops the first
    rows, columns = model.config.position_grid
    weights = (
        bicubic_weights(length, torch.tensor([float(size)], dtype=table.dtype), size)
        for length, size in zip(grid, (rows, columns), strict=True)
    )
    layout = PatchLayout(*weights, None)
    flat = table.reshape(-1, 1, *table.shape[-2:])  # mid positions have one table a block
    resized = torch.stack([resize_positions(one, grid, layout) for one in flat]).reshape(
        *table.shape[:-2], -1, table.shape[-1]
    )
    num_fixed, num_new = 1 + rows * columns, model.config.num_detection_tokens
    if resized.shape[-2] == num_fixed + num_new:
        return resized
    return torch.cat((resized[..., :num_fixed, :], expected[..., num_fixed:, :]), dim=-2)


def _grid_of(config: Any) -> tuple[int, int]:
    """Rows and columns of the stored positions; sizes may be one number or (height, width)."""
    sizes = (config.image_size, config.patch_size)
    image, patch = (size if isinstance(size, (list, tuple)) else (size, size) for size in sizes)
    return image[0] // patch[0], image[1] // patch[1]


def _check_source(config: Any) -> None:
    if getattr(config, "num_register_tokens", 0):
        raise ConversionError(
            f"The source has {config.num_register_tokens} register tokens, and a detector has no place for "
            "them; start from a checkpoint without registers."
        )
    if config.model_type not in _MODEL_TYPES:
        raise ConversionError(
            f"The source is of model type {config.model_type!r}, allowed are "
            f"{', '.join(map(repr, _MODEL_TYPES))}; for a .pth or .safetensors file of the published program "
            "use `convert_peyolos_state_dict`."
        )


__all__ = ["convert_to_peyolos", "load_peyolos_from_transformers"]
