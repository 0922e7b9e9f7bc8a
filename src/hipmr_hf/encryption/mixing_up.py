"""Mixing-up (MI): every patch becomes the mean of its sub-patches, in its place."""

import dataclasses
from typing import ClassVar

import numpy as np

from ..errors import InputValueError
from .base import Encryption
from .checks import MAX_AREA, check_cost, check_divides, check_image_size, check_whole
from .draw import Draw
from .orders import LEAST_PATCHES
from .placement import Placement, Sides, resize_to_sides


@dataclasses.dataclass(frozen=True)
class MixingUp(Encryption):
    """MI: every patch becomes the mean of its sub-patches, in its place (paper, section on MI).

    Args:
        image_size: pixels of the plain image, as in `RandomShuffling`; None keeps an image's own size,
            cropped at the right and bottom to whole patches; `Sides(shorter, longer)` keeps its shape, as
            detectors need it.
        patch_size: width of a plain patch in pixels.
        sub_patch_grid: sub-patches along one side of a patch; the encrypted image is smaller by it.
        sub_patch_symmetries: as in `RandomShuffling`.
        patch_normalization: as in `RandomShuffling`.
        shuffle_tones: deal the patches' tones, means and contrasts, out in a random order; textures stay in
            their places, and so do boxes and masks.
        jpeg_decoding: as in `RandomShuffling`.

    Raises:
        TypeError, ValueError: a setting of the wrong type or out of range.

    Example:
        >>> import numpy as np
        >>> mixing = MixingUp(patch_size=16)
        >>> mixing(np.zeros((100, 64, 3), np.uint8)).shape
        (48, 32, 3)
    """

    strategy: ClassVar[str] = "mi"

    image_size: int | tuple[int, int] | Sides | None = None
    patch_size: int = 16
    sub_patch_grid: int = 2
    sub_patch_symmetries: bool = False
    patch_normalization: bool = False
    shuffle_tones: bool = False
    jpeg_decoding: str = "reduced"

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.image_size, dict):  # JSON has no dataclasses
            object.__setattr__(self, "image_size", Sides(**self.image_size))
        if isinstance(self.image_size, Sides):
            check_whole("shorter", self.image_size.shorter, minimum=self.patch_size)
            check_cost(self.image_size.shorter, self.image_size.shorter, self.patch_size)
        elif self.image_size is not None:
            check_image_size(self.image_size, self.patch_size)
            self._check_tones(*self._fixed_size)
        check_whole("sub_patch_grid", self.sub_patch_grid, minimum=2, maximum=16)
        check_divides(self.sub_patch_grid, self.patch_size, "patch_size")

    @property
    def num_patches(self) -> int | None:
        """Patches that an encrypted image holds; None where images keep their own size."""
        if self._fixed_size is None:
            return None
        return self._fixed_size[0] * self._fixed_size[1] // self.patch_size**2

    @property
    def encrypted_size(self) -> tuple[int, int] | None:
        """Height and width of an encrypted image in pixels; None where images keep their own size."""
        if self._fixed_size is None:
            return None
        return self._fixed_size[0] // self.sub_patch_grid, self._fixed_size[1] // self.sub_patch_grid

    @property
    def _fixed_size(self) -> tuple[int, int] | None:
        return None if isinstance(self.image_size, Sides) else super()._fixed_size

    def placement(self, height: int, width: int) -> Placement:
        """Tell where an image of this size lands; see `Encryption.placement`, and `Sides`.

        Raises:
            ValueError: the image is smaller than one patch, would be enlarged beyond `checks.MAX_AREA`, or
                has too few patches for their tones to be dealt out.
        """
        kept = super().placement(height, width)  # refuses what is too small
        if isinstance(self.image_size, Sides):
            kept = resize_to_sides(height, width, sides=self.image_size, patch_size=self.patch_size)
        if kept.height * kept.width > max(MAX_AREA, height * width):
            raise InputValueError(
                f"image: got {height}x{width} pixels, which would become {kept.height}x{kept.width}, more "
                f"than {MAX_AREA} pixels; choose smaller sides."
            )
        self._check_tones(kept.height, kept.width)
        return kept

    def _check_size(self, height: int, width: int) -> None:
        super()._check_size(height, width)
        self._check_tones(height, width)

    def _check_tones(self, height: int, width: int) -> None:
        count = (height // self.patch_size) * (width // self.patch_size)
        if self.shuffle_tones and count < LEAST_PATCHES:
            raise InputValueError(
                f"shuffle_tones: an image of {height}x{width} pixels has {count} patches of "
                f"{self.patch_size}, expected at least {LEAST_PATCHES}, for tones of fewer cannot be hidden; "
                "leave it out or choose a smaller patch_size."
            )

    def _encrypt_block(self, images: np.ndarray, draw: Draw, out: np.ndarray) -> None:
        rows, cols = (side // self.patch_size for side in images.shape[1:3])
        positions = np.broadcast_to(np.arange(rows * cols), (len(images), rows * cols))
        if not self._encrypt_fused(images, positions, cols, draw, out):
            out[...] = self._encrypt_in_place(images, draw)
