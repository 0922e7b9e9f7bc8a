"""Encrypt pictures that need no protection, and tell where every patch came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .checks import check_array

if TYPE_CHECKING:
    from .base import Encryption


def encrypt_with_places(
    encryption: Encryption, images: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Encrypt public pictures, for whoever has the places can put a picture together again.

    Args:
        encryption: settings; the randomness is fresh.
        images: uint8 (batch, height, width, channels), of the size that `prepare` returns.

    Returns:
        What `encrypt_batch` returns; and, as int (batch, patches of an encrypted image), the plain patch
        whose texture each of its patches holds, and the one whose tone it has, counted row by row.

    Raises:
        TypeError, ValueError: images of another type, shape or size.

    Example:

        >>> from hipmr_hf import RandomShuffling
        >>> picture = np.repeat(np.arange(4, dtype=np.uint8), 4).reshape(1, 4, 4, 1)
        >>> encrypted, textures, tones = encrypt_with_places(RandomShuffling(4, 1), picture)
        >>> bool((encrypted.ravel() == picture.ravel()[textures[0]]).all()), bool((textures == tones).all())
        (True, True)
    """
    check_array("images", images, "(batch, height, width, channels)", 4)
    encryption._check_size(*images.shape[1:3])
    rows, cols = (side // encryption.patch_size for side in images.shape[1:3])
    draw = encryption._draw(len(images), rows, cols, None, None)
    textures = np.tile(np.arange(rows * cols), (len(images), 1))
    if draw.permutations is not None:
        textures = draw.permutations[:, : encryption.num_patches]
    tones = textures
    if draw.tones is not None:
        tones = np.take_along_axis(encryption._order_of_tones(draw), textures, axis=1)
    return encryption._encrypt(np.ascontiguousarray(images), draw), textures, tones
