"""What a training script without labels needs: models, batches, Trainer, what is told of unseen pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import EvalPrediction, PreTrainedModel, Trainer

from ..errors import InputValueError
from ..models import PEViTConfig, PEViTForPreTraining, PEViTImageProcessorPil
from .augmentation import EncryptedAugmentation, Turns
from .classification import decaying_parameters, pevit_config_for
from .overrides import given, loaded

if TYPE_CHECKING:
    from ..encryption.base import Encryption

PRETRAINING_TASKS = ("foreign", "places")
"""As `pretraining_task` of a `PEViTConfig`."""


def build_pretrainer(
    encryption: Encryption,
    image_size: tuple[int, int],
    *,
    task: str = "foreign",
    checkpoint: str | None = None,
    size: str = "small",
    attn_implementation: str = "sdpa",
    **overrides: Any,
) -> tuple[PEViTForPreTraining, PEViTImageProcessorPil]:
    """Build a PEViT that learns without labels from images encrypted like this, and its processor.

    Args:
        encryption: settings of the dataset.
        image_size: (height, width) in pixels of an encrypted image.
        task: "foreign", which patches are another image's, or "places", where each patch stands.
        checkpoint: folder or Hub repository of a PEViT of any head to start from.
        size: "tiny", "small" or "base"; unused with a checkpoint.
        attn_implementation: as in transformers.
        overrides: arguments of `PEViTConfig`; None means the default, or the checkpoint's own. While places
            are told the tokens have no positions, unless they are encoded by reference.

    Raises:
        InputValueError: places of patches that are shuffled; another task or size, an argument that the
            config does not have, or a value that it refuses.

    Example:
        >>> from hipmr_hf import MixingUp
        >>> tiny = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
        >>> model, processor = build_pretrainer(MixingUp(patch_size=16), (32, 48), task="places", **tiny)
        >>> model.config.position_encoding, model.place_head.out_features
        ('none', 24)
    """
    if task not in PRETRAINING_TASKS:
        allowed = " or ".join(map(repr, PRETRAINING_TASKS))
        raise InputValueError(f"task: got {task!r}, expected {allowed}.")
    if task == "places" and encryption.strategy == "rs":
        raise InputValueError(
            f"task: got 'places', but {type(encryption).__name__} shuffles the patches, so that none of them "
            "has a place to be told; take 'foreign', or pictures that were mixed up."
        )
    if overrides.get("patch_drop_rate"):
        raise InputValueError(
            f"patch_drop_rate: got {overrides['patch_drop_rate']}, but without labels every patch has an "
            "answer to give; leave it out."
        )
    if task == "places":
        if overrides.get("position_encoding") == "absolute":
            raise InputValueError(
                "position_encoding: got 'absolute', which would tell the places that are asked for; leave it "
                "out here, and give it to the training with labels that starts from this one."
            )
        overrides = {**overrides, "position_encoding": overrides.get("position_encoding") or "none"}
    settings = {"image_size": image_size, "pretraining_task": task, "patch_drop_rate": 0.0, **overrides}
    patch_size = encryption.encrypted_patch_size
    sizes = {"patch_size": patch_size, "encrypted_size": encryption.encrypted_size}
    if checkpoint is not None:
        model = loaded(
            PEViTForPreTraining,
            checkpoint,
            patch_size=patch_size,
            attn_implementation=attn_implementation,
            **given(settings, PEViTConfig),
        )
        return model, PEViTImageProcessorPil.from_pretrained(checkpoint, **sizes)
    config = pevit_config_for(encryption, size, **settings)
    config._attn_implementation = attn_implementation
    return PEViTForPreTraining(config), PEViTImageProcessorPil(**sizes)


@dataclasses.dataclass
class PretrainingCollator:
    """Makes a batch of rows with `image`, all of one size.

    Args:
        processor: the model's image processor.
        turns, patch_size: as in `EncryptedAugmentation`.
    """

    processor: PEViTImageProcessorPil
    turns: Turns = "none"
    patch_size: int | None = None

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Return `pixel_values` (batch, channels, height, width)."""
        inputs = self.processor([row["image"].convert("RGB") for row in rows], return_tensors="pt")
        turn = EncryptedAugmentation(1, turns=self.turns, patch_size=self.patch_size)
        pixels = inputs["pixel_values"]
        labels = torch.zeros(len(pixels), dtype=torch.long)  # nobody has any here
        return {"pixel_values": turn({"pixel_values": pixels, "labels": labels})["pixel_values"]}


class PretrainingTrainer(Trainer):
    """Trainer that evaluates how many patches are told.

    Args:
        args, kwargs: as in `Trainer`; the collator is a `PretrainingCollator`.
    """

    def get_decay_parameter_names(self, model: PreTrainedModel) -> list[str]:
        """Leave biases, norms, tokens and positions without weight decay."""
        return decaying_parameters(model)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> torch.utils.data.DataLoader[Any]:
        """Evaluate all rows, but a last one that would be alone in its batch and have no partner."""
        rows: Any = self.eval_dataset if eval_dataset is None else eval_dataset
        if len(rows) % (self.args.eval_batch_size * self.args.world_size) == 1 and len(rows) > 1:
            rows = rows.select(range(len(rows) - 1))
        drops, self.args.dataloader_drop_last = self.args.dataloader_drop_last, False
        try:
            return super().get_eval_dataloader(rows)
        finally:
            self.args.dataloader_drop_last = drops

    def prediction_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[torch.Tensor, Any, Any]:
        """Return what was said of each patch, (batch, num_patches), and what is true of it."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad():
            outputs = model(**inputs)
        if prediction_loss_only:
            return outputs.loss.detach(), None, None
        if outputs.foreign_patches is not None:
            return outputs.loss.detach(), outputs.logits.float(), outputs.foreign_patches.long()
        truth = torch.arange(outputs.logits.shape[1], device=outputs.logits.device)
        told = outputs.logits.argmax(dim=2)
        return outputs.loss.detach(), told, truth.expand(told.shape)


def told_patches(output: EvalPrediction) -> dict[str, float]:
    """`compute_metrics` of a `PretrainingTrainer`.

    Returns:
        Where places are told, `places_told`, the share of the patches whose place was told rightly; else
        `foreign_told`, the share of foreign ones among the patches that look most foreign, as many as are.

    Example:
        >>> scores, foreign = np.array([[2.0, -1.0], [0.5, 0.1]]), np.array([[1, 0], [0, 1]])
        >>> told_patches(EvalPrediction(scores, foreign))
        {'foreign_told': 0.5}
        >>> told_patches(EvalPrediction(np.array([[0, 2, 1, 3]]), np.arange(4)[None]))
        {'places_told': 0.5}
    """
    said, truth = np.asarray(output.predictions), np.asarray(output.label_ids)
    if np.issubdtype(said.dtype, np.integer):
        return {"places_told": float((said == truth).mean())}
    foreign = truth.reshape(-1).astype(bool)
    most = np.argsort(-said.reshape(-1), kind="stable")[: max(1, foreign.sum())]
    return {"foreign_told": float(foreign[most].mean())}
