"""Train a PEViT on an encrypted dataset without labels, for a training with few labels to start from.

    accelerate launch --quiet examples/run_pretraining.py --dataset_name outputs/scans_rs \
        --output_dir outputs/pevit_pretrained --do_train --do_eval \
        --model_size small --num_train_epochs 100 --learning_rate 5e-4 --turns flips
    accelerate launch --quiet examples/run_image_classification.py --dataset_name outputs/scans_rs \
        --model_name_or_path outputs/pevit_pretrained --output_dir outputs/pevit --do_train --do_eval

`--task foreign` (the default) tells which patches were put in from another picture; it needs no order.
`--task places` tells where each patch stands (MP3), for pictures whose patches keep their places: mixed-up
ones (MI). The training with labels then takes `--position_encoding absolute`, since places were asked of
tokens without.

The result is config + safetensors + processor + encryption settings + card. Arguments behind these are
Trainer's own; a YAML file in first place gives defaults.
"""

import dataclasses
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from transformers import TrainingArguments, set_seed

from hipmr_hf.hub.card_renewal import save_card
from hipmr_hf.hub.cards import ModelFacts, model_card
from hipmr_hf.hub.publishing import card_on_the_hub, keep_off_the_hub
from hipmr_hf.hub.shareable_command import shareable_command
from hipmr_hf.training.detectors import largest_size
from hipmr_hf.training.pretraining import (
    PretrainingCollator,
    PretrainingTrainer,
    build_pretrainer,
    told_patches,
)
from hipmr_hf.training.script import parse_arguments, run_script
from hipmr_hf.training.splits import at_most, load_encryption, load_splits
from hipmr_hf.training.whole_run import finish, settle, train_and_evaluate


@dataclass
class DataArguments:
    dataset_name: str = field(metadata={"help": "Folder or Hub repository of an encrypted dataset."})
    train_split: str = "train"
    eval_split: str = "test"
    validation_fraction: float | None = field(
        default=None,
        metadata={"help": "Evaluate on this share of the training split instead of eval_split, such as .1."},
    )
    max_train_samples: int | None = None
    max_eval_samples: int | None = None


@dataclass
class ModelArguments:
    task: Literal["foreign", "places"] = field(
        default="foreign", metadata={"help": "Tell patches of other pictures, or where each stands (MI)."}
    )
    foreign_patch_rate: float | None = field(
        default=None, metadata={"help": "Share of the patches that are put in from another picture."}
    )
    context_patch_rate: float | None = field(
        default=None, metadata={"help": "Share of the patches that all may look at while places are told."}
    )
    model_name_or_path: str | None = field(default=None, metadata={"help": "Checkpoint to start from."})
    model_size: Literal["tiny", "small", "base"] = "small"
    hidden_size: int | None = field(default=None, metadata={"help": "Overrides model_size, as the next two."})
    num_hidden_layers: int | None = None
    num_attention_heads: int | None = None
    position_encoding: Literal["reference", "none", "absolute"] | None = None
    patch_embedding: str | None = field(
        default=None, metadata={"help": "linear, nonlinear, invariant or texture."}
    )
    drop_path_rate: float | None = field(default=None, metadata={"help": "Stochastic depth."})
    attn_implementation: Literal["sdpa", "eager"] = "sdpa"


@dataclass
class RecipeArguments:
    turns: Literal["none", "flips", "symmetries"] = field(
        default="none", metadata={"help": "How pictures are flipped or turned, each time at random."}
    )


class CardTrainer(PretrainingTrainer):
    """PretrainingTrainer with a card that tells all."""

    def __init__(self, *args, facts: ModelFacts, **kwargs):
        super().__init__(*args, **kwargs)
        self.facts = facts

    def create_model_card(self, *args, **kwargs):
        if self.is_world_process_zero():
            evaluations = [entry for entry in self.state.log_history if "eval_loss" in entry]
            facts = dataclasses.replace(self.facts, metrics=evaluations[-1] if evaluations else {})
            token = self.args.hub_token
            theirs = card_on_the_hub(self.hub_model_id, token=token) if self.hub_model_id else None
            save_card(model_card(facts), self.args.output_dir, existing=theirs)


def card_facts(data, args: ModelArguments, training: TrainingArguments, encryption, evaluation, model):
    """What the card tells beside the results; a local folder's name stays out of it."""
    base_model = args.model_name_or_path
    return ModelFacts(
        training.hub_model_id or Path(training.output_dir).name,
        encryption,
        task="image-feature-extraction",
        dataset_name=None if os.path.isdir(data.dataset_name) else data.dataset_name,
        evaluated_on=f"{len(evaluation):,} encrypted images that were not trained on",
        training_command=shareable_command(sys.argv),
        base_model=None if base_model is None or os.path.isdir(base_model) else base_model,
        num_parameters=model.num_parameters(),
    )


def main(arguments: list[str] | None = None) -> dict[str, float]:
    groups = {"data": DataArguments, "model": ModelArguments, "recipe": RecipeArguments}
    groups["training (transformers.TrainingArguments)"] = TrainingArguments
    data, model_args, recipe, training = parse_arguments(groups, arguments)
    settle(training)
    set_seed(training.seed)

    encryption = load_encryption(data.dataset_name)
    both = load_splits(
        data.dataset_name,
        train_split=data.train_split,
        eval_split=data.eval_split,
        validation_fraction=data.validation_fraction,
        seed=training.seed,
    )
    train, evaluation = at_most(both, (data.max_train_samples, data.max_eval_samples))
    # a last batch of one picture would have no patches for another
    training.dataloader_drop_last = len(train) >= training.train_batch_size * training.world_size
    named = dataclasses.asdict(model_args)
    model, processor = build_pretrainer(
        encryption,
        largest_size(train),
        checkpoint=named.pop("model_name_or_path"),
        size=named.pop("model_size"),
        **named,
    )
    turned = encryption.encrypted_patch_size if encryption.strategy == "rs" else None
    trainer = CardTrainer(
        model=model,
        args=training,
        train_dataset=train,
        eval_dataset=evaluation,
        data_collator=PretrainingCollator(processor, recipe.turns, turned),
        processing_class=processor,
        compute_metrics=told_patches,
        facts=card_facts(data, model_args, training, encryption, evaluation, model),
    )
    if trainer.is_world_process_zero():
        if training.push_to_hub:  # what Trainer writes for itself
            keep_off_the_hub(training.output_dir)
        encryption.save_pretrained(training.output_dir)  # before training, so that every push carries it
    metrics = train_and_evaluate(trainer)
    return finish(trainer, metrics, tasks="image-feature-extraction")


if __name__ == "__main__":
    run_script(main)
