"""Train PEViT (or a plain ViT as a baseline) on an encrypted dataset with Trainer: classes or numbers.

The dataset is a folder or Hub repository with `encryption_config.json`, as `hipmr encrypt` writes it:

    accelerate launch --quiet examples/run_image_classification.py --dataset_name outputs/digits_rs \
        --model_size tiny --output_dir outputs/pevit --do_train --do_eval --num_train_epochs 20 \
        --learning_rate 1e-3 --turns flips --label_smoothing_factor 0.1 --drop_path_rate 0.1

Costs: one CPU core trains PEViT tiny on about 7 images of 224 x 224 pixels a second, and small on about 2, so
that 20 epochs of 6,000 such images are 5 and 17 hours. For more than small images take a GPU (`--bf16`).

The labels say what is learned: one class a picture, lists of classes (multi-label) or numbers (regression);
`--problem_type` says it outright. Add `--validation_fraction 0.1` where the dataset has no split to evaluate
on, `--push_to_hub` to publish the checkpoint, `--model_name_or_path` to go on from one, or name a YAML file
with arguments in first place. A killed run goes on from its last checkpoint when it is started again; of
checkpoints the last one is kept (`--save_total_limit`). The result is config + safetensors + processor +
encryption settings, which `AutoModelForImageClassification.from_pretrained(output_dir)` loads.
"""

import dataclasses
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from datasets import DatasetDict
from safetensors.torch import load_file, save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed

from hipmr_hf.hub.card_renewal import save_card
from hipmr_hf.hub.cards import ModelFacts, model_card
from hipmr_hf.hub.publishing import card_on_the_hub, keep_off_the_hub
from hipmr_hf.hub.shareable_command import shareable_command
from hipmr_hf.training.augmentation import EncryptedAugmentation
from hipmr_hf.training.classification import (
    build_pevit,
    build_vit_baseline,
    classification_loss,
    decaying_parameters,
    input_transform,
)
from hipmr_hf.training.layer_rates import decay_rates_by_layer
from hipmr_hf.training.problems import Problem, ProblemType, problem_of
from hipmr_hf.training.script import parse_arguments, run_script
from hipmr_hf.training.splits import at_most, load_encryption, load_splits
from hipmr_hf.training.whole_run import finish, settle, train_and_evaluate


@dataclass
class DataArguments:
    dataset_name: str = field(metadata={"help": "Folder or Hub repository of an encrypted dataset."})
    label_column: str = "label"
    problem_type: ProblemType | None = field(
        default=None,
        metadata={"help": "What to learn. Default: lists are several classes, floats numbers, else classes."},
    )
    teacher_logits_column: str | None = field(
        default=None, metadata={"help": "Column with the logits of a teacher that saw the plain images."}
    )
    train_split: str = "train"
    eval_split: str = "test"
    validation_fraction: float | None = field(
        default=None,
        metadata={
            "help": "Evaluate on this share of the training split instead of eval_split, such as .1.",
            "aliases": ["--validation_size"],
        },
    )
    max_train_samples: int | None = None
    max_eval_samples: int | None = None


@dataclass
class ModelArguments:
    model_name_or_path: str | None = field(default=None, metadata={"help": "Checkpoint to go on from."})
    baseline: Literal["vit"] | None = field(
        default=None, metadata={"help": "'vit': a ViT with positions, on plain images or MI ones."}
    )
    model_size: Literal["tiny", "small", "base"] = "small"
    hidden_size: int | None = field(default=None, metadata={"help": "Overrides model_size, as the next two."})
    num_hidden_layers: int | None = None
    num_attention_heads: int | None = None
    position_encoding: str | None = field(
        default=None,
        metadata={"help": "reference, none or absolute. Default: absolute for MI, else reference."},
    )
    patch_embedding: str | None = field(
        default=None,
        metadata={
            "help": "linear, nonlinear, invariant or texture. Default: invariant where patches are turned or "
            "tones dealt out, else nonlinear for MI and linear for RS."
        },
    )
    patch_embedding_initializer: str = "default"
    attn_implementation: str = "sdpa"
    image_size: int | None = field(default=None, metadata={"help": "Baseline on plain images alone: pixels."})
    patch_size: int = field(default=16, metadata={"help": "Baseline on plain images alone: pixels."})


@dataclass
class RecipeArguments:
    turns: Literal["none", "flips", "symmetries"] = "flips"
    mixup_alpha: float = 0.0
    drop_path_rate: float = 0.0
    patch_drop_rate: float = field(default=0.0, metadata={"help": "Share of patches left out in training."})
    ema_decay: float | None = field(
        default=None, metadata={"help": "Average the weights, for instance .999."}
    )
    layer_decay: float = field(
        default=1.0, metadata={"help": "Rate of a block by that of the next: .75 for pre-trained weights."}
    )


class AveragedWeights(TrainerCallback):
    """Keeps an exponential moving average of the weights, and puts it into the model when training ends."""

    def __init__(self, decay: float):
        self.average_fn, self.average = get_ema_multi_avg_fn(decay), None

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        self.average = AveragedModel(model, multi_avg_fn=self.average_fn, use_buffers=True)
        saved = self._path(args, state)
        if state.global_step and saved.exists():
            self.average.load_state_dict(load_file(saved))

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.average.update_parameters(model)

    def on_save(self, args, state, control, **kwargs):
        if state.is_world_process_zero:
            save_file(self.average.state_dict(), self._path(args, state))

    def on_train_end(self, args, state, control, model=None, **kwargs):
        model.load_state_dict(self.average.module.state_dict())

    @staticmethod
    def _path(args, state) -> Path:
        return Path(args.output_dir) / f"checkpoint-{state.global_step}" / "averaged_weights.safetensors"


class RecipeTrainer(Trainer):
    """Trainer with augmentation on the device, a loss on class probabilities and a card that tells all."""

    loss_is_scaled_for_ga = False  # the loss is a mean over one batch

    def __init__(
        self,
        *args,
        augmentation: EncryptedAugmentation,
        facts: ModelFacts | None,
        layer_decay: float = 1.0,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.augmentation, self.layer_decay = augmentation, layer_decay
        self.facts = facts  # of the model card; None for the plain baseline, which gets Trainer's

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        inputs = self.augmentation(inputs) if model.training else inputs
        loss, outputs = classification_loss(model, inputs, self.augmentation.problem_type)
        return (loss, outputs) if return_outputs else loss

    def get_decay_parameter_names(self, model):
        return decaying_parameters(model)

    def create_optimizer(self, model=None):
        is_new = self.optimizer is None
        optimizer = super().create_optimizer(model)
        if is_new:
            decay_rates_by_layer(optimizer, self.model if model is None else model, self.layer_decay)
        return optimizer

    def create_model_card(self, *args, **kwargs):
        if self.facts is None:
            return super().create_model_card(*args, **kwargs)
        if self.is_world_process_zero():
            evaluations = [entry for entry in self.state.log_history if "eval_loss" in entry]
            facts = dataclasses.replace(self.facts, metrics=evaluations[-1] if evaluations else {})
            theirs = (
                card_on_the_hub(self.hub_model_id, token=self.args.hub_token) if self.hub_model_id else None
            )
            save_card(model_card(facts), self.args.output_dir, existing=theirs)


def load_rows(data: DataArguments, seed: int) -> DatasetDict:
    splits = load_splits(
        data.dataset_name,
        train_split=data.train_split,
        eval_split=data.eval_split,
        validation_fraction=data.validation_fraction,
        label_column=data.label_column,
        problem_type=data.problem_type,
        seed=seed,
    )
    limits = data.max_train_samples, data.max_eval_samples
    train, evaluation = at_most(splits, limits, shuffle_seed=seed)
    return DatasetDict(train=train, evaluation=evaluation)


def build_model(data: DataArguments, args: ModelArguments, recipe: RecipeArguments, problem: Problem):
    """Read the dataset's encryption, build a model that fits, and its processor."""
    size = {
        "size": args.model_size,
        "hidden_size": args.hidden_size,
        "num_hidden_layers": args.num_hidden_layers,
        "num_attention_heads": args.num_attention_heads,
        "attn_implementation": args.attn_implementation,
        **problem.settings(),
    }
    if args.baseline == "vit" and args.image_size is not None:  # plain images: nothing is encrypted
        shape = (args.image_size, args.image_size)
        return None, *build_vit_baseline(shape, args.patch_size, **size)
    encryption = load_encryption(data.dataset_name, model_name=args.model_name_or_path)
    if args.baseline == "vit":
        return encryption, *build_vit_baseline(
            encryption.encrypted_size, encryption.encrypted_patch_size, **size
        )
    model, processor = build_pevit(
        encryption,
        checkpoint=args.model_name_or_path,
        with_teacher=data.teacher_logits_column is not None,
        position_encoding=args.position_encoding,
        patch_embedding=args.patch_embedding,
        patch_embedding_initializer=args.patch_embedding_initializer,
        drop_path_rate=recipe.drop_path_rate,
        patch_drop_rate=recipe.patch_drop_rate,
        **size,
    )
    return encryption, model, processor


def build_augmentation(recipe: RecipeArguments, training: TrainingArguments, encryption, problem: Problem):
    shuffled = encryption is not None and encryption.strategy == "rs"
    label_smoothing, training.label_smoothing_factor = training.label_smoothing_factor, 0.0  # not twice
    return EncryptedAugmentation(
        num_labels=len(problem.names),
        problem_type=problem.problem_type,
        turns=recipe.turns,
        patch_size=encryption.encrypted_patch_size if shuffled else None,
        mixup_alpha=recipe.mixup_alpha,
        label_smoothing=label_smoothing,
    )


def card_facts(
    data: DataArguments, args: ModelArguments, training: TrainingArguments, encryption, splits, model
):
    """What the model card tells beside the results; a local folder's name stays out of it."""
    base_model = args.model_name_or_path
    return ModelFacts(
        training.hub_model_id or Path(training.output_dir).name,
        encryption,
        dataset_name=None if os.path.isdir(data.dataset_name) else data.dataset_name,
        evaluated_on=f"{len(splits['evaluation']):,} encrypted images that were not trained on",
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

    splits = load_rows(data, training.seed)
    problem = problem_of(splits["train"], data.label_column, with_teacher=bool(data.teacher_logits_column))
    encryption, model, processor = build_model(data, model_args, recipe, problem)
    splits.set_transform(
        input_transform(
            processor,
            label_column=data.label_column,
            teacher_logits_column=data.teacher_logits_column,
            problem=problem,
        )
    )
    augmentation = build_augmentation(recipe, training, encryption, problem)
    metric = problem.metric()
    trainer = RecipeTrainer(
        model=model,
        args=training,
        train_dataset=splits["train"],
        eval_dataset=splits["evaluation"],
        processing_class=processor,
        compute_metrics=lambda output: metric.compute(
            predictions=output.predictions, references=output.label_ids
        ),
        callbacks=[AveragedWeights(recipe.ema_decay)] if recipe.ema_decay else [],
        layer_decay=recipe.layer_decay,
        augmentation=augmentation,
        facts=card_facts(data, model_args, training, encryption, splits, model)
        if encryption is not None
        else None,
    )

    if training.push_to_hub and trainer.is_world_process_zero():
        keep_off_the_hub(training.output_dir)  # training_args.bin holds paths, and a token if one was given
    if encryption is not None and trainer.is_world_process_zero():
        encryption.save_pretrained(training.output_dir)  # before training, so that every push carries it
    return finish(trainer, train_and_evaluate(trainer))


if __name__ == "__main__":
    run_script(main)
