"""What every attacker of an audit gets: encrypted images with their truth, and how hard it may try."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..attacks.base import EncryptedSample, encrypt_with_truth
from ..errors import InputValueError

if TYPE_CHECKING:
    from ..encryption.base import Encryption

AUDITED_SIDE = 224
"""Shorter side, in pixels, at which settings that keep each image's own size are audited."""


BLIND_IMAGES = 4
"""Encrypted images that are attacked where nothing can be measured; large ones take long."""


@dataclasses.dataclass(frozen=True)
class Effort:
    """How hard an audit tries.

    Args:
        name: what the report calls it.
        images: images that are attacked one by one.
        candidates: images among which an encrypted one is looked for.
        attacker_images: other images that trained attackers may learn from.
        rounds: annealing runs of the jigsaw solver.
        steps: moves of a run and patch.
        smoothing_steps: rounds of the inversion of mixed-up images.
        shared_images: images of the control that shares one permutation.
        training_seconds: processor seconds for each trained attacker; 0 trains none.
        gradient_steps: steps of the recovery of inputs from gradients; 0 leaves it out.
        boosting_trees: of each round of the pair scores that turns do not change; 0 leaves them out.
        side_images: other images on which it is learned how to weigh the sides of whole turned patches.
    """

    name: str
    images: int
    candidates: int
    attacker_images: int
    rounds: int
    steps: int
    smoothing_steps: int
    shared_images: int
    training_seconds: float
    gradient_steps: int
    boosting_trees: int = 0
    side_images: int = 6


QUICK = Effort("quick", 6, 24, 0, 3, 3000, 60, 8, 0.0, 0, 50, 6)
"""At most two minutes of one core for a setting at 224 pixels; no network is trained, and those find more."""

FULL = Effort("full", 12, 60, 400, 3, 5000, 100, 30, 120.0, 100, 150, 24)
"""Several minutes for each setting: every attacker, the trained ones with two minutes of one core each."""

EFFORTS = {effort.name: effort for effort in (QUICK, FULL)}


def effort_of(effort: str | Effort, num_images: int | None = None) -> Effort:
    """Look an effort up by its name, and let another number of images be attacked.

    Args:
        effort: "quick", "full" or an `Effort`.
        num_images: images that are attacked one by one; None for the effort's own number.

    Raises:
        ValueError: an unknown effort, or no images.

    Example:
        >>> effort_of("quick", 2).images
        2
    """
    if isinstance(effort, str):
        if effort not in EFFORTS:
            raise InputValueError(f"effort: got {effort!r}, expected {' or '.join(map(repr, EFFORTS))}.")
        effort = EFFORTS[effort]
    if num_images is None:
        return effort
    if num_images < 1:
        raise InputValueError(f"num_images: got {num_images}, expected 1 or more images to attack.")
    return dataclasses.replace(effort, images=num_images, candidates=max(num_images, effort.candidates))


def blind_effort(effort: str | Effort, num_images: int | None = None) -> Effort:
    """Look an effort up for encrypted images without their plain originals; each of them is drawn.

    Args:
        effort: as in `effort_of`.
        num_images: images that are attacked; by default at most `BLIND_IMAGES`.

    Example:
        >>> blind_effort("full").images, blind_effort("full", 9).images
        (4, 9)
    """
    effort = effort_of(effort)
    return effort_of(effort, min(effort.images, BLIND_IMAGES) if num_images is None else num_images)


@dataclasses.dataclass(frozen=True, eq=False)
class Bench:
    """One setting under audit.

    Args:
        encryption: the setting; of fixed size.
        plain: uint8 (n, height, width, 3), the attacked images as the encryption prepares them.
        sample: them encrypted with fresh randomness, with the truth.
        candidates: uint8 (m, height, width, 3), prepared; the first n are the attacked ones.
        labels: (m,) whole numbers, what the candidates show; None without labels.
        attacker_images: uint8 (height, width, 3) each, of any size; none of them is attacked.
        effort: how hard attackers try.
        seed: of searches and trainings; never of a permutation.
        inside: called with the share that the running attacker has done, and a text.
    """

    encryption: Encryption
    plain: np.ndarray
    sample: EncryptedSample
    candidates: np.ndarray
    labels: np.ndarray | None
    attacker_images: Sequence[np.ndarray]
    effort: Effort
    seed: int
    inside: Callable[[float, str], None]

    @property
    def others(self) -> np.ndarray:
        """For each attacked image another photograph, as a guess: uint8 (n, height, width, 3)."""
        return np.roll(self.candidates, -1, axis=0)[: len(self.plain)]

    @property
    def shuffled(self) -> bool:
        """Whether patches leave their places, so that there is a puzzle to solve."""
        return self.sample.positions is not None


def set_up(
    encryption: Encryption,
    candidates: Sequence[np.ndarray],
    labels: np.ndarray | None,
    attacker_images: Sequence[np.ndarray],
    *,
    effort: Effort,
    seed: int,
    inside: Callable[[float, str], None] = lambda share, text: None,
) -> Bench:
    """Prepare and encrypt a sample for one setting.

    Args:
        encryption: the setting, `at_fixed_size`.
        candidates: uint8 (height, width, 3) each; the first `effort.images` are attacked.
        labels, attacker_images, effort, seed, inside: as in `Bench`.

    Example:
        >>> from hipmr_hf import RandomShuffling
        >>> settings = RandomShuffling(image_size=32, patch_size=16)
        >>> bench = set_up(settings, [np.zeros((40, 50, 3), np.uint8)] * 7, None, [], effort=QUICK, seed=0)
        >>> bench.plain.shape, bench.candidates.shape, bench.shuffled
        ((6, 32, 32, 3), (7, 32, 32, 3), True)
    """
    prepared = np.stack([encryption.prepare(image) for image in candidates])
    plain = prepared[: effort.images]
    sample = encrypt_with_truth(encryption, plain)
    return Bench(encryption, plain, sample, prepared, labels, attacker_images, effort, seed, inside)


def at_fixed_size(encryption: Encryption, images: Sequence[np.ndarray]) -> Encryption:
    """Give settings that keep each image's own size one size for all, so that attackers can learn from many.

    Args:
        encryption: any settings; those of a fixed size come back as they are.
        images: uint8 (height, width, 3) each, the sample.

    Returns:
        Settings with the shape of the median image, its shorter side at most `AUDITED_SIDE`, whole patches.

    Example:
        >>> from hipmr_hf import MixingUp
        >>> at_fixed_size(MixingUp(patch_size=16), [np.zeros((448, 640, 3), np.uint8)]).image_size
        (224, 320)
    """
    if isinstance(encryption.image_size, int | tuple):
        return encryption
    height, width = np.median([image.shape[:2] for image in images], axis=0)
    scale = min(1.0, AUDITED_SIDE / min(height, width))
    patch = encryption.patch_size
    whole = tuple(max(patch, round(side * scale) // patch * patch) for side in (height, width))
    return dataclasses.replace(encryption, image_size=whole)


def described(encryption: Encryption) -> str:
    """Name settings in a line.

    Example:
        >>> from hipmr_hf import MixingUp, RandomShuffling
        >>> described(RandomShuffling(interval=4, drop_ratio=0.25, sub_patch_grid=2))
        'RS+MI, 224x224, patch 16, interval 4, drop 0.25, grid 2'
        >>> described(MixingUp(patch_normalization=True))
        'MI, own size, patch 16, grid 2, normalization'
    """
    shuffled = encryption.strategy == "rs"
    kind = {(True, False): "RS", (True, True): "RS+MI"}.get((shuffled, encryption.sub_patch_grid > 1), "MI")
    size = encryption.image_size
    height, width = size if isinstance(size, tuple) else (size, size)
    words = [kind, f"{height}x{width}" if isinstance(height, int) else "own size"]
    words.append(f"patch {encryption.patch_size}")
    if shuffled and encryption.interval:
        words.append(f"interval {encryption.interval}")
    if shuffled and encryption.drop_ratio:
        words.append(f"drop {encryption.drop_ratio:g}")
    words += [f"grid {encryption.sub_patch_grid}"] * (encryption.sub_patch_grid > 1)
    words += ["symmetries"] * encryption.sub_patch_symmetries
    words += ["normalization"] * encryption.patch_normalization
    words += ["tones apart"] * encryption.shuffle_tones
    return ", ".join(words)
