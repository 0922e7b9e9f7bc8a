"""Metrics that work without a network, as `evaluate.Metric`s."""

from .accuracy import Accuracy
from .mean_average_precision import MeanAveragePrecision

__all__ = ["Accuracy", "MeanAveragePrecision"]
