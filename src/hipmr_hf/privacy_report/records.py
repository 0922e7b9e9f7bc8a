"""What an audit keeps of one attacker: scores of every image, chance, baselines, effort and pictures."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..metrics.image_similarity import image_similarity
from ..metrics.likeness import likeness

if TYPE_CHECKING:
    from ..attacks.base import AttackResult

ORDER, PICTURE, LINK, CONTROL, GRADIENT = "order", "picture", "link", "control", "gradient"
"""Kinds of attackers: they put patches in order, draw the picture, find it among others, check the audit, or
read it from gradients."""
PEOPLE = "people"
"""Kind of what is recognised in the pictures of the others: faces, words, scenes."""
TONES = "tones"
"""Kind of what deals tones back to their textures; what is drawn by them is a picture."""

NAMES = {
    "neighbour": "neighbours put back (Nc)",
    "direct": "patches in place (Dc)",
    "largest_component": "largest piece (Lc)",
    "pair_top1": "neighbours found, top-1",
    "adjacent": "adjacent pairs truly adjacent, however turned",
    "neighbour_turned": "neighbours put back, side and turn",
    "side": "sides whose best fit is the true one",
    "partner": "best partner truly beside it",
    "distance": "true distance of adjacent pairs, share of random",
    "dealt_back": "tones dealt back",
    "tone_distance": "distance of the tones, share of random",
    "likeness": "likeness",
    "ssim_aligned": "SSIM, best shift",
    "psnr_aligned": "PSNR, best shift, dB",
    "recovered": "encrypted patches recovered (30 dB or more)",
    "patch_psnr": "PSNR of the encrypted patches, dB",
    "top1": "found first (top-1)",
    "top5": "among the first five",
    "faces_identified": "faces identified",
    "faces_found": "faces found",
    "words_read": "words read",
    "scene_retrieved": "scene retrieved",
}
"""What scores are called in a report, by their names in the code; the ones that it shows."""


@dataclasses.dataclass(frozen=True, eq=False)
class AttackRecord:
    """What one attacker recovered under one setting.

    Args:
        attack: its short name.
        title: what it does, in a few words.
        kind: one of the kinds above.
        knows: what the attacker holds beside the settings.
        measure: the name of the score that counts for the grade.
        scores: by name, one value for each image or query; empty where nothing is measured.
        chance: what guessing gives, by the same names.
        baselines: what comes of no attack, or of a perfect one: by description, then by name.
        effort: steps, training, data.
        cpu_seconds: processor seconds of an image, training excluded.
        search_limited: share of images whose true answer scored better for the attacker than the one it
            found; None where nothing is searched.
        pictures: uint8 reconstructions of the attacked images, in their order; may be none.
        notes: what to know beside the figures.
    """

    attack: str
    title: str
    kind: str
    knows: str
    measure: str
    scores: Mapping[str, Sequence[float]]
    chance: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    effort: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    cpu_seconds: float = 0.0
    search_limited: float | None = None
    pictures: Sequence[np.ndarray] = ()
    notes: Sequence[str] = ()

    @property
    def n(self) -> int:
        """Images or queries behind the scores."""
        return max((len(values) for values in self.scores.values()), default=len(self.pictures))

    @property
    def value(self) -> float:
        """Mean of the score that counts; NaN where nothing is measured."""
        return self.mean(self.measure)

    @property
    def by_chance(self) -> float:
        """What guessing gives for the score that counts."""
        return self.chance.get(self.measure, math.nan)

    def mean(self, name: str) -> float:
        """Mean over images, without those where the score is undefined."""
        values = [value for value in self.scores.get(name, ()) if not math.isnan(value)]
        return float(np.mean(values)) if values else math.nan

    def spread(self, name: str) -> float:
        """Standard deviation over images; NaN below two of them."""
        values = [value for value in self.scores.get(name, ()) if not math.isnan(value)]
        return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values without the pictures; what is undefined is None."""
        scores = {
            name: {
                "mean": self.mean(name),
                "spread": self.spread(name),
                "min": float(min(values)),
                "max": float(max(values)),
            }
            for name, values in self.scores.items()
            if len(values)
        }
        values = {
            "attack": self.attack,
            "title": self.title,
            "kind": self.kind,
            "knows": self.knows,
            "measure": self.measure,
            "n": self.n,
            "scores": scores,
            "chance": dict(self.chance),
            "baselines": {name: dict(found) for name, found in self.baselines.items()},
            "effort": dict(self.effort),
            "cpu_seconds_an_image": self.cpu_seconds,
            "search_limited": self.search_limited,
            "notes": list(self.notes),
        }
        return plain_json(values)


def record_of(
    results: Sequence[AttackResult], plain: np.ndarray, others: np.ndarray, **described: Any
) -> AttackRecord:
    """Gather results of one attacker over images, and measure how like the plain images they look.

    Args:
        results: one for each image.
        plain: uint8 (n, height, width, 3).
        others: uint8 (n, height, width, 3), another photograph for each, to guess with.
        described: further arguments of `AttackRecord`.
    """
    looks = [
        picture_scores(result.reconstruction, image) for result, image in zip(results, plain, strict=True)
    ]
    guessed = picture_chance(plain, others)
    if results[0].chance:
        guessed |= means([result.chance for result in results])
    limited = [result.search_limited for result in results if result.search_limited is not None]
    return AttackRecord(
        scores=by_name([{**result.scores, **look} for result, look in zip(results, looks, strict=True)]),
        chance=guessed,
        cpu_seconds=float(np.mean([result.cpu_seconds for result in results])),
        search_limited=float(np.mean(limited)) if limited else None,
        pictures=[result.reconstruction for result in results],
        **{"effort": dict(results[0].effort), **described},
    )


def picture_scores(found: np.ndarray, plain: np.ndarray) -> dict[str, float]:
    """Likeness, PSNR and SSIM of a reconstruction, brought to the plain image's size first.

    Example:
        >>> plain = np.full((32, 32, 3), 9, np.uint8)
        >>> picture_scores(plain[:16, :16], plain)["psnr"]
        100.0
    """
    found = resized(found, plain.shape[:2])
    return {**likeness(found, plain), **image_similarity(found, plain)}


def picture_chance(plain: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """What guessing scores: another photograph of the sample for likeness, one grey for PSNR and SSIM."""
    scored = []
    for image, other in zip(plain, others, strict=True):
        grey = np.broadcast_to(np.rint(image.mean(axis=(0, 1))).astype(np.uint8), image.shape)
        scored.append({**likeness(other, image), **image_similarity(grey, image)})
    return means(scored)


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (bicubic) a uint8 (height, width, channels) image to (height, width)."""
    if image.shape[:2] == tuple(size):
        return image
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC))


def plain_json(value: Any) -> Any:
    """Turn NumPy's numbers into Python's, and what is not finite into None.

    Example:
        >>> plain_json({"a": np.float32(0.5), "b": [float("nan")]})
        {'a': 0.5, 'b': [None]}
    """
    if isinstance(value, Mapping):
        return {str(name): plain_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain_json(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def by_name(scored: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Turn scores of each image into a list for each score.

    Example:
        >>> by_name([{"psnr": 20.0}, {"psnr": 22.0}])
        {'psnr': [20.0, 22.0]}
    """
    return {name: [one[name] for one in scored] for name in scored[0]}


def means(scored: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average scores of images, name by name.

    Example:
        >>> means([{"psnr": 20.0}, {"psnr": 22.0}])
        {'psnr': 21.0}
    """
    return {name: float(np.mean(values)) for name, values in by_name(scored).items()}
