"""A Trainer whose batches of evaluation are made otherwise than those of training, which are augmented."""

from collections.abc import Callable
from typing import Any

import torch
from transformers import Trainer


class EvalCollatorTrainer(Trainer):
    """Trainer with a collator of its own for evaluation.

    Args:
        args, kwargs: as in `Trainer`.
        eval_collator: makes the batches of evaluation; by default that of training.
    """

    def __init__(self, *args: Any, eval_collator: Callable[..., Any] | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.eval_collator = eval_collator

    def get_eval_dataloader(self, eval_dataset: Any = None) -> torch.utils.data.DataLoader[Any]:
        """Use the evaluation's collator, which does not augment."""
        training_collator = self.data_collator
        self.data_collator = self.eval_collator or training_collator
        try:
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.data_collator = training_collator
