"""What hand-written Accelerate loops do alike: groups of parameters, and checkpoints that are never half."""

import shutil
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from transformers import PreTrainedModel

from .classification import decaying_parameters


def parameter_groups(model: PreTrainedModel, weight_decay: float) -> list[dict[str, Any]]:
    """Give an optimizer its parameters: those that decay by the recipe, and those that do not.

    Args:
        model: before any wrapper changes the names of its parameters.
        weight_decay: of the first group.

    Example:
        >>> from hipmr_hf import PEViTConfig, PEViTModel
        >>> model = PEViTModel(PEViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1))
        >>> [group["weight_decay"] for group in parameter_groups(model, 0.05)]
        [0.05, 0.0]
    """
    decaying = set(decaying_parameters(model))
    parameters = list(model.named_parameters())
    return [
        {"params": [p for name, p in parameters if name in decaying], "weight_decay": weight_decay},
        {"params": [p for name, p in parameters if name not in decaying], "weight_decay": 0.0},
    ]


def save_checkpoint(accelerator: Accelerator, folder: Path, number: int, *, keep_older: bool = True) -> None:
    """Write `checkpoint-NUMBER` beside, then rename: a killed run leaves no half one with a finished name.

    Args:
        accelerator: holds all that is saved.
        folder: of the checkpoints.
        number: of the epochs or steps that are done.
        keep_older: else older ones go when the new one is whole.
    """
    beside, finished = folder / ".checkpoint", folder / f"checkpoint-{number}"
    accelerator.save_state(str(beside))
    if accelerator.is_main_process:
        older = [] if keep_older else list(folder.glob("checkpoint-*"))
        shutil.rmtree(finished, ignore_errors=True)
        beside.rename(finished)
        for path in older:
            if path != finished:
                shutil.rmtree(path)
    accelerator.wait_for_everyone()


def load_newest_checkpoint(accelerator: Accelerator, folder: Path) -> int:
    """Load the newest checkpoint of a folder, and return its number; 0 where there is none."""
    numbers = [int(path.name.split("-")[1]) for path in folder.glob("checkpoint-*")]
    if not numbers:
        return 0
    accelerator.load_state(str(folder / f"checkpoint-{max(numbers)}"))
    return max(numbers)
