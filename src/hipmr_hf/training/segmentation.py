"""What a training script for segmentation needs: models, batches with masks, Trainer, evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from datasets import Dataset
from PIL import Image
from transformers import EvalPrediction, PreTrainedModel

from ..errors import InputValueError
from ..layout import MASK_COLUMN
from ..metrics.mean_iou import IGNORED, confusion_matrix, iou_scores
from ..models import PEViTConfig, PEViTForSemanticSegmentation, PEViTImageProcessorPil
from .classification import decaying_parameters, pevit_config_for
from .drawing import class_colour
from .eval_collator import EvalCollatorTrainer
from .overrides import given, loaded
from .patch_embedding import fitting_embedding

if TYPE_CHECKING:
    from ..encryption.base import Encryption

_OPACITY = 0.5


def build_segmenter(
    encryption: Encryption,
    image_size: tuple[int, int],
    *,
    checkpoint: str | None = None,
    size: str = "small",
    **overrides: Any,
) -> tuple[PEViTForSemanticSegmentation, PEViTImageProcessorPil]:
    """Build a PEViT that tells the class of every pixel of images encrypted like this, and its processor.

    Args:
        encryption: settings of the dataset; masks need MI.
        image_size: (height, width) in pixels of an encrypted image, of which the position grid is made.
        checkpoint: folder or Hub repository of a PEViT of any head to start from; what its head lacks is new.
        size: "tiny", "small" or "base"; unused with a checkpoint.
        overrides: arguments of `PEViTConfig`; None means the default, or the checkpoint's own.

    Raises:
        InputValueError: the patches are shuffled, so that masks mean nothing; another size, an argument that
            the config does not have, or a value that it refuses.

    Example:
        >>> from hipmr_hf import MixingUp
        >>> tiny = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
        >>> model, processor = build_segmenter(MixingUp(patch_size=16), (32, 48), num_labels=3, **tiny)
        >>> model.config.position_grid, processor.patch_size
        ((4, 6), 8)
    """
    if encryption.strategy != "mi":
        raise InputValueError(
            f"encryption: got {type(encryption).__name__}, but masks mean nothing once the patches are "
            "shuffled; encrypt with MixingUp."
        )
    patch_size = encryption.encrypted_patch_size
    sizes = {"patch_size": patch_size, "encrypted_size": encryption.encrypted_size}
    if checkpoint is not None:
        chosen = given(overrides, PEViTConfig)
        model = loaded(PEViTForSemanticSegmentation, checkpoint, patch_size=patch_size, **chosen)
        return model, PEViTImageProcessorPil.from_pretrained(checkpoint, **sizes)
    fitting = fitting_embedding(encryption, overrides.get("patch_embedding"), told="places")
    overrides = {"image_size": image_size, **overrides, "patch_embedding": fitting}
    config = pevit_config_for(encryption, size, **overrides)
    return PEViTForSemanticSegmentation(config), PEViTImageProcessorPil(**sizes)


@dataclasses.dataclass
class SegmentationCollator:
    """Makes a batch of rows with `image` and `mask`, all of one size.

    Args:
        processor: the model's image processor.
        flip: probability of a left-right flip of a picture with its mask: the mix of a flipped picture is the
            flip of the mix.
    """

    processor: PEViTImageProcessorPil
    flip: float = 0.0

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Return `pixel_values` (batch, channels, height, width) and `labels` int64 (batch, height, width).

        Raises:
            InputValueError: pictures of several sizes, or masks of another size than their pictures.
        """
        pixels = [np.asarray(row["image"].convert("RGB")) for row in rows]
        masks = [np.asarray(row[MASK_COLUMN]) for row in rows]
        sizes = {picture.shape[:2] for picture in pixels} | {mask.shape for mask in masks}
        if len(sizes) != 1:
            raise InputValueError(
                f"--dataset_name: a batch has images and masks of several sizes, {sorted(sizes)}; encrypt "
                "them at one, with --image-size HEIGHT WIDTH."
            )
        pixels, masks = np.stack(pixels), np.stack(masks)
        flipped = torch.rand(len(rows)).numpy() < self.flip
        pixels[flipped], masks[flipped] = pixels[flipped, :, ::-1], masks[flipped, :, ::-1]
        inputs = self.processor(list(pixels), return_tensors="pt")
        return {**inputs, "labels": torch.from_numpy(masks.astype(np.int64))}


class SegmentationTrainer(EvalCollatorTrainer):
    """Trainer that evaluates by counting pixels: no logits of whole images are gathered.

    Args:
        args, kwargs: as in `EvalCollatorTrainer`; the collators are `SegmentationCollator`s.
    """

    def get_decay_parameter_names(self, model: PreTrainedModel) -> list[str]:
        """Leave biases, norms, tokens and positions without weight decay."""
        return decaying_parameters(model)

    def prediction_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[torch.Tensor, Any, Any]:
        """Return a confusion matrix an image (batch, num_labels, num_labels), and its pixels that count."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad():
            outputs = model(**inputs)
        if prediction_loss_only:
            return outputs.loss.detach(), None, None
        found, truth = self.compared(outputs.logits.argmax(dim=1), inputs["labels"])
        config = self.model.config
        counted = {"num_labels": config.num_labels, "ignore_index": config.semantic_loss_ignore_index}
        pairs = zip(found, truth, strict=True)
        confusion = np.stack([confusion_matrix(*pair, **counted) for pair in pairs])
        confusion = torch.from_numpy(confusion).to(outputs.loss.device)
        return outputs.loss.detach(), confusion, confusion.sum((1, 2))

    def compared(self, found: torch.Tensor, truth: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return the maps of classes (batch, height, width) that are counted, pixel by pixel."""
        return found.cpu().numpy(), truth.cpu().numpy()


@dataclasses.dataclass
class SegmentationEvaluation:
    """`compute_metrics` of a `SegmentationTrainer`: the scores of `mean_iou`, and `images`, their count.

    Args:
        class_names: of all classes, in the order of their ids.
    """

    class_names: Sequence[str]

    def __call__(self, output: EvalPrediction) -> dict[str, float]:
        """Add the counts of all images up."""
        confusion = np.asarray(output.predictions)
        return {**iou_scores(confusion.sum(axis=0), class_names=self.class_names), "images": len(confusion)}


def mask_classes(dataset: Dataset, names: Sequence[str] | None = None) -> list[str]:
    """Name the classes of a split's masks.

    Args:
        dataset: encrypted rows with a column `mask`.
        names: of the classes in the order of their ids; by default they are counted, and called by their ids.

    Raises:
        InputValueError: there are no masks, or they hold ids that have no name.

    Example:
        >>> from datasets import Features
        >>> masks = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (0, 2, 255)]
        >>> rows = Dataset.from_dict({"mask": masks})
        >>> mask_classes(rows), mask_classes(rows, ["ground", "cat", "dog"])
        (['class 0', 'class 1', 'class 2'], ['ground', 'cat', 'dog'])
    """
    if MASK_COLUMN not in dataset.features:
        raise InputValueError(
            f"--dataset_name: its columns are {list(dataset.features)}, expected {MASK_COLUMN!r}, maps of "
            "classes; encrypt images that have them, with --mask-column."
        )
    found: set[int] = set()
    for mask in dataset.select_columns([MASK_COLUMN])[MASK_COLUMN]:
        found |= set(np.unique(np.asarray(mask)).tolist())
    highest = max(found - {IGNORED}, default=0)
    if names is None:
        return [f"class {number}" for number in range(highest + 1)]
    if highest >= len(names):
        raise InputValueError(
            f"--class_names: got {len(names)} names, but masks hold class {highest}; name every class, in "
            "the order of the ids."
        )
    return list(names)


def draw_mask(image: Image.Image, mask: np.ndarray) -> Image.Image:
    """Lay the classes of pixels over an image, each in a colour of its own; class 0 and 255 stay clear.

    Args:
        image: any PIL image.
        mask: class ids (height, width), of its size.

    Example:
        >>> draw_mask(Image.new("RGB", (6, 4)), np.ones((4, 6), np.uint8)).getpixel((0, 0)) != (0, 0, 0)
        True
    """
    picture = np.asarray(image.convert("RGB")).copy()
    for label in set(np.unique(mask).tolist()) - {0, IGNORED}:
        colour = np.asarray(class_colour(label), np.float32)
        here = np.asarray(mask) == label
        picture[here] = (1 - _OPACITY) * picture[here] + _OPACITY * colour
    return Image.fromarray(picture)
