"""COCO's mean average precision.

The numbers come from faster-coco-eval rather than pycocotools: equal to ten digits, five times as fast (1,000
images with 58,000 detections: 0.9 s against 4.9 s), silent, and released more often. A test compares the two.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputValueError, needs_extra

NAMES = (
    *("map", "map_50", "map_75", "map_small", "map_medium", "map_large"),
    *("mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large"),
)


def mean_average_precision(
    predictions: Sequence[Mapping[str, Any]],
    references: Sequence[Mapping[str, Any]],
    *,
    class_names: Sequence[str] | None = None,
) -> dict[str, float]:
    """Compute COCO's twelve numbers for detected boxes, and the average precision of every class.

    Args:
        predictions: for each image `scores` (n,), `labels` (n,) and `boxes` (n, 4) of x1, y1, x2, y2, as
            post_process_object_detection returns them; lists, arrays or tensors.
        references: for each image `labels` (m,) and `boxes` (m, 4) in the same pixels; possibly `area` (m,),
            by default that of the box, and `iscrowd` (m,), by default 0.
        class_names: names of all classes in the order of their ids, for the average precision of each.

    Returns:
        map, map_50, map_75 (average precision over IoU .50 to .95, at .50, at .75), map_small, map_medium,
        map_large (objects below 32 x 32, below 96 x 96, and from there on), mar_1, mar_10, mar_100 (average
        recall with so many detections an image), mar_small, mar_medium, mar_large; and map_<class name> with
        class_names. All are 0 to 1, or -1 where there is no such object.

    Raises:
        ValueError: fields that are missing or of different lengths, scores or boxes that are not numbers, or
            labels without a name.
        MissingExtraError: the extra `detection` is not installed.

    Example:
        >>> found = {"scores": [0.9], "labels": [1], "boxes": [[0, 0, 50, 50]]}
        >>> truth = {"labels": [1, 1], "boxes": [[0, 0, 50, 50], [60, 0, 90, 30]]}
        >>> result = mean_average_precision([found], [truth], class_names=["cell", "platelet"])
        >>> result["map_50"], result["map_cell"], result["mar_100"]
        (0.504950495049505, -1.0, 0.5)
    """
    found, truth = checked_boxes(predictions, references)
    labels = {label for entry in (*found, *truth) for label in entry["labels"]}
    if class_names is not None:
        if labels and not 0 <= min(labels) <= max(labels) < len(class_names):
            raise InputValueError(
                f"class_names: got {len(class_names)} names, but labels {min(labels)}..{max(labels)}; "
                "name every class, in the order of their ids."
            )
        labels = set(range(len(class_names)))
    evaluation = _evaluate(found, truth, sorted(labels))
    result = dict(zip(NAMES, map(float, evaluation.stats[: len(NAMES)]), strict=True))
    # (IoU thresholds, recalls, classes, areas, detections an image): all areas, most detections.
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    for index, name in enumerate(class_names or ()):
        known = precision[:, :, index][precision[:, :, index] > -1]
        result[f"map_{name}"] = float(known.mean()) if known.size else -1.0
    return result


def checked_boxes(
    predictions: Sequence[Mapping[str, Any]], references: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, list[Any]]], list[dict[str, list[Any]]]]:
    """Turn every image's boxes into lists, with what is missing filled in; see `mean_average_precision`."""
    if len(predictions) != len(references):
        raise InputValueError(
            f"predictions: got {len(predictions)} images, but references have {len(references)}; give an "
            "entry for every image, also for those without objects."
        )
    return (
        [_checked("predictions", entry, ("scores",)) for entry in predictions],
        [_checked("references", entry, ()) for entry in references],
    )


def _evaluate(predictions: list[dict], references: list[dict], labels: list[int]) -> Any:
    with needs_extra("MeanAveragePrecision", "detection"):
        from faster_coco_eval import COCO, COCOeval_faster
    truth, found = [], []
    for image, (prediction, reference) in enumerate(zip(predictions, references, strict=True)):
        truth += _coco_entries(image, reference)
        found += _coco_entries(image, prediction)
    images = [{"id": image} for image in range(len(references))]
    categories = [{"id": label, "name": str(label)} for label in labels]
    dataset = {"info": {}, "images": images, "annotations": truth, "categories": categories}
    ground_truth = COCO(dataset)
    evaluation = COCOeval_faster(ground_truth, ground_truth.loadRes(found), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation


def _coco_entries(image: int, entry: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """An image's boxes in COCO's words; ids are unique, and begin with 1 because 0 means "no match"."""
    names = {"scores": "score", "area": "area", "iscrowd": "iscrowd"}
    given = {names[name]: entry[name] for name in names if name in entry}
    return [
        {
            "id": image * 10**6 + number + 1,
            "image_id": image,
            "category_id": label,
            "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
            **{name: values[number] for name, values in given.items()},
        }
        for number, (label, box) in enumerate(zip(entry["labels"], entry["boxes"], strict=True))
    ]


def _checked(argument: str, entry: Mapping[str, Any], more: tuple[str, ...]) -> dict[str, list[Any]]:
    """One image's boxes as lists, with what is missing filled in."""
    names = ("labels", "boxes", *more)
    if missing := [name for name in names if name not in entry]:
        raise InputValueError(f"{argument}: {', '.join(missing)} missing; an image has {', '.join(names)}.")
    boxes = np.asarray(entry["boxes"], dtype=np.float64).reshape(-1, 4)
    sides = (boxes[:, 2:] - boxes[:, :2]).clip(min=0)
    filled = {"labels": np.asarray(entry["labels"], dtype=np.int64), "boxes": boxes}
    if argument == "predictions":
        filled["scores"] = np.asarray(entry["scores"], dtype=np.float64)
    else:
        filled["area"] = np.asarray(entry.get("area", sides.prod(axis=1)), dtype=np.float64)
        filled["iscrowd"] = np.asarray(entry.get("iscrowd", np.zeros(len(boxes))), dtype=np.int64)
    for name, values in filled.items():
        if len(values) != len(boxes):
            raise InputValueError(
                f"{argument}: an image has {len(boxes)} boxes but {len(values)} {name}; give one to each box."
            )
        if not np.isfinite(values).all():
            raise InputValueError(
                f"{argument}: an image has {name} that are not finite; mend the model or the annotation."
            )
    return {name: values.tolist() for name, values in filled.items()}
