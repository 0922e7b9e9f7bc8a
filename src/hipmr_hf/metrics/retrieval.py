"""How often the right entry of a gallery comes first."""

import numpy as np

from ..errors import InputValueError


def retrieval_scores(
    distances: np.ndarray, query_labels: np.ndarray, gallery_labels: np.ndarray
) -> dict[str, float]:
    """Tell how often a query's label stands first, and among the first five, in the ranked gallery.

    Args:
        distances: (num_queries, num_gallery), small for alike; of equal ones the first entry comes first.
        query_labels: (num_queries,) whole numbers.
        gallery_labels: (num_gallery,) whole numbers.

    Returns:
        Shares from 0 to 1: top1 and top5.

    Raises:
        ValueError: labels that do not fit the distances.

    Example:
        >>> retrieval_scores(np.array([[0.1, 0.9], [0.2, 0.8]]), np.array([0, 1]), np.array([0, 1]))
        {'top1': 0.5, 'top5': 1.0}
    """
    same = _same(distances, query_labels, gallery_labels)
    order = np.argsort(distances, axis=1, kind="stable")
    ranked = np.take_along_axis(same, order, axis=1)
    return {"top1": float(ranked[:, 0].mean()), "top5": float(ranked[:, :5].any(axis=1).mean())}


def retrieval_chance(query_labels: np.ndarray, gallery_labels: np.ndarray) -> dict[str, float]:
    """What a random ranking scores on average, under the names of `retrieval_scores`.

    Example:
        >>> retrieval_chance(np.array([0, 1]), np.array([0, 1, 1, 1]))
        {'top1': 0.5, 'top5': 1.0}
    """
    shape = (len(query_labels), len(gallery_labels))
    right = _same(np.empty(shape), query_labels, gallery_labels).sum(axis=1)
    missed = np.ones(len(right))
    for place in range(min(5, shape[1])):
        missed *= np.clip(shape[1] - right - place, 0, None) / (shape[1] - place)
    return {"top1": float((right / shape[1]).mean()), "top5": float(1 - missed.mean())}


def _same(distances: np.ndarray, query_labels: np.ndarray, gallery_labels: np.ndarray) -> np.ndarray:
    expected = (len(query_labels), len(gallery_labels))
    if np.shape(distances) != expected or 0 in expected:
        raise InputValueError(
            f"distances: got shape {np.shape(distances)}, expected {expected}, one row for each query label "
            "and one column for each gallery label, at least one of both."
        )
    return np.asarray(gallery_labels)[None] == np.asarray(query_labels)[:, None]
