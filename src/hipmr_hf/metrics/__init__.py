"""Metrics that work without a network, as `evaluate.Metric`s."""

from .accuracy import Accuracy
from .image_similarity import ImageSimilarity
from .mean_average_precision import MeanAveragePrecision
from .patch_order import PatchOrder
from .retrieval import Retrieval

__all__ = ["Accuracy", "ImageSimilarity", "MeanAveragePrecision", "PatchOrder", "Retrieval"]
