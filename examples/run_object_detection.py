"""Train PEYOLOS to detect objects in mixed-up images, with Trainer.

The dataset is a folder or Hub repository with `encryption_config.json`, as `hipmr encrypt --strategy mi`
writes it; its column `objects` holds boxes in pixels of the encrypted image:

    accelerate launch --quiet examples/run_object_detection.py --dataset_name outputs/scenes_mi \
        --model_size tiny --output_dir outputs/peyolos --do_train --do_eval --num_train_epochs 100 \
        --learning_rate 1e-4 --weight_decay 1e-4 --max_grad_norm 0.1 --lr_scheduler_type cosine

`--model_name_or_path` starts from a PEYOLOS, or from the weights of a PEViT, ViT, DeiT, DINOv2 or YOLOS; the
patch embedding, which is new then, learns `--new_parameters_factor` times as fast. Flips and crops of whole
patches augment the encrypted images. Scaling them is not possible, for it does not commute with mixing-up:
the data owner can publish every image at several sizes instead, since images of a batch may differ in size.

`detections.png` shows detections on encrypted images, which are all that the builder has; it is never pushed.
On plain ones the owner draws them, with `owner/draw_detections.py`; `owner/train_plain_yolos.py` trains the
plain detector to compare with.
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
from transformers import AutoConfig, TrainingArguments, set_seed

from hipmr_hf import Encryption
from hipmr_hf.hub.card_renewal import save_card
from hipmr_hf.hub.cards import ModelFacts, model_card
from hipmr_hf.hub.publishing import card_on_the_hub, keep_off_the_hub
from hipmr_hf.hub.shareable_command import shareable_command
from hipmr_hf.training.detection import (
    DetectionCollator,
    DetectionEvaluation,
    DetectionTrainer,
    number_images,
    object_names,
)
from hipmr_hf.training.detection_augmentation import DetectionAugmentation
from hipmr_hf.training.detectors import build_peyolos, largest_size
from hipmr_hf.training.drawing import draw_detections, tile
from hipmr_hf.training.labels import as_object_classes
from hipmr_hf.training.place_supervision import spread_positions
from hipmr_hf.training.problems import label_names
from hipmr_hf.training.script import parse_arguments, run_script
from hipmr_hf.training.splits import at_most, load_encryption, load_splits
from hipmr_hf.training.whole_run import finish, settle, train_and_evaluate

PICTURE = "detections.png"


@dataclass
class DataArguments:
    dataset_name: str = field(metadata={"help": "Folder or Hub repository of a dataset encrypted with MI."})
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
    model_name_or_path: str | None = field(default=None, metadata={"help": "Checkpoint to start from."})
    model_size: Literal["tiny", "small", "base"] = "small"
    hidden_size: int | None = field(default=None, metadata={"help": "Overrides model_size, as the next two."})
    num_hidden_layers: int | None = None
    num_attention_heads: int | None = None
    num_detection_tokens: int | None = None
    use_mid_position_embeddings: bool = False
    patch_embedding: str | None = field(
        default=None,
        metadata={
            "help": "nonlinear, linear, invariant or texture. Default: texture where tones are dealt out, "
            "invariant where patches are turned, else nonlinear."
        },
    )
    drop_path_rate: float | None = field(default=None, metadata={"help": "Stochastic depth."})
    attn_implementation: Literal["sdpa", "eager"] | None = field(
        default=None,
        metadata={"help": "'eager' with --bf16 trains small models faster on a CPU."},
    )


@dataclass
class RecipeArguments:
    flip: float = field(default=0.5, metadata={"help": "Probability of a left-right flip."})
    vertical_flip: float = field(default=0.0, metadata={"help": "Probability of an upside-down flip."})
    crop: float = field(default=0.5, metadata={"help": "Probability that a batch is cropped to patches."})
    smallest_crop: float = field(default=0.5, metadata={"help": "Least share of a side that a crop keeps."})
    brightness: float = field(default=0.0, metadata={"help": "Greatest change of brightness, as a share."})
    place_supervision: float = field(
        default=0.0,
        metadata={
            "help": "Share of the steps in which tokens first learn the object at their own place; for "
            "detectors trained from scratch, whose positions then start as sines."
        },
    )
    new_parameters_factor: float = field(
        default=10.0, metadata={"help": "Learning rate of the new patch embedding over that of the others."}
    )
    draw: int = field(default=4, metadata={"help": "Evaluated images to draw detections on."})
    draw_threshold: float = 0.5


class RecipeTrainer(DetectionTrainer):
    """DetectionTrainer with a card that tells all."""

    def __init__(self, *args, facts: ModelFacts, **kwargs):
        super().__init__(*args, **kwargs)
        self.facts = facts  # of the model card

    def create_model_card(self, *args, **kwargs):
        if self.is_world_process_zero():
            evaluations = [entry for entry in self.state.log_history if "eval_map" in entry]
            last = evaluations[-1] if evaluations else {}
            measured = {name: value for name, value in last.items() if value >= 0}  # -1: no such object
            facts = dataclasses.replace(self.facts, metrics=measured)
            theirs = (
                card_on_the_hub(self.hub_model_id, token=self.args.hub_token) if self.hub_model_id else None
            )
            save_card(model_card(facts), self.args.output_dir, existing=theirs)


def load_rows(data: DataArguments, seed: int) -> list[Dataset]:
    """What to train and what to evaluate on, its rows numbered."""
    both = as_object_classes(
        load_splits(
            data.dataset_name,
            train_split=data.train_split,
            eval_split=data.eval_split,
            validation_fraction=data.validation_fraction,
            seed=seed,
        )
    )
    limits = data.max_train_samples, data.max_eval_samples
    return [number_images(part) for part in at_most(both, limits)]


def build_model(encryption: Encryption, args: ModelArguments, image_size: tuple[int, int], names: list[str]):
    """A detector for images of this size, and its processor."""
    return build_peyolos(
        encryption,
        image_size,
        checkpoint=args.model_name_or_path,
        patch_embedding=args.patch_embedding,
        size=args.model_size,
        hidden_size=args.hidden_size,
        num_hidden_layers=args.num_hidden_layers,
        num_attention_heads=args.num_attention_heads,
        num_detection_tokens=args.num_detection_tokens,
        use_mid_position_embeddings=args.use_mid_position_embeddings or None,
        drop_path_rate=args.drop_path_rate,
        **label_names(names),
    )


def build_augmentation(recipe: RecipeArguments, patch_size: int) -> DetectionAugmentation:
    names = ("flip", "vertical_flip", "crop", "smallest_crop", "brightness")
    return DetectionAugmentation(patch_size, **{name: getattr(recipe, name) for name in names})


def is_detector(checkpoint: str) -> bool:
    return AutoConfig.from_pretrained(checkpoint).model_type in ("peyolos", "yolos")


@torch.no_grad()
def save_picture(path: str, trainer: RecipeTrainer, recipe: RecipeArguments, scale: int) -> None:
    """Detections on encrypted images, enlarged to the size of the plain ones."""
    model, processor = trainer.model.eval(), trainer.processing_class
    names = list(model.config.id2label.values())
    columns = []
    for row in trainer.eval_dataset.take(min(recipe.draw, len(trainer.eval_dataset))):
        image = row["image"].convert("RGB")
        size = (image.height * scale, image.width * scale)
        inputs = processor([np.asarray(image)], return_tensors="pt").to(model.device)
        outputs = model(**inputs)
        (found,) = processor.post_process_object_detection(outputs, recipe.draw_threshold, [size])
        shown = image.resize((size[1], size[0]), Image.Resampling.NEAREST)
        columns.append([draw_detections(shown, found, names)])
    tile(columns).save(path)


def card_facts(data, args: ModelArguments, training: TrainingArguments, encryption, evaluation, model):
    """What the model card tells beside the results; a local folder's name stays out of it."""
    base_model = args.model_name_or_path
    return ModelFacts(
        training.hub_model_id or Path(training.output_dir).name,
        encryption,
        task="object-detection",
        dataset_name=None if os.path.isdir(data.dataset_name) else data.dataset_name,
        evaluated_on=f"{len(evaluation):,} encrypted images that were not trained on; sizes of objects are "
        "those in the plain image",
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
    names = object_names(train)
    model, processor = build_model(encryption, model_args, largest_size(train), names)
    if model_args.attn_implementation is not None:
        model.set_attn_implementation(model_args.attn_implementation)
    start, scale = model_args.model_name_or_path, encryption.sub_patch_grid
    if recipe.place_supervision and (start is None or not is_detector(start)):
        spread_positions(model)  # where things are, a small classifier's positions hardly tell
    trainer = RecipeTrainer(
        model=model,
        args=training,
        train_dataset=train,
        eval_dataset=evaluation,
        data_collator=DetectionCollator(processor, build_augmentation(recipe, processor.patch_size)),
        eval_collator=DetectionCollator(processor),
        processing_class=processor,
        new_parameters_factor=recipe.new_parameters_factor,
        place_supervision=recipe.place_supervision,
        compute_metrics=DetectionEvaluation(processor, evaluation["objects"], names, pixel_scale=scale),
        facts=card_facts(data, model_args, training, encryption, evaluation, model),
    )

    if trainer.is_world_process_zero():
        if training.push_to_hub:  # what Trainer writes for itself, and the picture of single images
            keep_off_the_hub(training.output_dir, also=[PICTURE])
        encryption.save_pretrained(training.output_dir)  # before training, so that every push carries it
    metrics = train_and_evaluate(trainer)
    if recipe.draw and trainer.is_world_process_zero():
        save_picture(os.path.join(training.output_dir, PICTURE), trainer, recipe, scale)
    return finish(trainer, metrics, tasks="object-detection")


if __name__ == "__main__":
    run_script(main)
