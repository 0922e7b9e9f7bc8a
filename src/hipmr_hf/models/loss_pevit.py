"""Losses of the PEViT classifiers: hard or soft targets, and a teacher's logits."""

from typing import Any

import torch
from torch import nn
from transformers.modeling_utils import PreTrainedModel

from .configuration_pevit import PEViTConfig


def classification_loss(
    model: PreTrainedModel, labels: torch.Tensor, logits: torch.Tensor, **kwargs: Any
) -> torch.Tensor:
    """Soft cross-entropy for floating targets of a single-label problem, else the loss transformers takes.

    In a regression with `regression_std`, errors are counted in that unit.
    """
    if model.config.problem_type == "regression" and model.config.regression_std is not None:
        scale = logits.new_tensor(model.config.regression_std)
        targets = labels.to(logits).reshape(logits.shape)
        return nn.functional.mse_loss(logits / scale, targets / scale)
    if not (model.config.problem_type == "single_label_classification" and labels.is_floating_point()):
        return model.loss_function(labels, logits, model.config, **kwargs)
    if labels.shape != logits.shape:
        raise ValueError(
            f"Floating `labels` are class probabilities and must have the shape {tuple(logits.shape)}, got "
            f"{tuple(labels.shape)}. Pass class ids as int64 instead."
        )
    return nn.functional.cross_entropy(logits, labels.to(logits))


def distillation_loss(
    config: PEViTConfig, logits: torch.Tensor, teacher_logits: torch.Tensor
) -> torch.Tensor:
    """DeiT's loss between the distillation head and a teacher, both (batch, num_labels)."""
    if teacher_logits.shape != logits.shape:
        raise ValueError(
            f"`teacher_logits` must have the shape {tuple(logits.shape)}, got {tuple(teacher_logits.shape)}."
        )
    if config.distillation_type == "hard":
        return nn.functional.cross_entropy(logits, teacher_logits.argmax(dim=-1))
    tau = config.distillation_tau
    student = nn.functional.log_softmax(logits / tau, dim=-1)
    teacher = nn.functional.log_softmax(teacher_logits.to(logits) / tau, dim=-1)
    divergence = nn.functional.kl_div(student, teacher, reduction="sum", log_target=True)
    return divergence * tau**2 / logits.numel()  # DeiT's mean is over the classes too, not the batch alone


__all__ = ["classification_loss", "distillation_loss"]
