"""What a training script for detectors needs: batches with boxes, Trainer, evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from datasets import ClassLabel, Dataset
from transformers import EvalPrediction, PreTrainedModel

from ..errors import InputValueError
from ..layout import OBJECTS_COLUMN
from ..metrics.mean_average_precision import mean_average_precision
from ..models.loss_peyolos import detection_counts, detection_loss
from .classification import decaying_parameters
from .eval_collator import EvalCollatorTrainer
from .place_supervision import supervise_places

if TYPE_CHECKING:
    from ..models.image_processing_peyolos import PEYolosImageProcessorPil
    from .detection_augmentation import DetectionAugmentation

Row = Mapping[str, Any]


def coco_annotation(image_id: int, objects: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Turn an `objects` column, as `encrypt_dataset` leaves it, to what image processors take.

    Example:
        >>> coco_annotation(3, {"bbox": [[0.0, 0.0, 4.0, 2.0]], "category": [1], "area": [8.0]})
        {'image_id': 3, 'annotations': [{'bbox': [0.0, 0.0, 4.0, 2.0], 'category_id': 1, 'area': 8.0}]}
    """
    names = {"bbox": "bbox", "category": "category_id", "area": "area", "iscrowd": "iscrowd"}
    columns = {new: objects[old] for old, new in names.items() if old in objects}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return {"image_id": image_id, "annotations": rows}


@dataclasses.dataclass
class DetectionCollator:
    """Makes a batch of rows with `image`, `objects` and `image_id`.

    Args:
        processor: the detector's image processor.
        augmentation: of training images; none in evaluation.
    """

    processor: PEYolosImageProcessorPil
    augmentation: DetectionAugmentation | None = None

    def __call__(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Return `pixel_values`, `pixel_mask` and `labels`."""
        images, annotations = [], []
        # Images of one size stay of one size, so that crops need no padding.
        shares = None if self.augmentation is None else self.augmentation.draw_shares()
        for row in rows:
            pixels, objects = np.asarray(row["image"].convert("RGB")), dict(row["objects"])
            if self.augmentation is not None:
                pixels, objects = self.augmentation(pixels, objects, shares)
            images.append(pixels)
            annotations.append(coco_annotation(row["image_id"], objects))
        # a cropped image is not of the encryption's size any more
        size = {} if self.augmentation is None else {"encrypted_size": None}
        return dict(self.processor(images, annotations, return_tensors="pt", **size))


class DetectionTrainer(EvalCollatorTrainer):
    """Trainer whose loss is that of one large batch, for any number of processes and accumulated batches.

    Args:
        args, kwargs: as in `EvalCollatorTrainer`; the collators are `DetectionCollator`s.
        new_parameters_factor: learning rate of the model's `new_parameters()` over that of the others.
        place_supervision: share of the steps, from the first on, in which tokens learn the object at their
            own place instead of a matched one; see `hipmr_hf.training.place_supervision`. The paper's recipe
            has none.
    """

    loss_is_scaled_for_ga = True  # by the counts of the whole step

    def __init__(
        self,
        *args: Any,
        new_parameters_factor: float = 10.0,
        place_supervision: float = 0.0,
        **kwargs: Any,
    ):
        if not 0 <= place_supervision <= 1:
            raise InputValueError(
                f"place_supervision: got {place_supervision}, expected a share from 0 to 1."
            )
        super().__init__(*args, **kwargs)
        self.place_supervision = place_supervision
        self.new_parameters_factor = new_parameters_factor

    def get_batch_samples(
        self, epoch_iterator: Any, num_batches: int, device: torch.device
    ) -> tuple[list[Any], torch.Tensor | None]:
        """Return the batches of one step, and what its loss is divided by, summed over all processes."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        if not batches:
            return batches, None
        config = self.model.config
        counts = sum(detection_counts(config, b["labels"], config.num_detection_tokens) for b in batches)
        # float32, since not every device has float64
        return batches, self.accelerator.reduce(counts.float().to(device), reduction="sum")

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, Any]:
        """Compute this package's loss, for PEYOLOS and for transformers' YOLOS."""
        pixel_mask = {} if self.model.config.model_type == "yolos" else {"pixel_mask": inputs["pixel_mask"]}
        outputs = model(pixel_values=inputs["pixel_values"], **pixel_mask)
        if model.training and self.state.global_step < self.place_supervision * self.state.max_steps:
            loss = self._place_loss(outputs, inputs)
            return (loss, outputs) if return_outputs else loss
        loss, _ = detection_loss(
            self.model.config, outputs.logits, outputs.pred_boxes, inputs["labels"], num_items_in_batch
        )
        return (loss, outputs) if return_outputs else loss

    def _place_loss(self, outputs: Any, inputs: dict[str, Any]) -> torch.Tensor:
        patch_size = self.model.config.patch_size
        height, width = (patch_size, patch_size) if isinstance(patch_size, int) else patch_size
        mask = inputs["pixel_mask"][:, ::height, ::width].bool()
        if self.model.config.model_type == "yolos":
            mask = torch.ones_like(mask)  # it takes padding for a part of the image
        loss = supervise_places(self.model, outputs, inputs["labels"], mask)
        return loss / self.args.gradient_accumulation_steps  # a mean of batches, not that of one large batch

    def get_decay_parameter_names(self, model: PreTrainedModel) -> list[str]:
        """Leave biases, norms, tokens and positions without weight decay."""
        names = decaying_parameters(model)
        return [name for name in names if not name.endswith(("detection_tokens", "position_embeddings"))]

    def create_optimizer(self, model: PreTrainedModel | None = None) -> torch.optim.Optimizer:
        """Give the new parameters groups with a learning rate of their own."""
        is_new = self.optimizer is None
        optimizer = super().create_optimizer(model)
        model = self.model if model is None else model
        names = model.new_parameters() if hasattr(model, "new_parameters") else set()
        new = {id(parameter) for name, parameter in model.named_parameters() if name in names}
        for group in list(optimizer.param_groups) if is_new else ():
            chosen = [parameter for parameter in group["params"] if id(parameter) in new]
            if chosen:
                group["params"] = [parameter for parameter in group["params"] if id(parameter) not in new]
                settings = {name: value for name, value in group.items() if name != "params"}
                settings["lr"] = group["lr"] * self.new_parameters_factor
                optimizer.add_param_group({**settings, "params": chosen})
        return optimizer

    def prediction_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[torch.Tensor, Any, Any]:
        """Return tensors with one row per image, which gathering cannot tear apart.

        Trainer's own way gathers the labels' lists as if their entries were images, and so loses some.
        """
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad():
            loss, outputs = self.compute_loss(model, inputs, return_outputs=True)
        if prediction_loss_only:
            return loss.detach(), None, None
        images = torch.stack(
            [torch.cat((label["image_id"], label["orig_size"])) for label in inputs["labels"]]
        )
        return loss.detach(), (outputs.logits.float(), outputs.pred_boxes.float()), images


@dataclasses.dataclass
class DetectionEvaluation:
    """`compute_metrics` of a `DetectionTrainer`: COCO's numbers against the dataset's own objects.

    Args:
        processor: the detector's image processor.
        objects: the evaluated `objects` column; `image_id` is the place in it.
        class_names: for the average precision of every class.
        pixel_scale: pixels to measure in, over those of the images; with `encryption.sub_patch_grid`, small,
            medium and large objects are those of the plain image.
    """

    processor: PEYolosImageProcessorPil
    objects: Sequence[Mapping[str, Sequence[Any]]]
    class_names: Sequence[str]
    pixel_scale: float = 1.0

    def __call__(self, output: EvalPrediction) -> dict[str, float]:
        """Return the numbers of `MeanAveragePrecision`, and `images`, how many were evaluated.

        Raises:
            RuntimeError: an image was not evaluated.
        """
        found = self._detections(output)
        if missing := sorted(set(range(len(self.objects))) - set(found)):
            raise RuntimeError(
                f"{len(missing)} of {len(self.objects)} images were not evaluated, such as {missing[0]}; "
                "number the rows with `number_images`."
            )
        result = mean_average_precision(
            [found[index] for index in range(len(self.objects))],
            [self._reference(objects) for objects in self.objects],
            class_names=list(self.class_names),
        )
        return {**result, "images": len(found)}

    def _detections(self, output: EvalPrediction) -> dict[int, dict[str, torch.Tensor]]:
        @dataclasses.dataclass
        class Outputs:
            logits: torch.Tensor
            pred_boxes: torch.Tensor

        outputs = Outputs(*(torch.from_numpy(np.asarray(part)) for part in output.predictions))
        sizes = (output.label_ids[:, 1:] * self.pixel_scale).round().astype(int).tolist()
        detections = self.processor.post_process_object_detection(outputs, -1.0, sizes)
        # An image that fills up the last batch of another process comes twice and counts once.
        return dict(zip(output.label_ids[:, 0].tolist(), detections, strict=True))

    def _reference(self, objects: Mapping[str, Sequence[Any]]) -> dict[str, np.ndarray]:
        boxes = np.asarray(objects["bbox"], dtype=np.float64).reshape(-1, 4) * self.pixel_scale
        reference = {
            "boxes": np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1),
            "labels": objects["category"],
        }
        if "area" in objects:
            reference["area"] = np.asarray(objects["area"], dtype=np.float64) * self.pixel_scale**2
        return reference | ({"iscrowd": objects["iscrowd"]} if "iscrowd" in objects else {})


def number_images(dataset: Dataset) -> Dataset:
    """Add `image_id`, the row's number, by which predictions and objects find each other.

    Example:
        >>> number_images(Dataset.from_dict({"image": ["a", "b"]}))["image_id"][:]
        [0, 1]
    """
    if "image_id" in dataset.column_names:
        dataset = dataset.remove_columns("image_id")
    return dataset.add_column("image_id", list(range(len(dataset))))


def object_names(dataset: Dataset) -> list[str]:
    """Name the classes of a split's objects.

    Raises:
        InputValueError: there are no objects, or their categories do not know their names.

    Example:
        >>> from datasets import Features, List
        >>> features = Features({"objects": {"category": List(ClassLabel(names=["cat", "dog"]))}})
        >>> object_names(Dataset.from_dict({"objects": []}, features=features))
        ['cat', 'dog']
    """
    objects = dataset.features.get(OBJECTS_COLUMN)
    category = getattr((objects or {}).get("category"), "feature", None)
    if not isinstance(category, ClassLabel):
        raise InputValueError(
            f"--dataset_name: its columns are {list(dataset.features)}, expected {OBJECTS_COLUMN!r} with "
            "boxes `bbox` and `category`, a list of ClassLabel, which knows its classes by name; encrypt "
            "images that have them, and keep the column."
        )
    return category.names
