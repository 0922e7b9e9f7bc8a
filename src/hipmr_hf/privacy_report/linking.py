"""Attackers that do not restore the picture: they find it, or its subject, among others.

A subject is looked for in two ways: by the nearest of the encrypted images whose label is known, and by what
these teach (`attacks.linkage_learned`) where there are several of a label. What finds more is told.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..attacks.linkage import LinkageResult, link
from ..attacks.linkage_learned import LabelledLink, link_labelled
from ..metrics.retrieval import retrieval_chance, retrieval_scores
from .grade import share
from .records import LINK, AttackRecord

if TYPE_CHECKING:
    from .bench import Bench

_THUMBNAIL = 32
_MIN_QUERIES = 4
_MIN_KNOWN = 3  # of a label that is learned, so that two are left where one is kept to choose by
_MIN_LABELS = 2
_WORDS = {"textures": "textures", "tones": "tones", "both": "textures and tones"}


def same_picture(bench: Bench) -> AttackRecord:
    """Find the plain photograph behind an encrypted one among candidates."""
    plain, labels = bench.candidates, np.arange(len(bench.candidates))
    encrypted = bench.encryption.encrypt_batch(plain)
    result = link(
        encrypted, plain, query_encryption=bench.encryption, query_labels=labels, gallery_labels=labels
    )
    return _record(
        result,
        labels,
        labels,
        attack="same_picture",
        title="finding the photograph among candidates",
        knows=f"{len(plain)} candidate photographs, one of which it is",
        plain_top1=1.0,
    )


def no_labels(bench: Bench) -> str | None:
    """Tell why subjects cannot be linked, or None."""
    if bench.labels is None:
        return "the images have no labels"
    queries, _ = _halves(bench.labels)
    if len(queries) < _MIN_QUERIES or len(np.unique(bench.labels[queries])) < 2:
        return "too few of the sampled images share a label with another one"
    return None


def same_subject(bench: Bench) -> AttackRecord:
    """Find the label of an encrypted image from other encrypted images whose label is known."""
    queries, gallery = _halves(bench.labels)
    encrypted = bench.encryption.encrypt_batch(bench.candidates)
    asked, known = bench.labels[queries], bench.labels[gallery]
    result = link(
        encrypted[queries],
        encrypted[gallery],
        query_encryption=bench.encryption,
        gallery_encryption=bench.encryption,
        query_labels=asked,
        gallery_labels=known,
    )
    nearest = _record(
        result,
        asked,
        known,
        attack="same_subject",
        title="finding the subject or class among encrypted images",
        knows=f"{len(gallery)} encrypted images with labels",
        plain_top1=_plain_top1(bench.candidates[queries], bench.candidates[gallery], asked, known),
    )
    learned = _learned(bench, encrypted[queries], encrypted[gallery], asked, known)
    return _more_of(nearest, learned, learnable=len(_learnable(known)))


def _learned(
    bench: Bench, queries: np.ndarray, gallery: np.ndarray, asked: np.ndarray, known: np.ndarray
) -> LabelledLink | None:
    """Learn the labels of which three pictures or more are known; None where those are fewer than two."""
    several = np.isin(known, _learnable(known))
    if len(_learnable(known)) < _MIN_LABELS:
        return None
    return link_labelled(gallery[several], known[several], queries, asked, encryption=bench.encryption)


def _learnable(known: np.ndarray) -> np.ndarray:
    labels, counts = np.unique(known, return_counts=True)
    return labels[counts >= _MIN_KNOWN]


def _more_of(nearest: AttackRecord, learned: LabelledLink | None, *, learnable: int) -> AttackRecord:
    """Take what finds more, beside the higher chance of both, and tell what the other one finds."""
    if learned is None:
        reason = f"fewer than {_MIN_LABELS} labels have {_MIN_KNOWN} known images or more to learn from"
        notes = [f"Found by the nearest known image; nothing was learned: {reason}."]
        return dataclasses.replace(nearest, notes=notes)
    chance = dict(nearest.chance, top1=max(nearest.chance["top1"], learned.chance))
    figures = (
        f"the nearest known image {share(nearest.value)}, what {learnable} labels teach {share(learned.top1)}"
    )
    if learned.top1 <= nearest.value:
        notes = [f"Found by the nearest known image, in the same or more queries; {figures}."]
        return dataclasses.replace(nearest, chance=chance, notes=notes)
    return dataclasses.replace(
        nearest,
        scores={"top1": learned.found.astype(float)},
        chance={"top1": chance["top1"]},
        effort={**nearest.effort, "by": f"learned from {learned.by}"},
        cpu_seconds=nearest.cpu_seconds + learned.cpu_seconds / len(learned.found),
        notes=[f"Found by what was learned from {_WORDS[learned.by]} of patches; {figures}."],
    )


def _record(
    result: LinkageResult, asked: np.ndarray, known: np.ndarray, *, plain_top1: float, **described: str
) -> AttackRecord:
    order = np.argsort(result.distances, axis=1, kind="stable")
    right = known[order] == asked[:, None]
    return AttackRecord(
        kind=LINK,
        measure="top1",
        scores={"top1": right[:, 0].astype(float), "top5": right[:, :5].any(axis=1).astype(float)},
        chance=retrieval_chance(asked, known),
        baselines={"the same on plain pixels": {"top1": plain_top1}},
        effort={"queries": len(asked), "gallery": len(known)},
        cpu_seconds=result.cpu_seconds / len(asked),
        **described,
    )


def _halves(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split images of every label that comes twice or more into queries and gallery, as indices."""
    queries, gallery = [], []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) > 1:
            queries.extend(members[: len(members) // 2])
            gallery.extend(members[len(members) // 2 :])
    return np.array(queries, int), np.array(gallery, int)


def _plain_top1(queries: np.ndarray, gallery: np.ndarray, asked: np.ndarray, known: np.ndarray) -> float:
    """Nearest neighbour on plain thumbnails: what the same question costs without encryption."""
    first, second = (np.stack([_thumbnail(image) for image in images]) for images in (queries, gallery))
    squared = np.square(first).sum(1)[:, None] + np.square(second).sum(1) - 2 * first @ second.T
    return retrieval_scores(squared, asked, known)["top1"]


def _thumbnail(image: np.ndarray) -> np.ndarray:
    small = Image.fromarray(image).resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(small, np.float64).ravel()
