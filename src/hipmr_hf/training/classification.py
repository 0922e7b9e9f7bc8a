"""What a training script needs between an encrypted dataset and a model: fitting settings, inputs, loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel, ViTConfig, ViTForImageClassification, ViTImageProcessorPil
from transformers.image_utils import PILImageResampling

from ..errors import InputValueError
from ..models.configuration_pevit import PEViTConfig
from ..models.image_processing_pevit import PEViTImageProcessorPil
from ..models.modeling_pevit import PEViTForImageClassification, PEViTForImageClassificationWithTeacher
from .overrides import given, loaded, sized
from .patch_embedding import fitting_embedding
from .problems import Problem

if TYPE_CHECKING:
    from ..encryption.base import Encryption


def pevit_config_for(encryption: Encryption, size: str = "small", **overrides: Any) -> PEViTConfig:
    """Build the paper's PEViT for images encrypted like this.

    RS makes a set of patches: linear patch embedding and reference-based positional encoding. MI keeps the
    places: absolute positions and the non-linear patch embedding. Beyond the paper, turned patches and tones
    that were dealt out get the invariant patch embedding (see `patch_embedding`), which one line tells.

    Args:
        encryption: settings of the dataset.
        size: "tiny", "small" or "base".
        overrides: arguments of `PEViTConfig`; None means the default.

    Raises:
        InputValueError: another size, an argument that the config does not have, or a value that it refuses.

    Example:
        >>> from hipmr_hf import MixingUp
        >>> config = pevit_config_for(MixingUp(image_size=224), "tiny", num_labels=10)
        >>> config.patch_size, config.position_encoding, config.patch_embedding
        (8, 'absolute', 'nonlinear')
    """
    chosen = given(overrides, PEViTConfig)
    fitting = {
        "image_size": encryption.encrypted_size or 224 // encryption.sub_patch_grid,
        "patch_size": encryption.encrypted_patch_size,
        "position_encoding": "absolute" if encryption.strategy == "mi" else "reference",
        "patch_embedding": fitting_embedding(encryption, chosen.get("patch_embedding")),
    }
    return sized(PEViTConfig, size, **{**fitting, **chosen})


def build_pevit(
    encryption: Encryption,
    *,
    checkpoint: str | None = None,
    with_teacher: bool = False,
    size: str = "small",
    attn_implementation: str = "sdpa",
    **overrides: Any,
) -> tuple[PreTrainedModel, PEViTImageProcessorPil]:
    """Build a PEViT classifier and its processor, new or from a checkpoint.

    Args:
        encryption: settings of the dataset.
        checkpoint: folder or Hub repository to go on from. Another number of classes gets a new head, and
            another width of the encrypted patches a new patch embedding; one line tells what is new.
        with_teacher: build the distilled model, which also learns from a teacher's logits.
        size: as in `pevit_config_for`; unused with a checkpoint.
        attn_implementation: as in transformers.
        overrides: arguments of `PEViTConfig`; None means the default, or the checkpoint's own.

    Raises:
        InputValueError: as in `pevit_config_for`.
    """
    kind = PEViTForImageClassificationWithTeacher if with_teacher else PEViTForImageClassification
    sizes = {"patch_size": encryption.encrypted_patch_size, "encrypted_size": encryption.encrypted_size}
    if checkpoint is not None:
        model = loaded(
            kind,
            checkpoint,
            patch_size=encryption.encrypted_patch_size,
            attn_implementation=attn_implementation,
            **_of_its_head(checkpoint, given(overrides, PEViTConfig)),
        )
        return model, PEViTImageProcessorPil.from_pretrained(checkpoint, **sizes)
    config = pevit_config_for(encryption, size, **overrides)
    config._attn_implementation = attn_implementation
    return kind(config), PEViTImageProcessorPil(**sizes)


def _of_its_head(checkpoint: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Leave out the scale of the numbers where a checkpoint's head was trained for them, with its own."""
    if "regression_mean" not in settings:
        return settings
    config = PEViTConfig.from_pretrained(checkpoint)
    if config.regression_mean is None or config.id2label != settings["id2label"]:
        return settings
    return {name: value for name, value in settings.items() if not name.startswith("regression_")}


def build_vit_baseline(
    image_size: tuple[int, int],
    patch_size: int,
    *,
    size: str = "small",
    attn_implementation: str = "sdpa",
    **overrides: Any,
) -> tuple[PreTrainedModel, ViTImageProcessorPil]:
    """Build transformers' ViT with positions, to compare with: for plain images, or MI ones as they are.

    Args:
        image_size: (height, width) in pixels of what the model sees; its processor resizes to that.
        patch_size: width in pixels of a patch of it.
        size: the same widths, depths and heads as PEViT's.
        attn_implementation: as in transformers.
        overrides: arguments that `ViTConfig` and `PEViTConfig` share; None means the size's.

    Raises:
        InputValueError: another size, an argument that they do not share, or a value that they refuse.
    """
    shared = (
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "layer_norm_eps",
    )
    if overrides.get("problem_type") == "regression":
        raise InputValueError(
            "baseline: 'vit' learns classes alone, since its head has no scale for numbers; leave it out."
        )
    chosen = given(overrides, ViTConfig, PEViTConfig)
    preset = sized(PEViTConfig, size, **chosen)
    same = {name: getattr(preset, name) for name in shared}
    config = ViTConfig(**{**chosen, **same}, image_size=image_size, patch_size=patch_size)
    config._attn_implementation = attn_implementation
    height, width = image_size
    processor = ViTImageProcessorPil(
        size={"height": height, "width": width}, resample=PILImageResampling.BICUBIC
    )
    return ViTForImageClassification(config), processor


def input_transform(
    processor: Callable,
    *,
    label_column: str = "label",
    teacher_logits_column: str | None = None,
    problem: Problem | None = None,
) -> Callable[[dict[str, list]], dict[str, torch.Tensor]]:
    """Return a function for `Dataset.with_transform`: rows with an encrypted image in, model inputs out.

    Args:
        processor: of the model.
        label_column, teacher_logits_column: names in the rows.
        problem: what the labels are; None for one class a picture.
    """
    to_targets = torch.tensor if problem is None else problem.targets

    def to_inputs(rows: dict[str, list]) -> dict[str, torch.Tensor]:
        inputs = dict(processor(rows["image"], return_tensors="pt"))
        inputs["labels"] = to_targets(rows[label_column])
        if teacher_logits_column is not None:
            inputs["teacher_logits"] = torch.tensor(rows[teacher_logits_column])
        return inputs

    return to_inputs


def classification_loss(
    model: torch.nn.Module,
    inputs: dict[str, torch.Tensor],
    problem_type: str = "single_label_classification",
) -> tuple[torch.Tensor, Any]:
    """Run a classifier, PEViT or ViT, on class ids or class probabilities: mean loss over the batch, outputs.

    With `teacher_logits` among the inputs it is the model's own distillation loss, and for other problems
    than one class a picture the loss that the model has for them.
    """
    if "teacher_logits" in inputs or problem_type != "single_label_classification":
        outputs = model(**inputs)
        return outputs.loss, outputs
    outputs = model(pixel_values=inputs["pixel_values"])
    return F.cross_entropy(outputs.logits.float(), inputs["labels"]), outputs


def decaying_parameters(model: PreTrainedModel) -> list[str]:
    """Name the parameters with weight decay, by the recipe: not 1-D tensors, biases, cls, positions."""
    if hasattr(model, "no_weight_decay"):
        exempt = model.no_weight_decay()
    else:
        tokens = ("cls_token", "position_embeddings")
        exempt = {
            name for name, value in model.named_parameters() if value.ndim <= 1 or name.endswith(tokens)
        }
    return [name for name, _ in model.named_parameters() if name not in exempt]
