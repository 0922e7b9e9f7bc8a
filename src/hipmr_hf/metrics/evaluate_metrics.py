"""The functions of this room as `evaluate.Metric`s, which gather batches and join in `evaluate.combine`.

This module alone imports `evaluate`, and with it torch.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import datasets
import numpy as np

from ..errors import needs_extra
from .accuracy import accuracy_scores
from .image_similarity import image_similarity
from .mean_average_precision import checked_boxes, mean_average_precision
from .mean_iou import IGNORED, mean_iou
from .multi_label import multi_label_scores
from .patch_order import chance_scores, order_scores
from .regression import regression_scores
from .retrieval import retrieval_chance, retrieval_scores

with needs_extra("an evaluate.Metric", "torch"):
    import evaluate

_IDS, _NUMBERS = datasets.Value("int64"), datasets.Value("float64")


class _Metric(evaluate.Metric):
    """A metric in memory by default: it needs no file of predictions that outlives the run."""

    description: ClassVar[str]
    inputs: ClassVar[str]
    columns: ClassVar[Any]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"keep_in_memory": kwargs.get("num_process", 1) == 1, **kwargs})

    def _info(self) -> evaluate.MetricInfo:
        several = [datasets.Features(columns) for columns in self.columns]
        return evaluate.MetricInfo(
            description=self.description,
            citation="",
            inputs_description=self.inputs,
            features=several if len(several) > 1 else several[0],
        )


class Accuracy(_Metric):
    """Top-1 and top-5 accuracy, as `accuracy_scores`.

    Example:
        >>> logits = [[0.1, 0.9, 0, 0, 0, 0], [0.6, 0.5, 0.4, 0.3, 0.2, 0.1]]
        >>> Accuracy().compute(predictions=logits, references=[1, 4])
        {'accuracy': 0.5, 'top_5_accuracy': 1.0}
    """

    description = (
        "Share of images whose class is the best guess (accuracy) or among the five best (top_5_accuracy)."
    )
    inputs = """
Args:
    predictions: logits or probabilities (num_images, num_labels), or class ids (num_images,).
    references: class ids (num_images,).
Returns:
    accuracy: top-1, 0 to 1.
    top_5_accuracy: 0 to 1; only for logits of more than five classes.
"""
    columns = (
        {"predictions": datasets.Sequence(datasets.Value("float32")), "references": _IDS},
        {"predictions": _IDS, "references": _IDS},
    )

    def _compute(self, predictions: list, references: list) -> dict[str, float]:
        return accuracy_scores(predictions, references)


class ImageSimilarity(_Metric):
    """Mean of `image_similarity` over images.

    Example:
        >>> images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
        >>> ImageSimilarity().compute(predictions=images, references=images)["ssim"]
        1.0
    """

    description = "PSNR in dB and SSIM of reconstructions against plain images, also after the best shift."
    inputs = """
Args:
    predictions: uint8 images (num_images, height, width, channels).
    references: uint8 images of the same size.
    data_range: largest difference of two pixel values; 255 for uint8.
Returns:
    Means over images of psnr, ssim, psnr_aligned and ssim_aligned.
"""
    _image = datasets.Sequence(datasets.Sequence(datasets.Sequence(datasets.Value("uint8"))))
    columns = ({"predictions": _image, "references": _image},)

    def _compute(self, predictions: list, references: list, data_range: float = 255.0) -> dict[str, float]:
        return _means(
            image_similarity(np.asarray(found), np.asarray(plain), data_range=data_range)
            for found, plain in zip(predictions, references, strict=True)
        )


class MeanAveragePrecision(_Metric):
    """COCO's mean average precision and recall, as `mean_average_precision`.

    Example:
        >>> found = {"scores": [0.9, 0.8], "labels": [1, 0], "boxes": [[0, 0, 50, 50], [60, 60, 90, 90]]}
        >>> truth = {"labels": [1, 1], "boxes": [[0, 0, 50, 50], [60, 0, 90, 30]]}
        >>> result = MeanAveragePrecision().compute(
        ...     predictions=[found], references=[truth], class_names=["cell", "platelet"]
        ... )
        >>> result["map_50"], result["map_small"], result["map_cell"], result["mar_100"]
        (0.504950495049505, 0.0, -1.0, 0.5)
    """

    description = "COCO's twelve numbers for detected boxes, and the average precision of every class."
    inputs: ClassVar[str] = mean_average_precision.__doc__ or ""
    _boxes = datasets.List(datasets.List(_NUMBERS, length=4))
    columns = (
        {
            "predictions": {
                "scores": datasets.List(_NUMBERS),
                "labels": datasets.List(_IDS),
                "boxes": _boxes,
            },
            "references": {
                "labels": datasets.List(_IDS),
                "boxes": _boxes,
                "area": datasets.List(_NUMBERS),
                "iscrowd": datasets.List(_IDS),
            },
        },
    )

    def add_batch(
        self,
        *,
        predictions: Sequence[Mapping[str, Any]],
        references: Sequence[Mapping[str, Any]],
        **kwargs: Any,
    ) -> None:
        """Add some images; see `mean_average_precision` for what an image is."""
        found, truth = checked_boxes(predictions, references)
        super().add_batch(predictions=found, references=truth, **kwargs)

    def add(self, *, prediction: Mapping[str, Any], reference: Mapping[str, Any], **kwargs: Any) -> None:
        """Add one image."""
        self.add_batch(predictions=[prediction], references=[reference], **kwargs)

    def _compute(
        self, predictions: list[dict], references: list[dict], class_names: Sequence[str] | None = None
    ) -> dict[str, float]:
        return mean_average_precision(predictions, references, class_names=class_names)


class MeanIoU(_Metric):
    """Mean intersection over union of maps of classes, as `mean_iou`.

    Example:
        >>> scores = MeanIoU().compute(
        ...     predictions=[[[0, 1], [1, 1]]], references=[[[0, 1], [0, 255]]], num_labels=2
        ... )
        >>> scores["mean_iou"], round(scores["pixel_accuracy"], 3)
        (0.5, 0.667)
    """

    description = "Mean over the classes of the intersection over the union of their pixels, and accuracies."
    inputs: ClassVar[str] = mean_iou.__doc__ or ""
    _map = datasets.Sequence(datasets.Sequence(datasets.Value("uint16")))
    columns = ({"predictions": _map, "references": _map},)

    def _compute(
        self,
        predictions: list,
        references: list,
        num_labels: int,
        ignore_index: int = IGNORED,
        class_names: Sequence[str] | None = None,
    ) -> dict[str, float]:
        return mean_iou(
            predictions,
            references,
            num_labels=num_labels,
            ignore_index=ignore_index,
            class_names=class_names,
        )


class MultiLabel(_Metric):
    """F1 and average precision where a picture has any number of classes, as `multi_label_scores`.

    Example:
        >>> MultiLabel().compute(predictions=[[2.0, -1.0], [1.0, 3.0]], references=[[1, 0], [1, 1]])
        {'f1_micro': 1.0, 'f1_macro': 1.0, 'average_precision': 1.0}
    """

    description = "F1 over all answers, and means over the classes of F1 and of the average precision."
    inputs: ClassVar[str] = multi_label_scores.__doc__ or ""
    _row = datasets.Sequence(datasets.Value("float32"))
    columns = ({"predictions": _row, "references": _row},)

    def _compute(self, predictions: list, references: list) -> dict[str, float]:
        return multi_label_scores(predictions, references)


class PatchOrder(_Metric):
    """Mean of `order_scores` over images, with what guessing gives beside it.

    Example:
        >>> scores = PatchOrder().compute(predictions=[[0, 1, 2, 3]], references=[[0, 1, 2, 3]], shape=(2, 2))
        >>> scores["neighbour"], scores["perfect"], scores["chance_direct"]
        (1.0, 1.0, 0.25)
    """

    description = "Share of patch neighbours, of places and of connected pieces that an attack recovered."
    inputs = """
Args:
    predictions: the cells, row-major, where the attack put each patch (num_images, num_patches).
    references: the cells where the patches really stood (num_images, num_patches).
    shape: rows and columns of the grid of cells.
Returns:
    Means over images of `order_scores`, and what guessing gives under the name chance_*.
"""
    columns = ({"predictions": datasets.Sequence(_IDS), "references": datasets.Sequence(_IDS)},)

    def _compute(self, predictions: list, references: list, shape: tuple[int, int]) -> dict[str, float]:
        means = _means(
            order_scores(np.asarray(found), np.asarray(truth), tuple(shape))
            for found, truth in zip(predictions, references, strict=True)
        )
        return means | _by_chance(chance_scores(len(references[0]), tuple(shape)))


class Regression(_Metric):
    """Errors of predicted numbers, as `regression_scores`.

    Example:
        >>> Regression().compute(predictions=[[1.0], [3.0]], references=[[1.0], [2.0]])
        {'mse': 0.5, 'mae': 0.5, 'r2': -1.0}
    """

    description = "Mean squared and mean absolute error of numbers, and the share of variance explained."
    inputs: ClassVar[str] = regression_scores.__doc__ or ""
    columns = (
        {"predictions": datasets.Sequence(_NUMBERS), "references": datasets.Sequence(_NUMBERS)},
        {"predictions": _NUMBERS, "references": _NUMBERS},
    )

    def _compute(self, predictions: list, references: list) -> dict[str, float]:
        return regression_scores(predictions, references)


class Retrieval(_Metric):
    """`retrieval_scores` with what guessing gives beside it.

    Example:
        >>> found = Retrieval().compute(predictions=[[0.0, 1.0]], references=[1], gallery_labels=[0, 1])
        >>> found["top1"], found["chance_top1"]
        (0.0, 0.5)
    """

    description = "Share of queries whose nearest gallery entries have the query's label."
    inputs = """
Args:
    predictions: distances of each query to every gallery entry (num_queries, num_gallery).
    references: label of each query (num_queries,).
    gallery_labels: label of each gallery entry (num_gallery,).
Returns:
    top1, top5 and, under the names chance_top1 and chance_top5, what guessing gives.
"""
    columns = ({"predictions": datasets.Sequence(_NUMBERS), "references": _IDS},)

    def _compute(self, predictions: list, references: list, gallery_labels: list) -> dict[str, float]:
        queries, gallery = np.asarray(references), np.asarray(gallery_labels)
        scores = retrieval_scores(np.asarray(predictions), queries, gallery)
        return scores | _by_chance(retrieval_chance(queries, gallery))


def _means(scored: Any) -> dict[str, float]:
    every = list(scored)
    return {name: float(np.mean([one[name] for one in every])) for name in every[0]}


def _by_chance(scores: Mapping[str, float]) -> dict[str, float]:
    return {f"chance_{name}": value for name, value in scores.items()}
