"""How often the right entry of a gallery comes first, as plain functions and as an `evaluate.Metric`."""

import datasets
import evaluate
import numpy as np

from ..errors import InputValueError

_DESCRIPTION = "Share of queries whose nearest gallery entries have the query's label."

_INPUTS = """
Args:
    predictions: distances of each query to every gallery entry (num_queries, num_gallery).
    references: label of each query (num_queries,).
    gallery_labels: label of each gallery entry (num_gallery,).
Returns:
    top1, top5 and, under the names chance_top1 and chance_top5, what guessing gives.
"""


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


class Retrieval(evaluate.Metric):
    """`retrieval_scores` with what guessing gives beside it; needs no network.

    Example:
        >>> found = Retrieval().compute(predictions=[[0.0, 1.0]], references=[1], gallery_labels=[0, 1])
        >>> found["top1"], found["chance_top1"]
        (0.0, 0.5)
    """

    def __init__(self, **kwargs):
        # In memory by default: a metric needs no file of predictions that outlives the run.
        super().__init__(**{"keep_in_memory": kwargs.get("num_process", 1) == 1, **kwargs})

    def _info(self) -> evaluate.MetricInfo:
        columns = {
            "predictions": datasets.Sequence(datasets.Value("float64")),
            "references": datasets.Value("int64"),
        }
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_INPUTS,
            features=datasets.Features(columns),
        )

    def _compute(self, predictions: list, references: list, gallery_labels: list) -> dict[str, float]:
        queries, gallery = np.asarray(references), np.asarray(gallery_labels)
        scores = retrieval_scores(np.asarray(predictions), queries, gallery)
        chance = retrieval_chance(queries, gallery)
        return scores | {f"chance_{name}": value for name, value in chance.items()}
