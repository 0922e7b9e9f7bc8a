"""Encrypted patches of public pictures beside the plain patches that they were made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..encryption.places import encrypt_with_places
from ..encryption.tones import CONTRAST_FLOOR

if TYPE_CHECKING:
    from ..encryption.base import Encryption

_BATCH = 32


@dataclasses.dataclass(frozen=True, eq=False)
class PatchPairs:
    """Patches in the order of the encrypted pictures.

    Args:
        encrypted: uint8 (pairs, encrypted_patch_size, encrypted_patch_size, channels).
        plain: float32 (pairs, patch_size, patch_size, channels), 0 to 255: the plain patch whose texture each
            of them holds, with the tone that was dealt to it.
    """

    encrypted: np.ndarray
    plain: np.ndarray


def patch_pairs(
    images: Sequence[np.ndarray], encryption: Encryption, *, most: int, seed: int = 0
) -> PatchPairs:
    """Encrypt public pictures and pair every patch with what it was made of.

    Where tones are dealt out, the texture of a patch comes with the tone of another one; its plain partner is
    then the plain patch with that tone, for that is what an encrypted patch shows.

    Args:
        images: uint8 (height, width, channels) each, of any size.
        encryption: settings; the randomness is fresh.
        most: pairs to return at most, drawn among all.
        seed: of that draw.

    Example:

        >>> from hipmr_hf import RandomShuffling
        >>> pictures = [np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)]
        >>> pairs = patch_pairs(pictures, RandomShuffling(image_size=32, patch_size=8), most=16)
        >>> bool((np.sort(pairs.encrypted, axis=None) == np.sort(pairs.plain, axis=None)).all())
        True
    """
    rng = np.random.default_rng(seed)
    share = min(1.0, most / max(1, _count(images, encryption)))
    encrypted, plain = [], []
    for start in range(0, len(images), _BATCH):
        prepared = [encryption.prepare(image) for image in images[start : start + _BATCH]]
        for shape in {image.shape for image in prepared}:
            batch = np.stack([image for image in prepared if image.shape == shape])
            hidden, shown = _pairs_of(batch, encryption)
            kept = rng.random(len(hidden)) < share
            encrypted.append(hidden[kept])
            plain.append(shown[kept].astype(np.float32))
    return PatchPairs(np.concatenate(encrypted), np.concatenate(plain))


def _count(images: Sequence[np.ndarray], encryption: Encryption) -> int:
    kept = encryption.num_patches
    if kept is None:
        kept = min(image.shape[0] * image.shape[1] for image in images) // encryption.patch_size**2
    return kept * len(images)


def _pairs_of(images: np.ndarray, encryption: Encryption) -> tuple[np.ndarray, np.ndarray]:
    encrypted, textures, tones = encrypt_with_places(encryption, images)
    plain = _tiles(images, encryption.patch_size).astype(np.float64)
    picture = np.arange(len(images))[:, None]
    shown = plain[picture, textures]  # (batch, kept, width, width, channels)
    if encryption.shuffle_tones:
        mean, contrast = (
            measure(plain, axis=(2, 3), keepdims=True)[picture, tones] for measure in (np.mean, np.std)
        )
        own = shown.mean(axis=(2, 3), keepdims=True)
        divided = np.maximum(shown.std(axis=(2, 3), keepdims=True), CONTRAST_FLOOR)
        shown = mean + contrast * (shown - own) / divided
    hidden = _tiles(encrypted, encryption.encrypted_patch_size)
    return hidden.reshape(-1, *hidden.shape[2:]), shown.reshape(-1, *shown.shape[2:])


def _tiles(images: np.ndarray, size: int) -> np.ndarray:
    """(batch, height, width, channels) to (batch, patches, size, size, channels), row by row."""
    batch, height, width, channels = images.shape
    grid = images.reshape(batch, height // size, size, width // size, size, channels)
    return grid.swapaxes(2, 3).reshape(batch, -1, size, size, channels)
