"""Which of the owner's images are attacked, which are candidates, and which an attacker may learn from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputValueError

if TYPE_CHECKING:
    from .bench import Effort

_MIN_IMAGES = 2
_OWN = "others of the owner's images, none of them attacked"
_LEARNING_SHARE = 0.5
LEAST_TO_LEARN_FROM = 4
"""Images below which nothing is fitted."""
TOO_FEW_TO_FIT_ON = (
    f"fewer than {LEAST_TO_LEARN_FROM} images are left to fit it on; give others (--attacker-images)"
)
FITTED_ON = 60
"""Images of another source that attackers are fitted on where none is trained."""


def to_learn_from(
    attacker_images: Sequence[np.ndarray], candidates: Sequence[np.ndarray], attacked: int
) -> Sequence[np.ndarray]:
    """Return the images set apart for attackers, or else, where those are too few, mere candidates.

    Args:
        attacker_images: none of them is attacked.
        candidates: the first `attacked` ones are attacked.
        attacked: how many.
    """
    return attacker_images if len(attacker_images) >= LEAST_TO_LEARN_FROM else candidates[attacked:]


@dataclasses.dataclass(frozen=True, eq=False)
class AuditSample:
    """The images of an audit.

    Args:
        attacked: uint8 (height, width, 3) each.
        candidates: the attacked ones first, then others among which they are looked for.
        labels: (len(candidates),) whole numbers; None without labels.
        attacker_images: none of them is attacked.
        attacker_source: where those come from, in words.
        available: images that the sample was drawn from.
    """

    attacked: Sequence[np.ndarray]
    candidates: Sequence[np.ndarray]
    labels: np.ndarray | None
    attacker_images: Sequence[np.ndarray]
    attacker_source: str
    available: int

    @property
    def not_attacked(self) -> Sequence[np.ndarray]:
        """Images that attackers may learn from: those set apart for them, or else mere candidates."""
        return to_learn_from(self.attacker_images, self.candidates, len(self.attacked))

    def described(self) -> dict[str, Any]:
        """Tell counts and sizes, and nothing that names an image."""
        sides = np.array([image.shape[:2] for image in self.attacked])
        return {
            "available": self.available,
            "attacked": len(self.attacked),
            "candidates": len(self.candidates),
            "labels": 0 if self.labels is None else len(np.unique(self.labels)),
            "attacker_images": len(self.attacker_images),
            "attacker_source": self.attacker_source,
            "median_height": int(np.median(sides[:, 0])),
            "median_width": int(np.median(sides[:, 1])),
        }


def draw_sample(
    images: Sequence[np.ndarray],
    labels: Sequence[Any] | None,
    attacker_images: Sequence[np.ndarray] | None,
    *,
    effort: Effort,
    seed: int,
) -> AuditSample:
    """Share images out at random.

    Args:
        images: uint8 (height, width, 3) each.
        labels: one for each image, or None.
        attacker_images: of another source; by default images that are not attacked, half of all at least
            where there are few.
        effort: how many of each.
        seed: of the draw.

    Raises:
        ValueError: fewer than 2 images, or labels of another number.

    Example:
        >>> from hipmr_hf.privacy_report import FULL
        >>> sample = draw_sample([np.zeros((8, 8, 3), np.uint8)] * 10, None, None, effort=FULL, seed=0)
        >>> len(sample.attacked), len(sample.attacker_images)
        (5, 5)
    """
    if len(images) < _MIN_IMAGES:
        raise InputValueError(
            f"images: got {len(images)}, expected {_MIN_IMAGES} or more; an audit of less tells nothing."
        )
    if labels is not None and len(labels) != len(images):
        raise InputValueError(
            f"labels: got {len(labels)}, expected one for each of the {len(images)} images."
        )
    order = np.random.default_rng(seed).permutation(len(images))
    attacked = min(effort.images, len(images))
    own = attacker_images is None
    if own and effort.attacker_images:
        attacked = min(attacked, max(1, int(len(images) * (1 - _LEARNING_SHARE))))
    candidates = order[: max(attacked, min(effort.candidates, len(images)))]
    # Images that are only candidates may be learned from where there are no others: nobody draws them.
    learned = order[attacked:][::-1][: effort.attacker_images] if own else []
    codes = None
    if labels is not None:  # pictures with several classes share a label if they share all of them
        told = [str(sorted(label)) if isinstance(label, list) else label for label in labels]
        codes = np.unique(np.asarray(told), return_inverse=True)[1][candidates]
    return AuditSample(
        [images[number] for number in order[:attacked]],
        [images[number] for number in candidates],
        codes,
        [images[number] for number in learned]
        if own
        else list(attacker_images)[: max(effort.attacker_images, FITTED_ON)],
        _OWN if own else "images of another source",
        len(images),
    )
