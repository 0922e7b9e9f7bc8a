"""Random shuffling (RS): the patches of an image in random order."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from PIL import Image

from ..errors import InputValueError
from . import keys, patches
from .base import Encryption, ImageLike
from .checks import check_array, check_divides, check_image_size, check_whole
from .draw import Draw
from .orders import LEAST_PATCHES
from .tones import order_among

if TYPE_CHECKING:
    from .keys import SecretKey


@dataclasses.dataclass(frozen=True)
class RandomShuffling(Encryption):
    """RS: the patches of an image in random order, a fresh one for every image (paper, section on RS).

    Where fewer than 28 patches are kept, an order that leaves more than half of them in place is drawn again
    (see `orders`).

    Args:
        image_size: pixels of the plain image, whole patches; an int for a square or (height, width). 64 and
            (64, 64) are the same size and other settings: a key draws other permutations for them.
        patch_size: width of a plain patch in pixels.
        interval: pixels lost between neighbouring patches, half of them from each side; even.
        drop_ratio: share of the patches left out at random, 0 <= drop_ratio < 1.
        sub_patch_grid: sub-patches along one side of a patch, whose mean replaces it before the shuffling
            (RS+MI); 1 mixes nothing.
        sub_patch_symmetries: turn each sub-patch by a random symmetry of the square first.
        patch_normalization: take away each encrypted patch's mean and contrast.
        shuffle_tones: deal the patches' tones, means and contrasts, out in a second random order, so that a
            texture comes with the tone of another patch. What is dealt are the tones of the patches that are
            kept: the palette of an encrypted image is that of its own patches. Rounding loses pixels, and
            `patch_normalization` would leave no tones, so both together are refused.
        jpeg_decoding: "reduced" decodes a JPEG file to the smallest of 1, 1/2, 1/4 and 1/8 of its sides that
            is at least three times as large as it will be resized to, in a fraction of the time and about 50
            dB from the whole; "full" decodes all of it, as settings files without this field mean. Orders
            drawn with a key are the same for both.

    Raises:
        TypeError, ValueError: a setting of the wrong type or out of range.

    Example:
        >>> import numpy as np
        >>> shuffling = RandomShuffling(image_size=64, patch_size=16, interval=4, drop_ratio=0.5)
        >>> shuffling.num_patches, shuffling.encrypted_patch_size, shuffling.encrypted_size
        (8, 12, (24, 48))
        >>> shuffling(np.zeros((80, 64, 3), np.uint8)).shape
        (24, 48, 3)
    """

    strategy: ClassVar[str] = "rs"

    image_size: int | tuple[int, int] = 224
    patch_size: int = 16
    interval: int = 0
    drop_ratio: float = 0.0
    sub_patch_grid: int = 1
    sub_patch_symmetries: bool = False
    patch_normalization: bool = False
    shuffle_tones: bool = False
    jpeg_decoding: str = "reduced"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_image_size(self.image_size, self.patch_size)
        check_whole("interval", self.interval, minimum=0, maximum=self.patch_size - 1)
        if self.interval % 2:
            raise InputValueError(
                f"interval: got {self.interval}, expected an even number: half goes from each side."
            )
        check_divides(self.sub_patch_grid, self._kept_size, "patch_size - interval")
        ratio = self.drop_ratio
        if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 <= ratio < 1:
            raise InputValueError(f"drop_ratio: got {ratio!r}, expected a number with 0 <= drop_ratio < 1.")
        object.__setattr__(self, "drop_ratio", float(ratio))
        if self._rows * self._cols < LEAST_PATCHES or self.num_patches < 2:
            raise InputValueError(
                f"image_size, patch_size, drop_ratio: {self.num_patches} of {self._rows * self._cols} "
                f"patches are kept, expected at least 2 of {LEAST_PATCHES} or more, for fewer have no order "
                "that hides anything; choose smaller patches or drop fewer."
            )

    @property
    def _rows(self) -> int:
        return self._fixed_size[0] // self.patch_size

    @property
    def _cols(self) -> int:
        return self._fixed_size[1] // self.patch_size

    @property
    def num_patches(self) -> int:
        """Patches that an encrypted image holds, those dropped not counted."""
        return round(self._rows * self._cols * (1 - self.drop_ratio))

    @property
    def encrypted_size(self) -> tuple[int, int]:
        """Height and width of an encrypted image in pixels."""
        rows, cols = patches.mosaic_shape(self.num_patches, self._rows, self._cols)
        return rows * self.encrypted_patch_size, cols * self.encrypted_patch_size

    def _encrypt_block(self, images: np.ndarray, draw: Draw, out: np.ndarray) -> None:
        shape = patches.mosaic_shape(self.num_patches, self._rows, self._cols)
        positions = draw.permutations[:, : self.num_patches].reshape(-1, *shape)
        patch_size, interval = self.patch_size, self.interval
        if self._changes_patches:
            if self._encrypt_fused(images, draw.permutations[:, : self.num_patches], shape[1], draw, out):
                return
            eroded = patches.erode_patches(images, patch_size=patch_size, interval=interval)
            images, patch_size, interval = self._encrypt_in_place(eroded, draw), self.encrypted_patch_size, 0
        patches.gather_patches(images, positions, patch_size=patch_size, interval=interval, out=out)

    @property
    def _changes_patches(self) -> bool:
        changes = self.sub_patch_symmetries or self.patch_normalization or self.shuffle_tones
        return changes or self.sub_patch_grid > 1

    def _order_of_tones(self, draw: Draw) -> np.ndarray:
        return order_among(draw.permutations[:, : self.num_patches], draw.tones)

    @property
    def _kept_size(self) -> int:
        return self.patch_size - self.interval

    @property
    def _shuffles(self) -> bool:
        return True

    def decrypt(
        self, image: ImageLike, *, key: SecretKey | bytes | None = None, nonce: bytes | None = None
    ) -> ImageLike:
        """Undo a keyed RS that lost nothing; see `Encryption.decrypt`.

        Example:
            >>> import numpy as np
            >>> from hipmr_hf.encryption.keys import SecretKey, new_nonce
            >>> shuffling = RandomShuffling(image_size=8, patch_size=4)
            >>> image = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
            >>> secret = {"key": SecretKey.generate(), "nonce": new_nonce()}
            >>> bool((shuffling.decrypt(shuffling(image, **secret), **secret) == image).all())
            True
        """
        self._check_reversible(key, nonce)
        pixels = np.asarray(image)
        check_array("image", pixels, "(height, width, channels)", 3)
        self._check_size(*pixels.shape[:2])
        keys.check_nonces([nonce], 1)
        draw = self._draw(1, self._rows, self._cols, key, [nonce])
        positions = np.argsort(draw.permutations, axis=1).reshape(1, self._rows, self._cols)
        shuffled = np.ascontiguousarray(pixels)[None]
        plain = patches.gather_patches(shuffled, positions, patch_size=self.patch_size)
        if draw.turns is not None:
            turns = patches.inverse_turns(draw.turns)
            plain = patches.turn_sub_patches(plain, turns, patch_size=self.patch_size, grid=1)
        return Image.fromarray(plain[0]) if isinstance(image, Image.Image) else plain[0]

    def _check_reversible(self, key: SecretKey | bytes | None, nonce: bytes | None) -> None:
        if self.losses:
            raise InputValueError(self._cannot_be_undone())
        if key is None or nonce is None:
            raise InputValueError(
                "key, nonce: both are needed to decrypt; an image that was encrypted without a key "
                "cannot be decrypted by anybody."
            )
