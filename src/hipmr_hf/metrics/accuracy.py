"""Top-1 and top-5 accuracy."""

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputValueError


def accuracy_scores(predictions: ArrayLike, references: ArrayLike) -> dict[str, float]:
    """Tell the share of images whose class is the best guess, or among the five best.

    Args:
        predictions: logits or probabilities (num_images, num_labels), or class ids (num_images,).
        references: (num_images,) class ids.

    Returns:
        Shares from 0 to 1: accuracy (top-1) and, for scores of more than five classes, top_5_accuracy.

    Raises:
        ValueError: no images or another number of them, class ids that the scores do not have, or a score
            that is not a number: a model that has diverged predicts nothing, which must not count as class 0.

    Example:
        >>> logits = [[0.1, 0.9, 0, 0, 0, 0], [0.6, 0.5, 0.4, 0.3, 0.2, 0.1]]
        >>> accuracy_scores(logits, [1, 4])
        {'accuracy': 0.5, 'top_5_accuracy': 1.0}
    """
    predictions, references = np.asarray(predictions), np.asarray(references)
    _check(predictions, references)
    if predictions.ndim == 1:
        return {"accuracy": float((predictions == references).mean())}
    scores = {"accuracy": float((predictions.argmax(axis=1) == references).mean())}
    if predictions.shape[1] > 5:
        scores["top_5_accuracy"] = float(_in_top(predictions, references, 5).mean())
    return scores


def _check(predictions: np.ndarray, references: np.ndarray) -> None:
    if predictions.ndim not in (1, 2) or references.shape != predictions.shape[:1] or not references.size:
        raise InputValueError(
            f"predictions: got shape {predictions.shape} for references of shape {references.shape}, "
            "expected (num_images, num_labels) or (num_images,), with one class id for each of one image or "
            "more."
        )
    lost = int(np.isnan(predictions).reshape(len(predictions), -1).any(axis=1).sum())
    if lost:
        raise InputValueError(
            f"predictions: {lost} of {len(predictions)} images have a score that is not a number (NaN); the "
            "model has diverged: train it anew with a lower learning rate, or take an earlier checkpoint."
        )
    if predictions.ndim == 2 and (references.min() < 0 or references.max() >= predictions.shape[1]):
        raise InputValueError(
            f"references: got class ids {references.min()}..{references.max()}, but the predictions have "
            f"{predictions.shape[1]} classes; check that labels and logits belong together."
        )


def _in_top(scores: np.ndarray, references: np.ndarray, k: int) -> np.ndarray:
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    return (best == references[:, None]).any(axis=1)
