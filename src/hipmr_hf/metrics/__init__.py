"""Metrics that work without a network: plain numpy functions, and the same as `evaluate.Metric`s.

In: predictions and references, as arrays. Out: scores by name, what guessing gives beside them. The functions
lie in a module each and need numpy alone; the classes below are imported when they are first used, for
`evaluate` takes torch along.
"""

from typing import TYPE_CHECKING

from ..lazy_names import lazy_names

if TYPE_CHECKING:
    from .evaluate_metrics import (
        Accuracy,
        ImageSimilarity,
        MeanAveragePrecision,
        MeanIoU,
        MultiLabel,
        PatchOrder,
        Regression,
        Retrieval,
    )

__all__ = [
    "Accuracy",
    "ImageSimilarity",
    "MeanAveragePrecision",
    "MeanIoU",
    "MultiLabel",
    "PatchOrder",
    "Regression",
    "Retrieval",
]

__getattr__, _ = lazy_names(__name__, dict.fromkeys(__all__, "evaluate_metrics"))
