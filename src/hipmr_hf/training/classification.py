"""What a training script needs between an encrypted dataset and a model: fitting settings, inputs, loss."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from datasets import Dataset, DatasetDict
from transformers import PreTrainedModel, ViTConfig, ViTForImageClassification, ViTImageProcessorPil
from transformers.image_utils import PILImageResampling

from ..encryption import Encryption
from ..errors import InputValueError
from ..models import (
    PEViTConfig,
    PEViTForImageClassification,
    PEViTForImageClassificationWithTeacher,
    PEViTImageProcessorPil,
)

SIZES = ("tiny", "small", "base")


def load_encryption(dataset_name: str, *, model_name: str | None = None) -> Encryption:
    """Read how a dataset was encrypted, and refuse one that a model was not trained on.

    Args:
        dataset_name: folder or Hub repository of an encrypted dataset.
        model_name: folder or Hub repository of a checkpoint that is to be trained on, if any.

    Raises:
        FileNotFoundError: the dataset has no encryption settings.
        ValueError: dataset and model do not fit.
    """
    encryption = Encryption.from_pretrained(dataset_name, repo_type="dataset")
    if model_name is not None:
        expected = Encryption.from_pretrained(model_name, repo_type="model")
        if encryption != expected:
            raise InputValueError(
                f"dataset_name: {dataset_name} was encrypted with {encryption}, but {model_name} was trained "
                f"on {expected}; encrypt the plain images with the model's settings, or train a new model."
            )
    return encryption


def pick_split(dataset: DatasetDict, name: str, *, argument: str) -> Dataset:
    """Take a split of a dataset.

    Raises:
        ValueError: there is none of this name; `argument` is what named it.

    Example:
        >>> pick_split(DatasetDict(train=Dataset.from_dict({"label": [1]})), "test", argument="eval_split")
        Traceback (most recent call last):
        hipmr_hf.errors.InputValueError: eval_split: got 'test', but the dataset has only 'train'; ...
    """
    if name not in dataset:
        has = ", ".join(map(repr, dataset))
        raise InputValueError(
            f"{argument}: got {name!r}, but the dataset has only {has}; name one of its splits."
        )
    return dataset[name]


def pevit_config_for(encryption: Encryption, size: str = "small", **overrides: Any) -> PEViTConfig:
    """Build the paper's PEViT for images encrypted like this.

    RS makes a set of patches: linear patch embedding and reference-based positional encoding. MI keeps the
    places: absolute positions and the non-linear patch embedding.

    Args:
        encryption: settings of the dataset.
        size: "tiny", "small" or "base".
        overrides: arguments of `PEViTConfig`; None means the default.

    Example:
        >>> from hipmr_hf import MixingUp
        >>> config = pevit_config_for(MixingUp(image_size=224), "tiny", num_labels=10)
        >>> config.patch_size, config.position_encoding, config.patch_embedding
        (8, 'absolute', 'nonlinear')
    """
    if size not in SIZES:
        raise InputValueError(f"size: got {size!r}, expected one of {', '.join(map(repr, SIZES))}.")
    keeps_places = encryption.strategy == "mi"
    fitting = {
        "image_size": encryption.encrypted_size or 224 // encryption.sub_patch_grid,
        "patch_size": encryption.encrypted_patch_size,
        "position_encoding": "absolute" if keeps_places else "reference",
        "patch_embedding": "nonlinear" if keeps_places else "linear",
    }
    return getattr(PEViTConfig, size)(**{**fitting, **_given(overrides)})


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
            another width of the encrypted patches a new patch embedding; transformers lists what is new.
        with_teacher: build the distilled model, which also learns from a teacher's logits.
        size: as in `pevit_config_for`; unused with a checkpoint.
        attn_implementation: as in transformers.
        overrides: arguments of `PEViTConfig`; None means the default, or the checkpoint's own.
    """
    kind = PEViTForImageClassificationWithTeacher if with_teacher else PEViTForImageClassification
    patch_size = encryption.encrypted_patch_size
    if checkpoint is not None:
        model = kind.from_pretrained(
            checkpoint,
            patch_size=patch_size,
            attn_implementation=attn_implementation,
            ignore_mismatched_sizes=True,
            **_given(overrides),
        )
        return model, PEViTImageProcessorPil.from_pretrained(checkpoint, patch_size=patch_size)
    config = pevit_config_for(encryption, size, **overrides)
    config._attn_implementation = attn_implementation
    return kind(config), PEViTImageProcessorPil(patch_size=patch_size)


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
    """
    shared = (
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "layer_norm_eps",
    )
    preset = getattr(PEViTConfig, size)(**_given(overrides))
    same = {name: getattr(preset, name) for name in shared}
    config = ViTConfig(**{**_given(overrides), **same}, image_size=image_size, patch_size=patch_size)
    config._attn_implementation = attn_implementation
    height, width = image_size
    processor = ViTImageProcessorPil(
        size={"height": height, "width": width}, resample=PILImageResampling.BICUBIC
    )
    return ViTForImageClassification(config), processor


def label_names(names: Sequence[str]) -> dict[str, Any]:
    """Give a config its class names: `id2label`, `label2id` and the problem they make."""
    return {
        "id2label": dict(enumerate(names)),
        "label2id": {name: index for index, name in enumerate(names)},
        "problem_type": "single_label_classification",
    }


def input_transform(
    processor: Callable, *, label_column: str = "label", teacher_logits_column: str | None = None
) -> Callable[[dict[str, list]], dict[str, torch.Tensor]]:
    """Return a function for `Dataset.with_transform`: rows with an encrypted image in, model inputs out."""

    def to_inputs(rows: dict[str, list]) -> dict[str, torch.Tensor]:
        inputs = dict(processor(rows["image"], return_tensors="pt"))
        inputs["labels"] = torch.tensor(rows[label_column])
        if teacher_logits_column is not None:
            inputs["teacher_logits"] = torch.tensor(rows[teacher_logits_column])
        return inputs

    return to_inputs


def classification_loss(model: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, Any]:
    """Run a classifier, PEViT or ViT, on class ids or class probabilities: mean loss over the batch, outputs.

    With `teacher_logits` among the inputs it is the model's own distillation loss.
    """
    if "teacher_logits" in inputs:
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


def _given(overrides: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in overrides.items() if value is not None}
