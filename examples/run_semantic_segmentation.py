"""Train PEViT to tell the class of every pixel of mixed-up images, with Trainer.

The dataset is a folder or Hub repository with `encryption_config.json`, as `hipmr encrypt --strategy mi
--image-size HEIGHT WIDTH --mask-column mask` writes it; its column `mask` holds maps of classes of the
encrypted images' size, and 255 where no class counts:

    accelerate launch --quiet examples/run_semantic_segmentation.py --dataset_name outputs/scenes_mi \
        --model_size tiny --output_dir outputs/pevit_masks --do_train --do_eval --num_train_epochs 100 \
        --learning_rate 1e-3 --weight_decay 0.05 --lr_scheduler_type cosine --class_names ground digit

`--model_name_or_path` starts from a PEViT of any head, such as a classifier. Flips augment the encrypted
images. `segments.png` shows encrypted images, their masks and what was found; it is never pushed.
"""

import dataclasses
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from datasets import Dataset
from PIL import Image
from transformers import TrainingArguments, set_seed

from hipmr_hf.hub.card_renewal import save_card
from hipmr_hf.hub.cards import ModelFacts, model_card
from hipmr_hf.hub.publishing import card_on_the_hub, keep_off_the_hub
from hipmr_hf.hub.shareable_command import shareable_command
from hipmr_hf.training.detectors import largest_size
from hipmr_hf.training.drawing import tile
from hipmr_hf.training.problems import label_names
from hipmr_hf.training.script import parse_arguments, run_script
from hipmr_hf.training.segmentation import (
    SegmentationCollator,
    SegmentationEvaluation,
    SegmentationTrainer,
    build_segmenter,
    draw_mask,
    mask_classes,
)
from hipmr_hf.training.splits import at_most, load_encryption, load_splits
from hipmr_hf.training.whole_run import finish, settle, train_and_evaluate

PICTURE = "segments.png"


@dataclass
class DataArguments:
    dataset_name: str = field(metadata={"help": "Folder or Hub repository of a dataset encrypted with MI."})
    train_split: str = "train"
    eval_split: str = "test"
    validation_fraction: float | None = field(
        default=None,
        metadata={"help": "Evaluate on this share of the training split instead of eval_split, such as .1."},
    )
    class_names: list[str] | None = field(
        default=None, metadata={"help": "Names of the classes, in the order of their ids; default: the ids."}
    )
    max_train_samples: int | None = None
    max_eval_samples: int | None = None


@dataclass
class ModelArguments:
    model_name_or_path: str | None = field(default=None, metadata={"help": "Checkpoint to start from."})
    model_size: Literal["tiny", "small", "base"] = "small"
    hidden_size: int | None = field(default=None, metadata={"help": "Overrides model_size, as the next two."})
    num_hidden_layers: int | None = None
    num_attention_heads: int | None = None
    decoder_hidden_size: int | None = field(default=None, metadata={"help": "Features of each pixel."})
    patch_embedding: str | None = field(
        default=None,
        metadata={
            "help": "nonlinear, linear, invariant or texture. Default: texture where tones are dealt out, "
            "invariant where patches are turned, else nonlinear."
        },
    )
    drop_path_rate: float | None = field(default=None, metadata={"help": "Stochastic depth."})
    attn_implementation: Literal["sdpa", "eager"] | None = field(
        default=None, metadata={"help": "'eager' with --bf16 trains small models faster on a CPU."}
    )


@dataclass
class RecipeArguments:
    flip: float = field(default=0.5, metadata={"help": "Probability of a left-right flip."})
    draw: int = field(default=4, metadata={"help": "Evaluated images to draw masks on."})


class RecipeTrainer(SegmentationTrainer):
    """SegmentationTrainer with a card that tells all."""

    def __init__(self, *args, facts: ModelFacts, **kwargs):
        super().__init__(*args, **kwargs)
        self.facts = facts  # of the model card

    def create_model_card(self, *args, **kwargs):
        if self.is_world_process_zero():
            evaluations = [entry for entry in self.state.log_history if "eval_mean_iou" in entry]
            last = evaluations[-1] if evaluations else {}
            measured = {name: value for name, value in last.items() if value >= 0}  # -1: no such class
            facts = dataclasses.replace(self.facts, metrics=measured)
            theirs = (
                card_on_the_hub(self.hub_model_id, token=self.args.hub_token) if self.hub_model_id else None
            )
            save_card(model_card(facts), self.args.output_dir, existing=theirs)


def load_rows(data: DataArguments, seed: int) -> list[Dataset]:
    """What to train and what to evaluate on."""
    both = load_splits(
        data.dataset_name,
        train_split=data.train_split,
        eval_split=data.eval_split,
        validation_fraction=data.validation_fraction,
        seed=seed,
    )
    return at_most(both, (data.max_train_samples, data.max_eval_samples))


@torch.no_grad()
def save_picture(path: str, trainer: RecipeTrainer, count: int) -> None:
    """Encrypted images, with their masks, and with what was found, enlarged."""
    model, processor = trainer.model.eval(), trainer.processing_class
    columns = []
    for row in trainer.eval_dataset.take(min(count, len(trainer.eval_dataset))):
        image = row["image"].convert("RGB")
        outputs = model(**processor([np.asarray(image)], return_tensors="pt").to(model.device))
        (found,) = processor.post_process_semantic_segmentation(outputs)
        shown = [image, draw_mask(image, np.asarray(row["mask"])), draw_mask(image, found.cpu().numpy())]
        size = (image.width * 4, image.height * 4)
        columns.append([picture.resize(size, Image.Resampling.NEAREST) for picture in shown])
    tile(columns).save(path)


def card_facts(data, args: ModelArguments, training: TrainingArguments, encryption, evaluation, model):
    """What the model card tells beside the results; a local folder's name stays out of it."""
    base_model = args.model_name_or_path
    return ModelFacts(
        training.hub_model_id or Path(training.output_dir).name,
        encryption,
        task="image-segmentation",
        dataset_name=None if os.path.isdir(data.dataset_name) else data.dataset_name,
        evaluated_on=f"{len(evaluation):,} encrypted images that were not trained on, pixel by pixel of the "
        "encrypted image",
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
    train, evaluation = load_rows(data, training.seed)
    names = mask_classes(train, data.class_names)
    model, processor = build_segmenter(
        encryption,
        largest_size(train),
        checkpoint=model_args.model_name_or_path,
        size=model_args.model_size,
        hidden_size=model_args.hidden_size,
        num_hidden_layers=model_args.num_hidden_layers,
        num_attention_heads=model_args.num_attention_heads,
        decoder_hidden_size=model_args.decoder_hidden_size,
        patch_embedding=model_args.patch_embedding,
        drop_path_rate=model_args.drop_path_rate,
        **label_names(names),
    )
    if model_args.attn_implementation is not None:
        model.set_attn_implementation(model_args.attn_implementation)
    trainer = RecipeTrainer(
        model=model,
        args=training,
        train_dataset=train,
        eval_dataset=evaluation,
        data_collator=SegmentationCollator(processor, flip=recipe.flip),
        eval_collator=SegmentationCollator(processor),
        processing_class=processor,
        compute_metrics=SegmentationEvaluation(names),
        facts=card_facts(data, model_args, training, encryption, evaluation, model),
    )

    if trainer.is_world_process_zero():
        if training.push_to_hub:  # what Trainer writes for itself, and the picture of single images
            keep_off_the_hub(training.output_dir, also=[PICTURE])
        encryption.save_pretrained(training.output_dir)  # before training, so that every push carries it
    metrics = train_and_evaluate(trainer)
    if recipe.draw and trainer.is_world_process_zero():
        save_picture(os.path.join(training.output_dir, PICTURE), trainer, recipe.draw)
    return finish(trainer, metrics, tasks="image-segmentation")


if __name__ == "__main__":
    run_script(main)
