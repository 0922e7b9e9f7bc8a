"""The attack on tones that were dealt out: which texture had which tone, and the picture drawn by it.

Two clues tell of a texture's own tone: that its pixels were whole numbers under it (`comb`), and what other
pictures teach (`regression`). Where textures keep their places, the tones around one are a third (`places`).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ...errors import InputValueError
from ..base import AttackResult, encrypt_with_truth, join_patches, split_mosaic
from . import regression
from .comb import rounding_odds
from .places import around, balanced, smoothed
from .regression import Picture, Regression, learned_odds, measure_tones, precision_of

if TYPE_CHECKING:
    from ...encryption.base import Encryption

STRENGTHS = (0.0, 0.1, 0.25, 0.5, 1.0)
"""Of what stands around; the best on pictures that the regression did not learn from is taken."""
LEAST_PICTURES = 2
_KEPT = 4  # every so many-th picture tells how far the regression is out
_TRIED = 8  # pictures on which strengths are tried
_LEAST_CONTRAST = 0.7  # grey levels: less is rounding


@dataclasses.dataclass(frozen=True, eq=False)
class TonesResult(AttackResult):
    """What the attack found.

    Args:
        holders: int (num_patches,), for each patch the one that has its tone, as far as can be told.
    """

    holders: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class TonesAttacker:
    """Deals tones back under one setting; made by `fit_tones`.

    Args:
        encryption: the settings under attack.
        regression: which tones go with which textures.
        precision: of a tone about the mean of those around it; None where patches leave their places.
        strength: how much what stands around counts.
        effort: what fitting took.
    """

    encryption: Encryption
    regression: Regression
    precision: np.ndarray | None = None
    strength: float = 0.0
    effort: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __call__(self, encrypted: np.ndarray, holders: np.ndarray | None = None) -> TonesResult:
        """Attack one image.

        Args:
            encrypted: uint8 (height, width, channels) as encrypted.
            holders: (num_patches,) for each patch the one that has its tone, for scores alone.

        Returns:
            The encrypted picture with the tones that are expected of each texture. Scores: see `tone_scores`.
        """
        started, size = time.process_time(), self.encryption.encrypted_patch_size
        patches, shape = split_mosaic(encrypted, size), shape_of(encrypted, size)
        odds = self.odds(patches, shape)
        found = assigned(odds)
        picture = _picture(patches, balanced(odds), shape)
        result = TonesResult(
            "tones", picture, time.process_time() - started, effort=dict(self.effort), holders=found
        )
        if holders is None:
            return result
        scores, chance = tone_scores(found, holders, patches)
        return dataclasses.replace(result, scores=scores, chance=chance)

    def drawn(self, encrypted: np.ndarray, holders: np.ndarray) -> np.ndarray:
        """Draw the encrypted picture with each tone where it belongs: the best that dealing back can give."""
        size = self.encryption.encrypted_patch_size
        patches = split_mosaic(encrypted, size)
        return _picture(patches, np.eye(len(patches))[holders], shape_of(encrypted, size))

    def odds(self, patches: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Tell how much likelier than by chance each tone is a texture's own: (num_patches, num_patches)."""
        odds = own_odds(patches, self.encryption, self.regression)
        if self.precision is None:
            return odds
        return smoothed(odds, measure_tones(patches), self.precision, shape, self.strength)


def fit_tones(
    encryption: Encryption,
    photos: Sequence[np.ndarray],
    *,
    progress: Callable[[float, str], None] = lambda share, text: None,
) -> TonesAttacker:
    """Learn from pictures that are not attacked which tones go with which textures.

    Args:
        encryption: the settings under attack, with `shuffle_tones`.
        photos: uint8 (height, width, channels) each, as `encryption.prepare` makes them. Every fourth is kept
            to tell how far the regression is out and how much what stands around counts.
        progress: called with the share that is done, and a text.

    Raises:
        ValueError: settings that deal no tones out, or fewer than two pictures.

    Example:
        >>> from hipmr_hf import MixingUp
        >>> settings = MixingUp(image_size=64, patch_size=16, shuffle_tones=True)
        >>> rng = np.random.default_rng(0)
        >>> photos = rng.integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
        >>> attacker = fit_tones(settings, photos)
        >>> sorted(attacker(settings.encrypt_batch(photos[:1])[0]).holders.tolist())[:4]
        [0, 1, 2, 3]
    """
    if not encryption.shuffle_tones:
        raise InputValueError("encryption: got settings without shuffle_tones, expected tones dealt out.")
    if len(photos) < LEAST_PICTURES:
        raise InputValueError(f"photos: got {len(photos)}, expected {LEAST_PICTURES} or more to learn from.")
    started, (pictures, shape) = time.process_time(), _encrypted(encryption, photos)
    learned, kept = [one for number, one in enumerate(pictures) if number % _KEPT], pictures[::_KEPT]
    progress(0.2, "")
    fitted = regression.fit(learned, kept)
    progress(0.8, "")
    attacker = TonesAttacker(encryption, fitted)
    if encryption.strategy == "mi":
        attacker = _with_places(attacker, learned, kept[:_TRIED], shape)
    seconds = time.process_time() - started
    return dataclasses.replace(attacker, effort={"cpu_seconds": seconds, "source_images": len(photos)})


def own_odds(patches: np.ndarray, encryption: Encryption, fitted: Regression) -> np.ndarray:
    """Add up both clues that a texture gives by itself: (num_patches, num_patches), texture by tone."""
    return rounding_odds(patches, encryption.sub_patch_grid**2) + learned_odds(patches, fitted)


def assigned(odds: np.ndarray) -> np.ndarray:
    """Give each texture a tone of its own, so that the odds add up to most: (num_patches,)."""
    return linear_sum_assignment(-odds)[1]


def redrawn(patches: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Give textures the tones that are expected of them.

    Args:
        patches: uint8 (num_patches, size, size, channels).
        shares: (num_patches, num_patches), of each tone for each texture; rows add up to one.
    """
    values = patches.astype(np.float64)
    mean, contrast = values.mean(axis=(1, 2)), values.std(axis=(1, 2))
    texture = (values - mean[:, None, None]) / np.maximum(contrast, _LEAST_CONTRAST)[:, None, None]
    drawn = (shares @ mean)[:, None, None] + (shares @ contrast)[:, None, None] * texture
    return np.rint(drawn).clip(0, 255).astype(np.uint8)


def tone_scores(
    found: np.ndarray, holders: np.ndarray, patches: np.ndarray
) -> tuple[dict[str, float], dict[str, float]]:
    """Tell how many tones were dealt back, and how far off the others are.

    Args:
        found: (num_patches,), for each patch the one whose tone it was given.
        holders: (num_patches,), the one that truly has its tone; of equal tones any one is right.
        patches: uint8 (num_patches, size, size, channels).

    Returns:
        Scores and chance of dealt_back, a share, and tone_distance, mean distance of the tones from the true
        ones in units of what dealing at random gives.

    Example:
        >>> patches = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1) * np.ones((1, 2, 2, 1), np.uint8)
        >>> tone_scores(np.array([1, 0, 2, 3]), np.arange(4), patches)[0]["dealt_back"]
        0.5
    """
    tones = measure_tones(patches)
    apart = np.linalg.norm(tones[holders][:, None] - tones, axis=2)
    off, random = apart[np.arange(len(found)), found], max(1e-9, apart.mean())
    scores = {"dealt_back": float((off == 0).mean()), "tone_distance": float(off.mean() / random)}
    return scores, {"dealt_back": float((apart == 0).mean()), "tone_distance": 1.0}


def _picture(patches: np.ndarray, shares: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return join_patches(redrawn(patches, shares), np.arange(len(patches)), shape)


def shape_of(encrypted: np.ndarray, patch_size: int) -> tuple[int, int]:
    """Tell the rows and columns of encrypted patches of this width."""
    return encrypted.shape[0] // patch_size, encrypted.shape[1] // patch_size


def _encrypted(encryption: Encryption, photos: Sequence[np.ndarray]) -> tuple[list[Picture], tuple[int, int]]:
    sample, size = encrypt_with_truth(encryption, np.stack(photos)), encryption.encrypted_patch_size
    pictures = [
        (split_mosaic(image, size), own)
        for image, own in zip(sample.images, sample.tone_holders, strict=True)
    ]
    return pictures, shape_of(sample.images[0], size)


def _with_places(
    attacker: TonesAttacker, learned: Sequence[Picture], kept: Sequence[Picture], shape: tuple[int, int]
) -> TonesAttacker:
    """Measure how alike tones beside each other are, and choose how much that counts."""
    true = [measure_tones(patches)[own] for patches, own in learned]
    precision = precision_of(np.concatenate([tones - around(tones, shape) for tones in true]))
    odds = [own_odds(patches, attacker.encryption, attacker.regression) for patches, _ in kept]

    def distance(strength: float) -> float:
        found = [
            assigned(smoothed(one, measure_tones(patches), precision, shape, strength))
            for one, (patches, _) in zip(odds, kept, strict=True)
        ]
        told = [tone_scores(one, own, patches) for one, (patches, own) in zip(found, kept, strict=True)]
        return float(np.mean([scores["tone_distance"] for scores, _ in told]))

    return dataclasses.replace(attacker, precision=precision, strength=min(STRENGTHS, key=distance))
