"""A whole run of a Trainer: go on where it stopped, train, evaluate, save, publish, say where it all is."""

import contextlib
import filecmp
import json
import os
from pathlib import Path
from typing import Any

from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

_WEIGHTS = "*.safetensors"


def settle(training: TrainingArguments) -> None:
    """Set what all runs on encrypted images need, and keep one checkpoint where nothing else was asked for.

    Args:
        training: changed in place.
    """
    training.remove_unused_columns = False
    training.ddp_find_unused_parameters = False
    if training.save_total_limit is None:
        training.save_total_limit = 1  # Trainer's own default keeps all, each three times the model


def train_and_evaluate(trainer: Trainer) -> dict[str, float]:
    """Train and evaluate as the trainer's arguments say, from the last checkpoint on if there is one.

    Returns:
        What was measured.
    """
    training, metrics = trainer.args, {}
    if training.do_train:
        resume = training.resume_from_checkpoint
        if resume is None and os.path.isdir(training.output_dir):
            resume = get_last_checkpoint(training.output_dir)
        result = trainer.train(resume_from_checkpoint=resume)
        trainer.save_model()  # the processor goes with it
        trainer.save_state()
        if trainer.is_world_process_zero():
            keep_weights_once(training.output_dir)
        metrics.update(result.metrics)
    if training.do_eval:
        metrics.update(trainer.evaluate())
    return metrics


def keep_weights_once(output_dir: str | os.PathLike[str]) -> None:
    """Let the last checkpoint share its weights with the finished model, where they are the same.

    The checkpoint stays whole, so that training can go on from it.

    Args:
        output_dir: a Trainer's, with the saved model.
    """
    checkpoint = get_last_checkpoint(str(output_dir))
    for weights in Path(output_dir).glob(_WEIGHTS):
        twin = Path(checkpoint or output_dir) / weights.name
        if twin.is_file() and not twin.samefile(weights) and filecmp.cmp(weights, twin, shallow=False):
            beside = twin.with_suffix(".twin")
            with contextlib.suppress(OSError):  # not every file system has links; then they lie there twice
                os.link(weights, beside)
                beside.replace(twin)


def finish(trainer: Trainer, metrics: dict[str, float], **card: Any) -> dict[str, float]:
    """Save what was measured, write the card, publish if asked, and say where everything is.

    Args:
        trainer: after training or evaluation.
        metrics: what was measured.
        card: what Trainer's own card should say, such as `tasks`.

    Returns:
        The metrics, with the number of processes and of parameters.
    """
    training, speaks = trainer.args, trainer.is_world_process_zero()
    metrics |= {"world_size": training.world_size, "num_parameters": trainer.model.num_parameters()}
    if speaks:
        trainer.save_metrics("all", metrics, combined=False)
        print(json.dumps(metrics))
    trainer.create_model_card(**card)
    pushed = trainer.push_to_hub(**card) if training.push_to_hub else None
    if speaks:
        print(f"Checkpoint: {training.output_dir}")
        if pushed is not None:
            print(f"Published: {getattr(pushed, 'repo_url', None) or trainer.hub_model_id}")
    return metrics
