"""F1 and average precision where a picture has any number of classes."""

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputValueError


def multi_label_scores(predictions: ArrayLike, references: ArrayLike) -> dict[str, float]:
    """Tell how well the classes of each picture were found.

    Args:
        predictions: logits (num_images, num_labels); above 0 a class counts as found.
        references: zeros and ones (num_images, num_labels).

    Returns:
        Shares from 0 to 1: f1_micro, over all answers together; f1_macro and average_precision, means over
        the classes that at least one picture has. All are 0 where no picture has any class.

    Raises:
        ValueError: other shapes, no images, references that are not 0 or 1, or a logit that is not a number.

    Source: average precision as in scikit-learn, the step-wise area under the curve of precision and recall.

    Example:
        >>> logits = [[2.0, -1.0], [1.0, 3.0], [-2.0, 0.5]]
        >>> scores = multi_label_scores(logits, [[1, 0], [1, 1], [0, 0]])
        >>> scores["f1_micro"], round(scores["f1_macro"], 3), scores["average_precision"]
        (0.8571428571428571, 0.833, 1.0)
    """
    scores, truth = np.asarray(predictions, dtype=np.float64), np.asarray(references)
    _check(scores, truth)
    truth = truth.astype(bool)
    found = scores > 0
    hits, answers, positives = (
        counted.sum(axis=0).astype(float) for counted in (found & truth, found, truth)
    )
    there = positives > 0
    f1 = 2 * hits[there] / (answers + positives)[there]
    precision = [_average_precision(scores[:, i], truth[:, i]) for i in np.flatnonzero(there)]
    return {
        "f1_micro": float(2 * hits.sum() / max(1.0, answers.sum() + positives.sum())),
        "f1_macro": float(f1.mean()) if there.any() else 0.0,
        "average_precision": float(np.mean(precision)) if there.any() else 0.0,
    }


def _average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    order = np.argsort(-scores, kind="stable")
    sorted_scores, hits = scores[order], np.cumsum(truth[order])
    last = np.append(np.diff(sorted_scores) != 0, True)  # the last of each group of equal scores
    precision = hits[last] / (np.flatnonzero(last) + 1)
    gained = np.diff(hits[last], prepend=0)
    return float((precision * gained).sum() / truth.sum())


def _check(scores: np.ndarray, truth: np.ndarray) -> None:
    if scores.ndim != 2 or scores.shape != truth.shape or not scores.size:
        raise InputValueError(
            f"predictions: got shape {scores.shape} for references of shape {truth.shape}, expected "
            "(num_images, num_labels) of both, with one image or more."
        )
    lost = int(np.isnan(scores).any(axis=1).sum())
    if lost:
        raise InputValueError(
            f"predictions: {lost} of {len(scores)} images have a score that is not a number (NaN); the model "
            "has diverged: train it anew with a lower learning rate, or take an earlier checkpoint."
        )
    if not np.isin(truth, (0, 1)).all():
        raise InputValueError("references: expected 1 where an image has a class and 0 where not.")
