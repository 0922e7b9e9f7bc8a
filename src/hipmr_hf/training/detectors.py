"""Detectors that fit an encrypted dataset, and the plain one that they are compared with."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from datasets import Dataset
from transformers import AutoConfig, YolosConfig, YolosForObjectDetection

from ..errors import InputValueError
from ..models import PEYolosConfig, PEYolosForObjectDetection, PEYolosImageProcessorPil
from ..models.convert_transformers_peyolos import load_peyolos_from_transformers
from .overrides import given, loaded, sized, values_told
from .patch_embedding import fitting_embedding

if TYPE_CHECKING:
    from ..encryption.base import Encryption


class PlainYolosProcessor(PEYolosImageProcessorPil):
    """Image processor of the plain baseline: the same steps, and no warning of plain pictures.

    transformers reads what it saves as the processor of its own YOLOS.
    """

    _auto_class = None  # no code of this package travels with a model of transformers

    def _warn_of_plain_pictures(self, images: list[np.ndarray], patch_size: int) -> None:
        pass

    def to_dict(self) -> dict[str, Any]:
        """As in the base class, with the one step switched off that transformers' YOLOS adds by default."""
        return {**super().to_dict(), "do_resize": False, "image_processor_type": "YolosImageProcessor"}


def build_peyolos(
    encryption: Encryption,
    image_size: tuple[int, int],
    *,
    checkpoint: str | None = None,
    size: str = "small",
    **overrides: Any,
) -> tuple[PEYolosForObjectDetection, PEYolosImageProcessorPil]:
    """Build a detector for images encrypted like this, and its processor.

    Args:
        encryption: settings of the dataset; boxes need MI.
        image_size: (height, width) in pixels of an encrypted image, of which the position grid is made.
        checkpoint: folder or Hub repository to start from: a PEYOLOS to go on with, or a PEViT, ViT, DeiT,
            DINOv2 (without registers) or YOLOS for its weights.
        size: "tiny", "small" or "base"; unused with a checkpoint.
        overrides: arguments of `PEYolosConfig`; None means the default, or the checkpoint's own. The default
            patch embedding of a new detector is the one that fits (see `patch_embedding`).

    Raises:
        InputValueError: the patches are shuffled, so that boxes mean nothing; another size, an argument that
            the config does not have, or a value that it refuses.

    Example:
        >>> from hipmr_hf import MixingUp
        >>> tiny = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
        >>> model, processor = build_peyolos(MixingUp(patch_size=16), (32, 48), num_labels=3, **tiny)
        >>> model.config.position_grid, processor.patch_size
        ((4, 6), 8)
    """
    if encryption.strategy != "mi":
        raise InputValueError(
            f"encryption: got {type(encryption).__name__}, but boxes mean nothing once the patches are "
            "shuffled; encrypt with MixingUp."
        )
    chosen = given(overrides, PEYolosConfig)
    patch_size, encrypted_size = encryption.encrypted_patch_size, encryption.encrypted_size
    if checkpoint is not None and AutoConfig.from_pretrained(checkpoint).model_type == "peyolos":
        model = loaded(PEYolosForObjectDetection, checkpoint, **chosen)
        return model, PEYolosImageProcessorPil.from_pretrained(checkpoint, encrypted_size=encrypted_size)
    asked = chosen.get("patch_embedding")
    chosen["patch_embedding"] = fitting_embedding(encryption, asked, told="places")
    if checkpoint is None:
        config = sized(PEYolosConfig, size, **{"image_size": image_size, "patch_size": patch_size, **chosen})
        processor = PEYolosImageProcessorPil(patch_size=patch_size, encrypted_size=encrypted_size)
        return PEYolosForObjectDetection(config), processor
    with values_told():
        model, processor, _ = load_peyolos_from_transformers(
            checkpoint, image_size=image_size, patch_size=patch_size, **chosen
        )
    processor.encrypted_size = encrypted_size
    return model, processor


def build_yolos_baseline(
    encryption: Encryption, image_size: tuple[int, int], *, size: str = "small", **overrides: Any
) -> tuple[YolosForObjectDetection, PlainYolosProcessor]:
    """Build transformers' YOLOS for the plain images that `encryption` would prepare, to compare with.

    A YOLOS made from scratch has tokens and positions of zeros, so that all its detections stay equal; here
    they are drawn as PEYOLOS's are.

    Args:
        encryption: settings of the encrypted dataset that it is compared on.
        image_size: (height, width) in pixels of an encrypted image.
        size: the same widths, depths and heads as PEYOLOS's.
        overrides: arguments that `YolosConfig` and `PEYolosConfig` share; None means the size's.

    Raises:
        InputValueError: another size, an argument that they do not share, or a value that they refuse.
    """
    chosen = given(overrides, YolosConfig, PEYolosConfig)
    preset = sized(PEYolosConfig, size, **chosen)
    shared = [field.name for field in dataclasses.fields(PEYolosConfig) if hasattr(YolosConfig, field.name)]
    # Costs and loss coefficients are equal by default, and whole numbers there.
    left_out = (
        "image_size",
        "patch_size",
        *(name for name in shared if name.endswith(("_cost", "_loss_coefficient"))),
    )
    settings = {name: getattr(preset, name) for name in shared if name not in left_out}
    names = {name: chosen[name] for name in ("id2label", "label2id", "num_labels") if name in chosen}
    plain_size = [side * encryption.sub_patch_grid for side in image_size]
    config = YolosConfig(**{**settings, **names}, image_size=plain_size, patch_size=encryption.patch_size)
    model = YolosForObjectDetection(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("cls_token", "detection_tokens", "position_embeddings")):
                torch.nn.init.trunc_normal_(parameter, std=config.initializer_range)
    return model, PlainYolosProcessor(patch_size=encryption.patch_size)


def largest_size(dataset: Dataset, num_images: int = 64) -> tuple[int, int]:
    """Measure the size that a detector's position grid is made for.

    Args:
        dataset: encrypted rows with an `image`.
        num_images: how many of the first to look at.

    Returns:
        Height and width in pixels that hold these images.
    """
    sizes = [row["image"].size for row in dataset.take(min(num_images, len(dataset)))]
    return max(height for _, height in sizes), max(width for width, _ in sizes)
