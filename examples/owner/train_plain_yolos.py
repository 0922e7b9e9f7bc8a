"""Train transformers' YOLOS on plain images, with the loss and budget of PEYOLOS: what encryption costs.

    python examples/owner/train_plain_yolos.py --dataset_name outputs/plain \
        --encrypted_dataset outputs/mixed --model_size tiny --output_dir outputs/yolos --do_train --do_eval \
        --num_train_epochs 100

The images are resized and cropped as `--encrypted_dataset` was before its encryption, and objects are
measured in the same pixels, so that the figures stand beside those of `run_object_detection.py`. Only whoever
has the plain images can run it.
"""

from dataclasses import dataclass, field
from typing import Literal

from datasets import Dataset
from PIL import Image
from transformers import TrainingArguments, set_seed

from hipmr_hf import Encryption
from hipmr_hf.encryption.boxes import move_objects
from hipmr_hf.training.detection import (
    DetectionCollator,
    DetectionEvaluation,
    DetectionTrainer,
    number_images,
    object_names,
)
from hipmr_hf.training.detection_augmentation import DetectionAugmentation
from hipmr_hf.training.detectors import build_yolos_baseline, largest_size
from hipmr_hf.training.place_supervision import spread_positions
from hipmr_hf.training.problems import label_names
from hipmr_hf.training.script import parse_arguments, run_script
from hipmr_hf.training.splits import load_encryption, load_splits
from hipmr_hf.training.whole_run import finish, settle, train_and_evaluate


@dataclass
class DataArguments:
    dataset_name: str = field(metadata={"help": "Folder or Hub repository of the plain images."})
    encrypted_dataset: str = field(metadata={"help": "The same rows, mixed up: to tell size and patches."})
    train_split: str = "train"
    eval_split: str = "test"


@dataclass
class ModelArguments:
    model_size: Literal["tiny", "small", "base"] = "small"
    hidden_size: int | None = field(default=None, metadata={"help": "Overrides model_size, as the next two."})
    num_hidden_layers: int | None = None
    num_attention_heads: int | None = None
    num_detection_tokens: int | None = None
    use_mid_position_embeddings: bool = False
    attn_implementation: Literal["sdpa", "eager"] | None = None


@dataclass
class RecipeArguments:
    """As in `run_object_detection.py`."""

    flip: float = 0.5
    vertical_flip: float = 0.0
    crop: float = 0.5
    smallest_crop: float = 0.5
    brightness: float = 0.0
    place_supervision: float = 0.0


def prepare(dataset: Dataset, encryption: Encryption) -> Dataset:
    """Resize and crop plain images as the encryption would, and their boxes with them."""

    def prepare_rows(rows: dict[str, list]) -> dict[str, list]:
        for i, image in enumerate(rows["image"]):
            placement = encryption.placement(image.height, image.width)
            rows["objects"][i], _ = move_objects(
                rows["objects"][i], placement, image_size=(image.height, image.width)
            )
            rows["image"][i] = Image.fromarray(encryption.prepare(image))
        return rows

    return number_images(dataset).with_transform(prepare_rows)


def build_model(encryption: Encryption, args: ModelArguments, image_size: tuple[int, int], names: list[str]):
    sizes = {name: value for name, value in vars(args).items() if name not in _NOT_OF_THE_CONFIG}
    sizes["use_mid_position_embeddings"] = args.use_mid_position_embeddings or None
    names = label_names(names)
    model, processor = build_yolos_baseline(encryption, image_size, size=args.model_size, **sizes, **names)
    if args.attn_implementation is not None:
        model.set_attn_implementation(args.attn_implementation)
    return model, processor


_NOT_OF_THE_CONFIG = ("model_size", "attn_implementation")


def main(arguments: list[str] | None = None) -> dict[str, float]:
    groups = {"data": DataArguments, "model": ModelArguments, "recipe": RecipeArguments}
    groups["training (transformers.TrainingArguments)"] = TrainingArguments
    data, model_args, recipe, training = parse_arguments(groups, arguments)
    settle(training)
    set_seed(training.seed)

    encryption = load_encryption(data.encrypted_dataset)
    encrypted, _ = load_splits(
        data.encrypted_dataset, train_split=data.train_split, eval_split=data.eval_split
    )
    plain = load_splits(data.dataset_name, train_split=data.train_split, eval_split=data.eval_split)
    names = object_names(plain[0])
    train, evaluation = (prepare(rows, encryption) for rows in plain)
    model, processor = build_model(encryption, model_args, largest_size(encrypted), names)
    if recipe.place_supervision:
        spread_positions(model)
    augmentation = {name: value for name, value in vars(recipe).items() if name != "place_supervision"}
    trainer = DetectionTrainer(
        model=model,
        args=training,
        train_dataset=train,
        eval_dataset=evaluation,
        data_collator=DetectionCollator(
            processor, DetectionAugmentation(processor.patch_size, **augmentation)
        ),
        eval_collator=DetectionCollator(processor),
        processing_class=processor,
        place_supervision=recipe.place_supervision,
        compute_metrics=DetectionEvaluation(processor, evaluation["objects"], names),
    )
    return finish(trainer, train_and_evaluate(trainer), tasks="object-detection")


if __name__ == "__main__":
    run_script(main)
