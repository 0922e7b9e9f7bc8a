"""Metrics that work without a network, as `evaluate.Metric`s."""

from .accuracy import Accuracy

__all__ = ["Accuracy"]
