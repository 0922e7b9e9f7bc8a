"""Find the picture, or the subject, that an encrypted image shows among candidates: no order is needed.

Shuffling keeps the multiset of patches, so statistics of patches survive it; mixing keeps a patch's mean
colour, and dropping patches only thins the set out. Distances of such sets rank the candidates.

Source: the symmetric mean nearest-neighbour distance is the modified Hausdorff distance of Dubuisson and
Jain, ICPR 1994.
"""

import time
from typing import NamedTuple

import numpy as np

from ..encryption import Encryption
from ..errors import InputValueError
from .base import split_mosaic


class LinkageResult(NamedTuple):
    """How well encrypted queries were linked to a gallery."""

    distances: np.ndarray
    """float (num_queries, num_gallery)."""
    top1: float | None
    """Share of queries whose nearest gallery entry has the same label; None without labels."""
    top5: float | None
    """Share of queries with the right label among the five nearest entries; None without labels."""
    chance: float | None
    """What guessing gives for top1: the mean share of gallery entries that have a query's label."""
    cpu_seconds: float


def patch_colours(image: np.ndarray, patch_size: int, *, spread: bool = True) -> np.ndarray:
    """Describe every patch by the mean and the spread of its colours.

    Args:
        image: uint8 (height, width, channels), encrypted or plain.
        patch_size: width in pixels of a patch in *this* image.
        spread: add the standard deviation per channel.

    Returns:
        float32 (num_patches, channels or 2 * channels), in grey levels.

    Example:
        >>> patch_colours(np.zeros((16, 32, 3), np.uint8), 16).shape
        (2, 6)
    """
    pieces = split_mosaic(image, patch_size).astype(np.float32)
    means = pieces.mean(axis=(1, 2))
    return np.concatenate([means, pieces.std(axis=(1, 2))], axis=1) if spread else means


def set_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Mean distance to the nearest member of the other set, both ways (Dubuisson and Jain 1994, averaged).

    Args:
        first: (n, features).
        second: (m, features).

    Example:
        >>> set_distance(np.array([[0.0], [1.0]]), np.array([[1.0], [0.0]]))
        0.0
    """
    squared = np.square(first).sum(1)[:, None] + np.square(second).sum(1) - 2 * first @ second.T
    distances = np.sqrt(np.maximum(squared, 0))
    return float((distances.min(axis=0).mean() + distances.min(axis=1).mean()) / 2)


def sorted_colours(colours: np.ndarray, *, quantiles: int = 32) -> np.ndarray:
    """Summarise a set of patches by quantiles of each feature: quick to compare, whatever the set's size.

    Example:
        >>> sorted_colours(np.arange(5.0)[:, None], quantiles=3).tolist()
        [0.0, 2.0, 4.0]
    """
    return np.quantile(colours, np.linspace(0, 1, quantiles), axis=0).ravel()


def link(
    queries: np.ndarray,
    gallery: np.ndarray,
    *,
    query_encryption: Encryption,
    gallery_encryption: Encryption | None = None,
    query_labels: np.ndarray | None = None,
    gallery_labels: np.ndarray | None = None,
    distance: str = "nearest",
) -> LinkageResult:
    """Rank a gallery by its likeness to encrypted queries.

    Args:
        queries: uint8 (num_queries, height, width, channels), encrypted.
        gallery: uint8 (num_gallery, height, width, channels): plain candidates, or encrypted images.
        query_encryption: settings of the queries.
        gallery_encryption: settings of the gallery; None says that it is plain, and the attacker encrypts it.
        query_labels: picture or subject of each query; with `gallery_labels` the ranking is scored.
        gallery_labels: picture or subject of each gallery entry.
        distance: "nearest" (set distance) or "quantiles" (of each feature; quicker).

    Returns:
        Distances, and retrieval accuracy beside chance.

    Raises:
        ValueError: an unknown distance, or labels for one side only.

    Example:
        >>> from hipmr_hf.encryption import RandomShuffling
        >>> settings = RandomShuffling(image_size=32, patch_size=16)
        >>> plain = np.stack([np.full((32, 32, 3), level, np.uint8) for level in (0, 90, 180)])
        >>> encrypted = settings.encrypt_batch(plain)
        >>> labels = np.arange(3)
        >>> link(encrypted, plain, query_encryption=settings, query_labels=labels, gallery_labels=labels).top1
        1.0
    """
    if distance not in ("nearest", "quantiles"):
        raise InputValueError(f"distance: got {distance!r}, expected 'nearest' or 'quantiles'.")
    if (query_labels is None) != (gallery_labels is None):
        raise InputValueError("query_labels, gallery_labels: got one of them, expected both or neither.")
    started = time.process_time()
    if gallery_encryption is None:
        gallery, gallery_encryption = query_encryption.encrypt_batch(gallery), query_encryption
    asked = [patch_colours(image, query_encryption.encrypted_patch_size) for image in queries]
    known = [patch_colours(image, gallery_encryption.encrypted_patch_size) for image in gallery]
    distances = _distances(asked, known, distance)
    seconds = time.process_time() - started
    if query_labels is None:
        return LinkageResult(distances, None, None, None, seconds)
    from ..metrics.retrieval import retrieval_chance, retrieval_scores

    asked_labels, known_labels = np.asarray(query_labels), np.asarray(gallery_labels)
    scores = retrieval_scores(distances, asked_labels, known_labels)
    chance = retrieval_chance(asked_labels, known_labels)["top1"]
    return LinkageResult(distances, scores["top1"], scores["top5"], chance, seconds)


def _distances(asked: list[np.ndarray], known: list[np.ndarray], distance: str) -> np.ndarray:
    if distance == "nearest":
        return np.array([[set_distance(one, other) for other in known] for one in asked])
    first, second = (np.stack([sorted_colours(colours) for colours in side]) for side in (asked, known))
    return np.linalg.norm(first[:, None] - second[None], axis=2)
