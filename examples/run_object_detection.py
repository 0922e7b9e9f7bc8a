"""Train PEYOLOS (or a plain YOLOS as a baseline) to detect objects in mixed-up images, with Trainer.

The dataset is a folder or Hub repository with `encryption_config.json`, as `encrypt_dataset.py` writes it
with `--strategy mi`; its column `objects` holds boxes in pixels of the encrypted image:

    accelerate launch examples/run_object_detection.py --dataset_name outputs/scenes_mi \
        --model_size tiny --output_dir outputs/peyolos --do_train --do_eval --num_train_epochs 100 \
        --learning_rate 1e-4 --weight_decay 1e-4 --max_grad_norm 0.1 --lr_scheduler_type cosine

`--model_name_or_path` starts from a PEYOLOS, or from the weights of a PEViT, ViT, DeiT or YOLOS; the patch
embedding, which is new then, learns `--new_parameters_factor` times as fast. Flips and crops of whole patches
augment the encrypted images. Scaling them is not possible, for it does not commute with mixing-up: the data
owner can publish every image at several sizes instead, since images of a batch may differ in size.

`--baseline yolos --plain_dataset DIR` trains transformers' YOLOS on the plain images instead, resized and
cropped as the encryption does, with the same loss and budget; objects are measured in the same pixels. With
`--plain_dataset` alone the picture `detections.png` also shows the detections on the plain images; it is
never pushed.
"""

import dataclasses
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import yaml
from datasets import Dataset, load_dataset
from PIL import Image
from transformers import AutoConfig, HfArgumentParser, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from hipmr_hf import Encryption
from hipmr_hf.encryption.boxes import move_objects
from hipmr_hf.hub.card_renewal import save_card
from hipmr_hf.hub.cards import ModelFacts, model_card
from hipmr_hf.hub.publishing import card_on_the_hub, keep_off_the_hub
from hipmr_hf.hub.shareable_command import shareable_command
from hipmr_hf.training.classification import label_names, load_encryption
from hipmr_hf.training.detection import (
    DetectionCollator,
    DetectionEvaluation,
    DetectionTrainer,
    build_peyolos,
    build_yolos_baseline,
    number_images,
)
from hipmr_hf.training.detection_augmentation import DetectionAugmentation
from hipmr_hf.training.drawing import draw_detections, tile
from hipmr_hf.training.place_supervision import spread_positions

PICTURE = "detections.png"


@dataclass
class DataArguments:
    dataset_name: str = field(metadata={"help": "Folder or Hub repository of a dataset encrypted with MI."})
    plain_dataset: str | None = field(
        default=None, metadata={"help": "The same rows, plain: for the baseline, or to draw detections on."}
    )
    train_split: str = "train"
    eval_split: str = "test"
    max_train_samples: int | None = None
    max_eval_samples: int | None = None


@dataclass
class ModelArguments:
    model_name_or_path: str | None = field(default=None, metadata={"help": "Checkpoint to start from."})
    baseline: Literal["yolos"] | None = field(default=None, metadata={"help": "'yolos': on plain images."})
    model_size: Literal["tiny", "small", "base"] = "small"
    hidden_size: int | None = field(default=None, metadata={"help": "Overrides model_size, as the next two."})
    num_hidden_layers: int | None = None
    num_attention_heads: int | None = None
    num_detection_tokens: int | None = None
    use_mid_position_embeddings: bool = False
    patch_embedding: str | None = field(
        default=None, metadata={"help": "Not for the baseline; nonlinear (the default), linear or invariant."}
    )
    drop_path_rate: float | None = field(default=None, metadata={"help": "Not for the baseline."})
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

    def __init__(self, *args, facts: ModelFacts | None, **kwargs):
        super().__init__(*args, **kwargs)
        self.facts = facts  # of the model card; None for the plain baseline, which gets Trainer's

    def create_model_card(self, *args, **kwargs):
        if self.facts is None:
            return super().create_model_card(*args, **kwargs)
        if self.is_world_process_zero():
            evaluations = [entry for entry in self.state.log_history if "eval_map" in entry]
            last = evaluations[-1] if evaluations else {}
            measured = {name: value for name, value in last.items() if value >= 0}  # -1: no such object
            facts = dataclasses.replace(self.facts, metrics=measured)
            theirs = (
                card_on_the_hub(self.hub_model_id, token=self.args.hub_token) if self.hub_model_id else None
            )
            save_card(model_card(facts), self.args.output_dir, existing=theirs)


def parse_arguments():
    """Read the command line; a YAML file in first place gives defaults for what follows it."""
    arguments = sys.argv[1:]
    if arguments and arguments[0].endswith((".yaml", ".yml")):
        recipe = yaml.safe_load(Path(arguments[0]).read_text())
        defaults = [part for name, value in recipe.items() for part in (f"--{name}", str(value))]
        arguments = defaults + arguments[1:]
    parser = HfArgumentParser((DataArguments, ModelArguments, RecipeArguments, TrainingArguments))
    return parser.parse_args_into_dataclasses(arguments)


def load_split(name: str, split: str, limit: int | None) -> Dataset:
    dataset = load_dataset(name)[split]
    dataset = dataset if limit is None else dataset.take(min(limit, len(dataset)))
    return number_images(dataset)


def prepare_plain(dataset: Dataset, encryption: Encryption) -> Dataset:
    """Resize and crop plain images as the encryption would, and their boxes with them."""

    def prepare(rows: dict[str, list]) -> dict[str, list]:
        for i, image in enumerate(rows["image"]):
            placement = encryption.placement(image.height, image.width)
            rows["objects"][i], _ = move_objects(
                rows["objects"][i], placement, image_size=(image.height, image.width)
            )
            rows["image"][i] = Image.fromarray(encryption.prepare(image))
        return rows

    return dataset.with_transform(prepare)


def load_plain_evaluation(data: DataArguments, encryption: Encryption) -> Dataset | None:
    if data.plain_dataset is None:
        return None
    plain = load_split(data.plain_dataset, data.eval_split, data.max_eval_samples)
    return prepare_plain(plain, encryption)


def largest_size(dataset: Dataset, num_images: int = 64) -> tuple[int, int]:
    """Height and width that hold the first images: the size that the position grid is made for."""
    sizes = [row["image"].size for row in dataset.take(min(num_images, len(dataset)))]
    return max(height for _, height in sizes), max(width for width, _ in sizes)


def build_model(encryption: Encryption, args: ModelArguments, image_size: tuple[int, int], names: list[str]):
    overrides = {
        "size": args.model_size,
        "hidden_size": args.hidden_size,
        "num_hidden_layers": args.num_hidden_layers,
        "num_attention_heads": args.num_attention_heads,
        "num_detection_tokens": args.num_detection_tokens,
        "use_mid_position_embeddings": args.use_mid_position_embeddings or None,
        **{name: value for name, value in label_names(names).items() if name != "problem_type"},
    }
    if args.baseline == "yolos":
        return build_yolos_baseline(encryption, image_size, **overrides)
    return build_peyolos(
        encryption,
        image_size,
        checkpoint=args.model_name_or_path,
        patch_embedding=args.patch_embedding,
        drop_path_rate=args.drop_path_rate,
        **overrides,
    )


def build_augmentation(recipe: RecipeArguments, patch_size: int) -> DetectionAugmentation:
    names = ("flip", "vertical_flip", "crop", "smallest_crop", "brightness")
    return DetectionAugmentation(patch_size, **{name: getattr(recipe, name) for name in names})


def is_detector(checkpoint: str) -> bool:
    return AutoConfig.from_pretrained(checkpoint).model_type in ("peyolos", "yolos")


@torch.no_grad()
def detect(model, processor, image: Image.Image, size: tuple[int, int], threshold: float) -> dict:
    """Detections in `image`, in pixels of a picture of `size` (height, width)."""
    inputs = processor([np.asarray(image.convert("RGB"))], return_tensors="pt").to(model.device)
    if model.config.model_type == "yolos":
        del inputs["pixel_mask"]
    return processor.post_process_object_detection(model(**inputs), threshold, [size])[0]


def save_picture(path, model, processor, evaluation, plain, scale, names, recipe) -> None:
    """Detections on the images that the model sees, and on the plain ones where they are given."""
    model.eval()
    columns = []
    for i in range(min(recipe.draw, len(evaluation))):
        image = evaluation[i]["image"]
        size = (image.height * scale, image.width * scale)
        found = detect(model, processor, image, size, recipe.draw_threshold)
        seen = image.resize((size[1], size[0]), Image.Resampling.NEAREST)
        pictures = [seen] if plain is None else [seen, plain[i]["image"]]
        columns.append([draw_detections(picture, found, names) for picture in pictures])
    tile(columns).save(path)


def card_facts(data, args: ModelArguments, training: TrainingArguments, encryption, evaluation, model):
    """What the model card tells beside the results; a local folder's name stays out of it."""
    if args.baseline is not None:
        return None
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


def train_and_evaluate(trainer: RecipeTrainer, training: TrainingArguments) -> dict[str, float]:
    metrics = {}
    if training.do_train:
        resume = training.resume_from_checkpoint
        if resume is None and os.path.isdir(training.output_dir):
            resume = get_last_checkpoint(training.output_dir)
        result = trainer.train(resume_from_checkpoint=resume)
        trainer.save_model()  # the processor goes with it
        trainer.save_state()
        metrics.update(result.metrics)
    if training.do_eval:
        metrics.update(trainer.evaluate())
    return metrics


def main() -> dict[str, float]:
    data, model_args, recipe, training = parse_arguments()
    training.remove_unused_columns = False
    training.ddp_find_unused_parameters = False
    set_seed(training.seed)

    encryption = load_encryption(data.dataset_name)
    train = load_split(data.dataset_name, data.train_split, data.max_train_samples)
    evaluation = load_split(data.dataset_name, data.eval_split, data.max_eval_samples)
    names = train.features["objects"]["category"].feature.names
    model, processor = build_model(encryption, model_args, largest_size(train), names)
    if model_args.attn_implementation is not None:
        model.set_attn_implementation(model_args.attn_implementation)
    plain, scale = load_plain_evaluation(data, encryption), encryption.sub_patch_grid
    if model_args.baseline == "yolos":
        if plain is None:
            raise SystemExit("--baseline yolos: name the plain images with --plain_dataset.")
        train = load_split(data.plain_dataset, data.train_split, data.max_train_samples)
        train, evaluation, plain, scale = prepare_plain(train, encryption), plain, None, 1

    start = model_args.model_name_or_path
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

    if training.push_to_hub and trainer.is_world_process_zero():
        # what Trainer writes for itself, and the picture of single images
        keep_off_the_hub(training.output_dir, also=[PICTURE])
    if model_args.baseline is None and trainer.is_world_process_zero():
        encryption.save_pretrained(training.output_dir)  # before training, so that every push carries it
    metrics = train_and_evaluate(trainer, training)
    if trainer.is_world_process_zero():
        metrics.update(world_size=training.world_size, num_parameters=model.num_parameters())
        trainer.save_metrics("all", metrics, combined=False)
        if recipe.draw:
            picture = os.path.join(training.output_dir, PICTURE)
            save_picture(picture, model, processor, evaluation, plain, scale, names, recipe)
        print(json.dumps(metrics))
    trainer.create_model_card(tasks="object-detection")
    if training.push_to_hub:
        trainer.push_to_hub(tasks="object-detection")
    return metrics


if __name__ == "__main__":
    main()
