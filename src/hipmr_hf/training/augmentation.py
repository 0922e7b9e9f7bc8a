"""Training augmentations that work on encrypted images, on whole batches and on any device.

Flipping or turning every patch of an RS image gives a set model the logits of the flipped or turned plain
image; an MI image can be flipped or turned as a whole. Mixup and label smoothing need no plain image either.
Random crops and RandAugment do: they belong to the data owner, before the encryption.
"""

import dataclasses
from typing import Literal

import torch
import torch.nn.functional as F

from ..errors import InputValueError

Turns = Literal["none", "flips", "symmetries"]

# Index of a symmetry of the square: bit 2 transposes, then bit 1 flips rows, then bit 0 flips columns.
_CHOICES: dict[str, range] = {"none": range(1), "flips": range(2), "symmetries": range(8)}


def turn_patches(
    images: torch.Tensor, symmetries: torch.Tensor, *, patch_size: int | None = None
) -> torch.Tensor:
    """Apply one symmetry of the square to every patch of an image.

    Args:
        images: (batch, channels, height, width), whole patches.
        symmetries: (batch,) integers 0..7; 1 is the horizontal flip.
        patch_size: width of an encrypted patch for RS images; None turns the image as a whole, as MI images
            and plain ones need it.

    Returns:
        Images of the same shape.

    Raises:
        ValueError: `symmetries` transposes whole images that are not square, or patches do not fit.

    Example:
        >>> image = torch.arange(8.0).reshape(1, 1, 2, 4)
        >>> turn_patches(image, torch.tensor([1]), patch_size=2)[0, 0]
        tensor([[1., 0., 3., 2.],
                [5., 4., 7., 6.]])
    """
    batch, channels, height, width = images.shape
    side = (height, width) if patch_size is None else (patch_size, patch_size)
    if side[0] != side[1] and bool((symmetries >= 4).any()):
        raise InputValueError(
            f"images: got {height}x{width} pixels, which cannot be turned by 90 degrees as a whole; "
            "use 'flips' instead of 'symmetries', or name the patch_size of an RS image."
        )
    if height % side[0] or width % side[1]:
        raise InputValueError(
            f"images: got {height}x{width} pixels, which are not whole patches of {patch_size}."
        )
    grid = images.reshape(batch, channels, height // side[0], side[0], width // side[1], side[1])
    turned = grid.clone()
    for symmetry in range(1, 8):
        chosen = (symmetries == symmetry).nonzero().squeeze(1)
        if len(chosen):
            turned[chosen] = _turn(grid[chosen], symmetry)
    return turned.reshape(images.shape)


def _turn(grid: torch.Tensor, symmetry: int) -> torch.Tensor:
    if symmetry & 4:
        grid = grid.transpose(3, 5)
    axes = [axis for bit, axis in ((2, 3), (1, 5)) if symmetry & bit]
    return grid.flip(axes) if axes else grid


def mixup(
    images: torch.Tensor, targets: torch.Tensor, *, alpha: float, generator: torch.Generator | None = None
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Blend a batch with its own reverse: lam * batch + (1 - lam) * reversed batch, lam ~ Beta(alpha, alpha).

    On RS images this blends patches from different places of the two plain images.

    Args:
        images: (batch, channels, height, width).
        targets: class probabilities (batch, num_labels).
        alpha: > 0; the recipe of DeiT uses 0.8.
        generator: for tests; by default torch's own.

    Returns:
        Images, targets and lam.
    """
    # torch's Beta takes no generator; a ratio of two Gamma draws is the same.
    shape = torch.full((2,), alpha, dtype=torch.float64)
    gammas = torch._standard_gamma(shape, generator=generator)
    lam = float(gammas[0] / gammas.sum())
    return torch.lerp(images.flip(0), images, lam), torch.lerp(targets.flip(0), targets, lam), lam


@dataclasses.dataclass(frozen=True)
class EncryptedAugmentation:
    """The parts of the DeiT recipe that need no plain image, for one training batch at a time.

    Args:
        num_labels: number of classes.
        turns: "none", "flips" (left-right) or "symmetries" (all 8, for views from above).
        patch_size: width of an encrypted patch for RS images, None for MI and plain ones.
        mixup_alpha: see `mixup`; 0 turns it off.
        label_smoothing: share of the target spread over all classes; in a multi-label problem, over yes and
            no of each class.
        problem_type: as in transformers. Numbers are mixed as pictures are, and cannot be smoothed.

    Example:
        >>> augment = EncryptedAugmentation(num_labels=3, turns="flips", patch_size=2, label_smoothing=0.3)
        >>> batch = augment({"pixel_values": torch.zeros(2, 3, 4, 4), "labels": torch.tensor([0, 2])})
        >>> batch["labels"]
        tensor([[0.8000, 0.1000, 0.1000],
                [0.1000, 0.1000, 0.8000]])
    """

    num_labels: int
    turns: Turns = "none"
    patch_size: int | None = None
    mixup_alpha: float = 0.0
    label_smoothing: float = 0.0
    problem_type: str = "single_label_classification"

    def __post_init__(self) -> None:
        if self.label_smoothing and self.problem_type == "regression":
            raise InputValueError(
                f"label_smoothing: got {self.label_smoothing}, but numbers cannot be smoothed; leave it out."
            )
        if self.turns not in _CHOICES:
            raise InputValueError(
                f"turns: got {self.turns!r}, expected one of {', '.join(map(repr, _CHOICES))}."
            )
        if self.mixup_alpha < 0:
            raise InputValueError(
                f"mixup_alpha: got {self.mixup_alpha}, expected a number >= 0; 0 turns it off."
            )
        if not 0 <= self.label_smoothing < 1:
            raise InputValueError(
                f"label_smoothing: got {self.label_smoothing}, expected 0 <= label_smoothing < 1."
            )

    def __call__(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Augment `pixel_values` and turn `labels` (batch,) into probabilities (batch, num_labels).

        Labels of other problems have that shape already.

        A batch with `teacher_logits` is not mixed, for the teacher saw each image alone.
        """
        images, labels = batch["pixel_values"], batch["labels"]
        one_class = self.problem_type == "single_label_classification"
        targets = F.one_hot(labels, self.num_labels).to(images.dtype) if one_class else labels
        uniform = 1 / self.num_labels if one_class else 0.5
        targets = targets * (1 - self.label_smoothing) + self.label_smoothing * uniform
        choices = _CHOICES[self.turns]
        if len(choices) > 1:
            symmetries = torch.randint(len(choices), (len(images),), device=images.device)
            images = turn_patches(images, symmetries, patch_size=self.patch_size)
        if self.mixup_alpha and "teacher_logits" not in batch:
            images, targets, _ = mixup(images, targets, alpha=self.mixup_alpha)
        return {**batch, "pixel_values": images, "labels": targets}
