"""The plain baseline of segmentation: the same PEViT on plain pictures, measured as on encrypted ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..encryption.masks import move_mask
from ..encryption.placement import Placement
from ..models import PEViTForSemanticSegmentation, PEViTImageProcessorPil
from .classification import pevit_config_for
from .segmentation import SegmentationTrainer

if TYPE_CHECKING:
    from ..encryption.base import Encryption


class PlainSegmenterProcessor(PEViTImageProcessorPil):
    """Image processor of the plain baseline: the same steps, and no warning of plain pictures.

    What it saves is read as PEViT's own.
    """

    _auto_class = None  # no code travels with a model that its owner keeps

    def _warn_of_plain_pictures(self, images: list[np.ndarray], patch_size: int) -> None:
        pass

    def to_dict(self) -> dict[str, Any]:
        """As in the base class, under its name."""
        return {**super().to_dict(), "image_processor_type": PEViTImageProcessorPil.__name__}


def build_plain_segmenter(
    encryption: Encryption, image_size: tuple[int, int], *, size: str = "small", **overrides: Any
) -> tuple[PEViTForSemanticSegmentation, PlainSegmenterProcessor]:
    """Build a PEViT for the plain images that `encryption` would prepare, to compare with.

    Args:
        encryption: settings of the encrypted dataset that it is compared on.
        image_size: (height, width) in pixels of an encrypted image.
        size: "tiny", "small" or "base".
        overrides: arguments of `PEViTConfig`; None means the size's. The patch embedding is the non-linear
            one, whatever would fit the encrypted images.

    Example:
        >>> from hipmr_hf import MixingUp
        >>> tiny = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
        >>> model, _ = build_plain_segmenter(MixingUp(patch_size=16), (32, 48), num_labels=3, **tiny)
        >>> model.config.position_grid, model.config.patch_size
        ((4, 6), 16)
    """
    plain_size = tuple(side * encryption.sub_patch_grid for side in image_size)
    plain = {"image_size": plain_size, "patch_size": encryption.patch_size, "patch_embedding": "nonlinear"}
    config = pevit_config_for(encryption, size, **{**overrides, **plain})
    return PEViTForSemanticSegmentation(config), PlainSegmenterProcessor(patch_size=encryption.patch_size)


class PlainSegmentationTrainer(SegmentationTrainer):
    """SegmentationTrainer that counts pixels of the size that the encrypted images have.

    Args:
        args, kwargs: as in `SegmentationTrainer`.
        sub_patch_grid: of the encryption that is compared with.
    """

    def __init__(self, *args: Any, sub_patch_grid: int, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.sub_patch_grid = sub_patch_grid

    def compared(self, found: torch.Tensor, truth: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Make both maps of classes as small as masks become by mixing-up."""
        return self._smaller(found), self._smaller(truth)

    def _smaller(self, masks: torch.Tensor) -> np.ndarray:
        _, height, width = masks.shape
        whole = Placement(
            resized_height=height, resized_width=width, top=0, left=0, height=height, width=width
        )
        masks = masks.cpu().numpy().astype(np.uint8)
        return np.stack([move_mask(mask, whole, sub_patch_grid=self.sub_patch_grid) for mask in masks])
