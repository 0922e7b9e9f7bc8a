"""Top-1 and top-5 accuracy as an `evaluate.Metric` that needs no network."""

import datasets
import evaluate
import numpy as np

from ..errors import InputValueError

_DESCRIPTION = (
    "Share of images whose class is the best guess (accuracy) or among the five best (top_5_accuracy)."
)

_INPUTS = """
Args:
    predictions: logits or probabilities (num_images, num_labels), or class ids (num_images,).
    references: class ids (num_images,).
Returns:
    accuracy: top-1, 0 to 1.
    top_5_accuracy: 0 to 1; only for logits of more than five classes.
"""


class Accuracy(evaluate.Metric):
    """Top-1 and top-5 accuracy; joins others through `evaluate.combine`.

    Example:
        >>> logits = [[0.1, 0.9, 0, 0, 0, 0], [0.6, 0.5, 0.4, 0.3, 0.2, 0.1]]
        >>> Accuracy().compute(predictions=logits, references=[1, 4])
        {'accuracy': 0.5, 'top_5_accuracy': 1.0}
    """

    def __init__(self, **kwargs):
        # In memory by default: a metric needs no file of predictions that outlives the run.
        super().__init__(**{"keep_in_memory": kwargs.get("num_process", 1) == 1, **kwargs})

    def _info(self) -> evaluate.MetricInfo:
        ids = datasets.Value("int64")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_INPUTS,
            features=[
                datasets.Features(
                    {"predictions": datasets.Sequence(datasets.Value("float32")), "references": ids}
                ),
                datasets.Features({"predictions": ids, "references": ids}),
            ],
        )

    def _compute(self, predictions: list, references: list) -> dict[str, float]:
        predictions, references = np.asarray(predictions), np.asarray(references)
        if predictions.ndim == 1:
            return {"accuracy": float((predictions == references).mean())}
        num_labels = predictions.shape[1]
        if references.min() < 0 or references.max() >= num_labels:
            raise InputValueError(
                f"references: got class ids {references.min()}..{references.max()}, but the predictions have "
                f"{num_labels} classes; check that labels and logits belong together."
            )
        scores = {"accuracy": float((predictions.argmax(axis=1) == references).mean())}
        if num_labels > 5:
            scores["top_5_accuracy"] = float(_in_top(predictions, references, 5).mean())
        return scores


def _in_top(scores: np.ndarray, references: np.ndarray, k: int) -> np.ndarray:
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    return (best == references[:, None]).any(axis=1)
