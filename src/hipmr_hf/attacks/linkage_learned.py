"""Find who, or what, an encrypted picture shows, from a few encrypted pictures of each with their labels.

No order is put back. Every patch is described by its tone and by what turning does not change of its texture;
a picture by these at their places, where patches keep them, and by their distribution, where they do not. A
linear discriminant (Fisher 1936; shrinkage of Ledoit and Wolf 2004) learns from the labelled pictures what
tells one label from another.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import InputValueError, check_extra
from .base import split_mosaic

if TYPE_CHECKING:
    from ..encryption.base import Encryption

COMPONENTS = (40, 80, 140)
"""Components among which cross-validation chooses."""
QUANTILES = 48
_FOLDS = 5
_MOST_RATIO = 100.0
_FLAT = 2.0  # grey levels of contrast below which a texture is rounding


class LabelledLink(NamedTuple):
    """How well encrypted pictures were linked to labels."""

    found: np.ndarray
    """bool (num_queries,): whether the label that was guessed is the right one."""
    by: str
    """What the attacker compared: "textures", "tones" or "both", as cross-validation chose."""
    each: dict[str, float]
    """Share of queries that each of these finds."""
    chance: float
    """What guessing the most frequent of the known labels gives."""
    cpu_seconds: float

    @property
    def top1(self) -> float:
        """Share of queries that were linked."""
        return float(self.found.mean())


def link_labelled(
    known: np.ndarray,
    known_labels: np.ndarray,
    queries: np.ndarray,
    query_labels: np.ndarray,
    *,
    encryption: Encryption,
) -> LabelledLink:
    """Learn labels from encrypted pictures, and guess those of others.

    Args:
        known: uint8 (num_known, height, width, channels), encrypted, two or more of each label.
        known_labels: (num_known,) whole numbers.
        queries: uint8 (num_queries, height, width, channels), encrypted.
        query_labels: (num_queries,) whole numbers, for scores alone.
        encryption: the settings of all of them.

    Raises:
        ValueError: fewer than two labels, or a label with one picture.
        MissingExtraError: the extra `audit` is not installed.

    Example:
        >>> from hipmr_hf import MixingUp
        >>> settings, rng = MixingUp(image_size=32, patch_size=8), np.random.default_rng(0)
        >>> plain = rng.integers(0, 60, (12, 32, 32, 3), dtype=np.uint8)
        >>> plain[::2] += 150
        >>> labels, mixed = np.arange(12) % 2, settings.encrypt_batch(plain)
        >>> link_labelled(mixed[:8], labels[:8], mixed[8:], labels[8:], encryption=settings).top1
        1.0
    """
    check_extra("learning to link", "audit", "sklearn")
    known_labels, query_labels = np.asarray(known_labels), np.asarray(query_labels)
    labels, counts = np.unique(known_labels, return_counts=True)
    if len(labels) < 2 or counts.min() < 2:
        raise InputValueError(
            f"known_labels: got {len(labels)} labels, the rarest {counts.min()} times, expected two or more "
            "of two or more pictures each."
        )
    started = time.process_time()
    described = [picture_features(images, encryption) for images in (known, queries)]
    guessed, sure = {}, {}
    for name in described[0]:
        learned_from, asked = described[0][name], described[1][name]
        tried = _cross_validated(learned_from, known_labels, int(min(_FOLDS, counts.min())))
        components = max(tried, key=lambda number: tried[number])
        guessed[name] = _guesses(learned_from, known_labels, asked, (components,))[components]
        sure[name] = tried[components]
    best = max(sure, key=lambda name: sure[name])
    each = {name: float((guess == query_labels).mean()) for name, guess in guessed.items()}
    seconds = time.process_time() - started
    chance = counts.max() / counts.sum()
    return LabelledLink(guessed[best] == query_labels, best, each, float(chance), seconds)


def picture_features(images: np.ndarray, encryption: Encryption) -> dict[str, np.ndarray]:
    """Describe encrypted pictures by what their settings leave.

    Args:
        images: uint8 (batch, height, width, channels), encrypted.
        encryption: their settings.

    Returns:
        float64 (batch, features) by name: "textures", "tones" (under normalization what dividing left of
        them) and "both".

    Example:
        >>> from hipmr_hf import RandomShuffling
        >>> settings = RandomShuffling(image_size=32, patch_size=8, patch_normalization=True)
        >>> sorted(picture_features(np.zeros((2, 32, 32, 3), np.uint8), settings))
        ['both', 'textures', 'tones']
    """
    size = encryption.encrypted_patch_size
    pieces = np.stack([split_mosaic(image, size) for image in images]).astype(np.float64)
    means, spreads = pieces.mean(axis=(2, 3)), pieces.std(axis=(2, 3))  # (batch, patches, channels)
    grey = pieces.mean(axis=4)
    textures = _texture_features(grey)  # (batch, patches, features)
    in_places = encryption.strategy == "mi"
    found = {"textures": _told(textures, in_places)}
    tones = np.concatenate([means, spreads, np.log(spreads + 1)], axis=2)
    found["tones"] = _told(tones, in_places and not encryption.shuffle_tones)
    return found | {"both": np.concatenate([found["textures"], found["tones"]], axis=1)}


def _texture_features(grey: np.ndarray) -> np.ndarray:
    """What turns do not change: the spectrum by radius, moments, gradients; (batch, patches, features)."""
    spread = grey.std(axis=(2, 3), keepdims=True)
    flat = (grey - grey.mean(axis=(2, 3), keepdims=True)) / np.maximum(spread, _FLAT)
    size = grey.shape[-1]
    moments = [(flat**3).mean(axis=(2, 3)), (flat**4).mean(axis=(2, 3))]
    if size < 2:
        return np.stack(moments, axis=-1)
    power = np.abs(np.fft.fft2(flat, axes=(2, 3))) ** 2
    steps = np.fft.fftfreq(size) * size
    radius = np.rint(np.hypot(steps[:, None], steps[None])).astype(int)
    rings = [np.log(power[..., radius == ring].mean(axis=-1) + 0.1) for ring in range(1, size // 2 + 1)]
    across, down = (np.abs(np.diff(flat, axis=axis)).mean(axis=(2, 3)) for axis in (3, 2))
    return np.stack([*rings, *moments, across + down, np.abs(across - down)], axis=-1)


def _told(features: np.ndarray, in_places: bool) -> np.ndarray:
    """At their places, or their distribution and how they go together: (batch, features)."""
    batch, patches, _ = features.shape
    shares = np.linspace(0, 1, min(QUANTILES, patches))
    quantiles = np.moveaxis(np.quantile(features, shares, axis=1), 0, 1).reshape(batch, -1)
    if in_places:
        return np.concatenate([features.reshape(batch, -1), quantiles], axis=1)
    centred = features - features.mean(axis=1, keepdims=True)
    together = np.einsum("npi,npj->nij", centred, centred) / patches
    upper = np.triu_indices(features.shape[2])
    return np.concatenate([quantiles, together[:, upper[0], upper[1]]], axis=1)


def _guesses(
    known: np.ndarray, labels: np.ndarray, asked: np.ndarray, components: tuple[int, ...]
) -> dict[int, np.ndarray]:
    """Guess labels after reducing the features to so many components, for each of these numbers."""
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.feature_selection import f_classif

    mean, spread = known.mean(axis=0), known.std(axis=0)
    kept = spread > 1e-9 * (np.abs(mean) + 1)
    known, asked = ((side[:, kept] - mean[kept]) / spread[kept] for side in (known, asked))
    # Features that differ within a label as much as between labels, such as those of a flat background, go.
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = f_classif(known, labels)[0]
    ratio = np.clip(np.nan_to_num(ratio, posinf=_MOST_RATIO), 1, _MOST_RATIO)
    weights = np.sqrt(ratio - 1)
    most = min(max(components), len(known) - 1, int((weights > 0).sum()))
    if most < 1:  # nothing tells labels apart
        return dict.fromkeys(components, np.full(len(asked), labels[0]))
    reduced = PCA(most, whiten=True, random_state=0).fit(known * weights)
    sides = [reduced.transform(side * weights) for side in (known, asked)]
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    return {
        number: model.fit(sides[0][:, :number], labels).predict(sides[1][:, :number]) for number in components
    }


def _cross_validated(features: np.ndarray, labels: np.ndarray, folds: int) -> dict[int, float]:
    """Share of known pictures that the others link, by components: what the attacker can measure himself."""
    from sklearn.model_selection import StratifiedKFold

    right = {number: np.zeros(len(labels)) for number in COMPONENTS}
    for learn, test in StratifiedKFold(folds, shuffle=True, random_state=0).split(features, labels):
        guesses = _guesses(features[learn], labels[learn], features[test], COMPONENTS)
        for number, guess in guesses.items():
            right[number][test] = guess == labels[test]
    return {number: float(found.mean()) for number, found in right.items()}
