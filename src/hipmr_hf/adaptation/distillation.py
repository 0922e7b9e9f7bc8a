"""Features of a teacher that sees plain public pictures, learnt by a student that sees their encryption."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

if TYPE_CHECKING:
    from ..encryption.base import Encryption
    from ..models.image_processing_pevit import PEViTImageProcessorPil

_BATCH = 32
_LEAST_DEVIATION = 1e-3  # of a number of the features, as a share of the mean one


class PublicPictures(torch.utils.data.Dataset):
    """Public pictures, encrypted for the student, beside what the teacher says of each.

    A picture is encrypted anew in every epoch, so that no order is learnt by heart. Seed, epoch and picture
    alone decide how, so that a killed run goes on as if nothing had happened. Whoever knows the seed can undo
    it, which a picture that may be seen plain does not mind.

    Args:
        images: uint8 (height, width, 3) each; the teacher saw them plain, so they must need no protection.
        encryption: the student's.
        processor: the student's.
        targets: (pictures, 2 * hidden_size), as `teacher_features` returns them.
        seed: of the encryption.

    Example:

        >>> from hipmr_hf import RandomShuffling
        >>> from hipmr_hf.models import PEViTImageProcessorPil
        >>> settings = RandomShuffling(image_size=32, patch_size=8, interval=2)
        >>> pictures, processor = [np.zeros((40, 40, 3), np.uint8)], PEViTImageProcessorPil(patch_size=6)
        >>> PublicPictures(pictures, settings, processor, torch.zeros(1, 64))[0]["pixel_values"].shape
        torch.Size([3, 24, 24])
    """

    def __init__(
        self,
        images: Sequence[np.ndarray],
        encryption: Encryption,
        processor: PEViTImageProcessorPil,
        targets: torch.Tensor,
        *,
        seed: int = 0,
    ):
        self.images, self.encryption, self.processor, self.targets = images, encryption, processor, targets
        self.epoch: int = 0
        self._key: bytes = hashlib.sha256(f"public pictures {seed}".encode()).digest()

    def set_epoch(self, epoch: int) -> None:
        """Encrypt as in this epoch from now on; the first is 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        prepared = self.encryption.prepare(self.images[index])
        encrypted = Image.fromarray(self.encryption.encrypt_batch(prepared[None], **self._secret(index))[0])
        return {"pixel_values": normalised(encrypted, self.processor), "target": self.targets[index]}

    def _secret(self, index: int) -> dict[str, Any]:
        if not self.encryption.draws_randomness:
            return {}
        nonce = self.epoch.to_bytes(8, "big") + index.to_bytes(8, "big")
        return {"key": self._key, "nonces": [nonce], "remember_nonces": False}


def normalised(image: Image.Image, processor: PEViTImageProcessorPil) -> torch.Tensor:
    """(channels, height, width) of a picture by a processor's figures, whether it is plain or encrypted.

    The processor itself takes encrypted pictures alone, and warns of others.
    """
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() * processor.rescale_factor
    mean, std = (
        torch.tensor(values).view(-1, 1, 1) for values in (processor.image_mean, processor.image_std)
    )
    return (pixels - mean) / std


def features_of(model: torch.nn.Module, pixel_values: torch.Tensor) -> torch.Tensor:
    """What is distilled: class token beside the patches' mean, (batch, 2 * hidden_size).

    A mean over patches needs no places, so teacher and student may have them in different orders.

    Args:
        model: a `PEViTModel`, or what Accelerate made of it.
        pixel_values: (batch, channels, height, width).
    """
    outputs: Any = model(pixel_values)
    tokens = outputs.last_hidden_state
    first = getattr(model, "module", model).embeddings.num_prefix_tokens
    return torch.cat((tokens[:, 0], tokens[:, first:].mean(dim=1)), dim=1)


@torch.no_grad()
def teacher_features(
    teacher: torch.nn.Module,
    processor: PEViTImageProcessorPil,
    images: Sequence[np.ndarray],
    encryption: Encryption,
    size: tuple[int, int],
) -> torch.Tensor:
    """Features of plain pictures, which are worked out once, for they are the same in every epoch.

    Args:
        teacher: a `PEViTModel`, on any device; left in evaluation mode.
        processor: the teacher's.
        images: uint8 (height, width, 3) each.
        encryption: the student's, whose `prepare` also makes the teacher's picture.
        size: (height, width) in pixels of the teacher's picture, whole patches of it.

    Returns:
        (pictures, 2 * hidden_size), on the CPU.
    """
    device, found = next(teacher.parameters()).device, []
    for start in range(0, len(images), _BATCH):
        batch = []
        for image in images[start : start + _BATCH]:
            plain = Image.fromarray(encryption.prepare(image)).resize(size[::-1], Image.Resampling.BICUBIC)
            batch.append(normalised(plain, processor))
        found.append(features_of(teacher.eval(), torch.stack(batch).to(device)).cpu())
    return torch.cat(found) if found else torch.empty(0, 0)


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureLoss:
    """Mean square of what a student misses, in standard deviations of each number of the teacher's features.

    It is 1 for a student that says the teacher's mean of every picture, and 0 for one that says what the
    teacher does: the share that is not explained. The features of all pictures have most in common, so a loss
    that knows no mean, such as a cosine, is small before anything that tells pictures apart has been learnt.

    Args:
        mean, deviation: (2 * hidden_size,) of the teacher's features.

    Example:

        >>> teacher = torch.randn(100, 8) + 10
        >>> loss = FeatureLoss.of(teacher)
        >>> float(loss(teacher, teacher)), round(float(loss(loss.mean.expand(100, -1), teacher)), 2)
        (0.0, 1.0)
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    @classmethod
    def of(cls, features: torch.Tensor) -> FeatureLoss:
        """Measure the teacher's features (pictures, 2 * hidden_size)."""
        deviation = features.std(dim=0, correction=0)
        least = (_LEAST_DEVIATION * deviation.mean()).clamp(min=torch.finfo(features.dtype).tiny)
        return cls(features.mean(dim=0), deviation.maximum(least))

    def __call__(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """Loss of a batch, both (batch, 2 * hidden_size)."""
        return ((student - teacher) / self.deviation.to(student.device)).square().mean()
