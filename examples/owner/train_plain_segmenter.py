"""Train PEViT to tell the class of every pixel of plain images, at the budget of mixed-up ones: what
encryption costs.

    python examples/owner/train_plain_segmenter.py --dataset_name outputs/plain \
        --encrypted_dataset outputs/mixed --model_size tiny --output_dir outputs/plain_masks --do_train \
        --do_eval --num_train_epochs 100 --learning_rate 1e-3

The images and their masks are resized and cropped as `--encrypted_dataset` was before its encryption, and
pixels are counted at the encrypted images' size, so that the figures stand beside those of
`run_semantic_segmentation.py`. Only whoever has the plain images can run it.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from datasets import Dataset
from PIL import Image
from transformers import TrainingArguments, set_seed

from hipmr_hf import Encryption
from hipmr_hf.encryption.masks import move_mask
from hipmr_hf.training.detectors import largest_size
from hipmr_hf.training.plain_segmentation import PlainSegmentationTrainer, build_plain_segmenter
from hipmr_hf.training.problems import label_names
from hipmr_hf.training.script import parse_arguments, run_script
from hipmr_hf.training.segmentation import SegmentationCollator, SegmentationEvaluation, mask_classes
from hipmr_hf.training.splits import load_encryption, load_splits
from hipmr_hf.training.whole_run import finish, settle, train_and_evaluate


@dataclass
class DataArguments:
    dataset_name: str = field(metadata={"help": "Folder or Hub repository of the plain images, with masks."})
    encrypted_dataset: str = field(metadata={"help": "The same rows, mixed up: to tell size and patches."})
    train_split: str = "train"
    eval_split: str = "test"
    class_names: list[str] | None = field(
        default=None, metadata={"help": "Names of the classes, in the order of their ids; default: the ids."}
    )


@dataclass
class ModelArguments:
    model_size: Literal["tiny", "small", "base"] = "small"
    hidden_size: int | None = field(default=None, metadata={"help": "Overrides model_size, as the next two."})
    num_hidden_layers: int | None = None
    num_attention_heads: int | None = None
    decoder_hidden_size: int | None = None
    attn_implementation: Literal["sdpa", "eager"] | None = None


@dataclass
class RecipeArguments:
    """As in `run_semantic_segmentation.py`."""

    flip: float = 0.5


def prepare(dataset: Dataset, encryption: Encryption) -> Dataset:
    """Resize and crop plain images as the encryption would, and their masks with them."""

    def prepare_rows(rows: dict[str, list]) -> dict[str, list]:
        for i, image in enumerate(rows["image"]):
            placement = encryption.placement(image.height, image.width)
            rows["mask"][i] = Image.fromarray(move_mask(np.asarray(rows["mask"][i]), placement))
            rows["image"][i] = Image.fromarray(encryption.prepare(image))
        return rows

    return dataset.select_columns(["image", "mask"]).with_transform(prepare_rows)


def main(arguments: list[str] | None = None) -> dict[str, float]:
    groups = {"data": DataArguments, "model": ModelArguments, "recipe": RecipeArguments}
    groups["training (transformers.TrainingArguments)"] = TrainingArguments
    data, model_args, recipe, training = parse_arguments(groups, arguments)
    settle(training)
    set_seed(training.seed)

    encryption = load_encryption(data.encrypted_dataset)
    splits = {"train_split": data.train_split, "eval_split": data.eval_split}
    encrypted, _ = load_splits(data.encrypted_dataset, **splits)
    plain = load_splits(data.dataset_name, **splits)
    names = mask_classes(plain[0], data.class_names)
    train, evaluation = (prepare(rows, encryption) for rows in plain)
    sizes = {name: value for name, value in vars(model_args).items() if name not in _NOT_OF_THE_CONFIG}
    model, processor = build_plain_segmenter(
        encryption, largest_size(encrypted), size=model_args.model_size, **sizes, **label_names(names)
    )
    if model_args.attn_implementation is not None:
        model.set_attn_implementation(model_args.attn_implementation)
    trainer = PlainSegmentationTrainer(
        model=model,
        args=training,
        train_dataset=train,
        eval_dataset=evaluation,
        data_collator=SegmentationCollator(processor, flip=recipe.flip),
        eval_collator=SegmentationCollator(processor),
        processing_class=processor,
        compute_metrics=SegmentationEvaluation(names),
        sub_patch_grid=encryption.sub_patch_grid,
    )
    return finish(trainer, train_and_evaluate(trainer), tasks="image-segmentation")


_NOT_OF_THE_CONFIG = ("model_size", "attn_implementation")


if __name__ == "__main__":
    run_script(main)
