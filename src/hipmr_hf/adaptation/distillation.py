"""Features of a teacher that sees plain public pictures, learnt by a student that sees their encryption."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

if TYPE_CHECKING:
    from ..encryption.base import Encryption
    from ..models.image_processing_pevit import PEViTImageProcessorPil


class PublicPairs(torch.utils.data.Dataset):
    """Public pictures, each plain for the teacher and encrypted for the student.

    A picture is encrypted anew whenever it is asked for, so that no order is learnt by heart.

    Args:
        images: uint8 (height, width, 3) each; they are seen plain, so they must need no protection.
        encryption: the student's; its `prepare` also makes the teacher's picture.
        teacher_processor, student_processor: of the two models.
        size: (height, width) in pixels of the teacher's picture, whole patches of it.

    Example:

        >>> from hipmr_hf import RandomShuffling
        >>> from hipmr_hf.models import PEViTImageProcessorPil
        >>> processor = PEViTImageProcessorPil(patch_size=8)
        >>> pictures = [np.zeros((40, 40, 3), np.uint8)]
        >>> settings = RandomShuffling(image_size=32, patch_size=8, interval=2)
        >>> students = PEViTImageProcessorPil(patch_size=6)
        >>> pair = PublicPairs(pictures, settings, processor, students, (48, 48))[0]
        >>> pair["plain"].shape, pair["encrypted"].shape
        (torch.Size([3, 48, 48]), torch.Size([3, 24, 24]))
    """

    def __init__(
        self,
        images: Sequence[np.ndarray],
        encryption: Encryption,
        teacher_processor: PEViTImageProcessorPil,
        student_processor: PEViTImageProcessorPil,
        size: tuple[int, int],
    ):
        self.images, self.encryption, self.size = images, encryption, size
        self.teacher_processor, self.student_processor = teacher_processor, student_processor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        prepared = self.encryption.prepare(self.images[index])
        plain = Image.fromarray(prepared).resize(self.size[::-1], Image.Resampling.BICUBIC)
        encrypted = Image.fromarray(self.encryption.encrypt_batch(prepared[None])[0])
        return {
            "plain": normalised(plain, self.teacher_processor),
            "encrypted": normalised(encrypted, self.student_processor),
        }


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


def feature_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean over the batch of 1 - cosine of the class tokens plus 1 - cosine of the patches' means.

    >>> same = torch.rand(2, 8)
    >>> float(feature_loss(same, same).abs()) < 1e-6
    True
    """
    pairs = zip(student.chunk(2, dim=1), teacher.chunk(2, dim=1), strict=True)
    return sum((1 - F.cosine_similarity(ours, theirs)).mean() for ours, theirs in pairs)
