"""Mean intersection over union (IoU) of maps of classes."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputValueError

IGNORED = 255
"""Class id of pixels that count for nothing."""


def mean_iou(
    predictions: Iterable[ArrayLike],
    references: Iterable[ArrayLike],
    *,
    num_labels: int,
    ignore_index: int = IGNORED,
    class_names: Sequence[str] | None = None,
) -> dict[str, float]:
    """Compare the class of every pixel, over all images together (as Pascal VOC and ADE20K do).

    Args:
        predictions: for each image class ids (height, width), as post_process_semantic_segmentation returns
            them.
        references: for each image the true ones, of the same size.
        num_labels: classes, numbered from 0.
        ignore_index: pixels of this class in the references count for nothing.
        class_names: names of all classes in the order of their ids, for the IoU of each.

    Returns:
        mean_iou, mean_accuracy (mean over the classes of the share of their pixels that was found) and
        pixel_accuracy, from 0 to 1; and iou_<class name> with class_names. A class that is nowhere, neither
        in predictions nor in references, is left out of the means, and its own IoU is -1.

    Raises:
        ValueError: images of different sizes or numbers, class ids out of range, or no pixel that counts.

    Example:
        >>> found, truth = [[[0, 1], [1, 1]]], [[[0, 1], [0, 255]]]
        >>> scores = mean_iou(found, truth, num_labels=3, class_names=["ground", "cat", "dog"])
        >>> scores["mean_iou"], scores["iou_dog"], round(scores["pixel_accuracy"], 3)
        (0.5, -1.0, 0.667)
    """
    confusion = np.zeros((num_labels, num_labels), np.int64)
    try:
        for found, truth in zip(predictions, references, strict=True):
            confusion += confusion_matrix(found, truth, num_labels=num_labels, ignore_index=ignore_index)
    except ValueError as error:
        if isinstance(error, InputValueError):
            raise
        raise InputValueError("predictions: there is not one for each of the references.") from error
    return iou_scores(confusion, class_names=class_names)


def confusion_matrix(
    prediction: ArrayLike, reference: ArrayLike, *, num_labels: int, ignore_index: int = IGNORED
) -> np.ndarray:
    """Count the pixels of each true class (row) that were taken for each class (column).

    Args:
        prediction, reference: class ids of one image, or of several of one size.
        num_labels, ignore_index: as in `mean_iou`.

    Returns:
        int64 (num_labels, num_labels); those of several images add up.

    Raises:
        ValueError: different sizes, or class ids out of range.

    Example:
        >>> confusion_matrix([[0, 1], [1, 1]], [[0, 1], [0, 255]], num_labels=2).tolist()
        [[1, 1], [0, 1]]
    """
    found, truth = np.asarray(prediction), np.asarray(reference)
    if found.shape != truth.shape:
        raise InputValueError(
            f"predictions: got an image of shape {found.shape} for a reference of {truth.shape}; bring them "
            "to one size with post_process_semantic_segmentation(outputs, target_sizes)."
        )
    counts = truth != ignore_index
    found, truth = found[counts].astype(np.int64), truth[counts].astype(np.int64)
    for name, ids in (("predictions", found), ("references", truth)):
        if ids.size and not 0 <= ids.min() <= ids.max() < num_labels:
            raise InputValueError(
                f"{name}: got class ids {ids.min()}..{ids.max()}, but there are {num_labels} classes; check "
                "num_labels, and ignore_index for pixels that count for nothing."
            )
    flat = np.bincount(truth * num_labels + found, minlength=num_labels**2)
    return flat.reshape(num_labels, num_labels)


def iou_scores(confusion: np.ndarray, *, class_names: Sequence[str] | None = None) -> dict[str, float]:
    """Turn a confusion matrix to the scores of `mean_iou`.

    Args:
        confusion: (num_labels, num_labels), as `confusion_matrix` counts.
        class_names: as in `mean_iou`.

    Raises:
        ValueError: no pixel that counts, or another number of names.

    Example:
        >>> iou_scores(np.array([[2, 0], [1, 1]]))["pixel_accuracy"]
        0.75
    """
    if not confusion.any():
        raise InputValueError("references: no pixel counts; give images with classes below num_labels.")
    if class_names is not None and len(class_names) != len(confusion):
        raise InputValueError(f"class_names: got {len(class_names)} names for {len(confusion)} classes.")
    right, true = np.diag(confusion), confusion.sum(axis=1)
    union = true + confusion.sum(axis=0) - right
    iou = np.divide(right, union, out=np.full(len(union), -1.0), where=union > 0)
    scores = {
        "mean_iou": float(iou[union > 0].mean()),
        "mean_accuracy": float((right[true > 0] / true[true > 0]).mean()),
        "pixel_accuracy": float(right.sum() / confusion.sum()),
    }
    return scores | {f"iou_{name}": float(value) for name, value in zip(class_names or (), iou, strict=False)}
