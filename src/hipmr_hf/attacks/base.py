"""What attacks share: the result they return, and how an audit gets encrypted images whose truth it knows."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..encryption import patches
from ..errors import InputTypeError, InputValueError

if TYPE_CHECKING:
    from ..encryption.base import Encryption
    from ..encryption.draw import Draw
    from ..encryption.random_shuffling import RandomShuffling

EMPTY_LEVEL = 128
"""Grey level that a reconstruction shows where it has no patch."""


@dataclasses.dataclass(frozen=True, eq=False)  # arrays have no single answer to ==
class AttackResult:
    """What an attack recovered from one image, and at what cost.

    Args:
        attack: name of the attacker.
        reconstruction: uint8 (height, width, channels), the picture that the attacker ends up with.
        cpu_seconds: processor time of this process, setting up included, training of the attacker excluded.
        effort: what the attacker spent and knew: steps, weights, training data.
        scores: measured against the truth; empty where the truth is not known.
        chance: what guessing gives, under the same names as `scores`.
        search_limited: whether the true answer scores better for the attacker than the one that it found, so
            that a longer search would find more; None where the truth is not known or nothing is searched.

    Example:
        >>> result = AttackResult("guess", np.zeros((2, 2, 3), np.uint8), cpu_seconds=0.0)
        >>> result.scores, result.search_limited
        ({}, None)
    """

    attack: str
    reconstruction: np.ndarray
    cpu_seconds: float
    effort: dict[str, Any] = dataclasses.field(default_factory=dict)
    scores: dict[str, float] = dataclasses.field(default_factory=dict)
    chance: dict[str, float] = dataclasses.field(default_factory=dict)
    search_limited: bool | None = None


class EncryptedSample(NamedTuple):
    """Encrypted images with the answer that an attack on them is measured against."""

    images: np.ndarray
    """uint8 (batch, encrypted height, encrypted width, channels)."""
    positions: np.ndarray | None
    """(batch, num_patches): where each patch of the mosaic stood, row-major; None if nothing was shuffled."""
    turns: np.ndarray | None = None
    """(batch, num_patches): the symmetry that turned each patch of the mosaic; None if no whole one was."""
    tone_holders: np.ndarray | None = None
    """(batch, num_patches): the patch of the mosaic that now has each one's tone; None if none was dealt."""


def encrypt_with_truth(
    encryption: Encryption, images: np.ndarray, *, share_permutation: bool = False
) -> EncryptedSample:
    """Encrypt an audit's own images with fresh randomness, and tell where the patches came from.

    Args:
        encryption: the settings under audit.
        images: uint8 (batch, height, width, channels), as `encryption.prepare` makes them.
        share_permutation: use one permutation and one set of turns for all images: the mistake that the
            encryption itself refuses to make, as a positive control.

    Returns:
        The encrypted images and the true positions of their patches.

    Example:
        >>> from hipmr_hf import RandomShuffling
        >>> sample = encrypt_with_truth(
        ...     RandomShuffling(image_size=32, patch_size=16), np.zeros((2, 32, 32, 3), np.uint8))
        >>> sample.images.shape, sorted(sample.positions[0].tolist())
        ((2, 32, 32, 3), [0, 1, 2, 3])
    """
    rows, cols = (side // encryption.patch_size for side in images.shape[1:3])
    # Private on purpose: the encryption shows its permutation to nobody, and an audit is no caller of it.
    draw = encryption._draw(1 if share_permutation else len(images), rows, cols, None, None)
    if share_permutation:
        draw = type(draw)(*(part if part is None else np.repeat(part, len(images), axis=0) for part in draw))
    encrypted = encryption._encrypt(np.ascontiguousarray(images), draw)
    positions, turns = None, None
    if draw.permutations is not None:
        positions = draw.permutations[:, : encryption.num_patches].astype(np.int64)
    if positions is not None and draw.turns is not None and encryption.sub_patch_grid == 1:
        turns = np.take_along_axis(draw.turns.reshape(len(encrypted), -1), positions, axis=1).astype(np.int64)
    return EncryptedSample(encrypted, positions, turns, _tone_holders(encryption, draw, positions))


def _tone_holders(encryption: Encryption, draw: Draw, positions: np.ndarray | None) -> np.ndarray | None:
    """For each patch of the mosaic, the one of the mosaic that has its tone now."""
    if draw.tones is None:
        return None
    textures = np.broadcast_to(np.arange(draw.tones.shape[1]), draw.tones.shape)
    textures = textures if positions is None else positions
    dealt = np.take_along_axis(encryption._order_of_tones(draw), textures, axis=1).astype(np.int64)
    held = np.zeros(draw.tones.shape, np.int64)
    in_mosaic = np.broadcast_to(np.arange(textures.shape[1]), textures.shape)
    np.put_along_axis(held, dealt, in_mosaic, axis=1)
    return np.take_along_axis(held, textures, axis=1)


def check_shuffled(encryption: Encryption) -> None:
    """Refuse settings that leave patches in their places: there is no order to find.

    Raises:
        InputTypeError: the settings are not those of RS.
    """
    if getattr(encryption, "strategy", None) != "rs":
        raise InputTypeError(
            f"encryption: got {type(encryption).__name__}, expected RandomShuffling; patches of MI are in "
            "their places already, and mixing_inversion attacks them."
        )


def grid_shape(encryption: RandomShuffling) -> tuple[int, int]:
    """Tell the rows and columns of patches in the plain image: what the attacker knows from the settings.

    Example:
        >>> from hipmr_hf import RandomShuffling
        >>> grid_shape(RandomShuffling(image_size=(32, 64), patch_size=16, drop_ratio=0.5))
        (2, 4)
    """
    size = encryption.image_size
    height, width = size if isinstance(size, tuple) else (size, size)
    return height // encryption.patch_size, width // encryption.patch_size


def split_mosaic(mosaic: np.ndarray, patch_size: int) -> np.ndarray:
    """Cut an encrypted image into its patches.

    Args:
        mosaic: uint8 (rows * patch_size, cols * patch_size, channels).
        patch_size: width of an *encrypted* patch in pixels.

    Returns:
        uint8 (rows * cols, patch_size, patch_size, channels), row-major.

    Raises:
        ValueError: the mosaic is not whole patches.

    Example:
        >>> split_mosaic(np.zeros((16, 32, 3), np.uint8), 8).shape
        (8, 8, 8, 3)
    """
    height, width, channels = mosaic.shape
    if height % patch_size or width % patch_size:
        raise InputValueError(
            f"mosaic: got {height}x{width} pixels, expected whole patches of {patch_size}; pass the "
            "encrypted image as it came, and the settings that it was encrypted with."
        )
    rows, cols = height // patch_size, width // patch_size
    tiled = mosaic.reshape(rows, patch_size, cols, patch_size, channels).swapaxes(1, 2)
    return tiled.reshape(rows * cols, patch_size, patch_size, channels)


def join_patches(pieces: np.ndarray, positions: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Lay patches out on the grid of the plain image; cells without a patch are mid-grey.

    Args:
        pieces: uint8 (num_patches, size, size, channels).
        positions: (num_patches,) cell of each patch, row-major, all different.
        shape: rows and columns of the grid.

    Returns:
        uint8 (rows * size, cols * size, channels).

    Example:
        >>> pieces = np.full((1, 1, 1, 1), 7, np.uint8)
        >>> join_patches(pieces, np.array([2]), (1, 3))[..., 0]
        array([[128, 128,   7]], dtype=uint8)
    """
    size, channels = pieces.shape[1], pieces.shape[3]
    cells = np.full((shape[0] * shape[1], size, size, channels), EMPTY_LEVEL, np.uint8)
    cells[positions] = pieces
    tiled = np.ascontiguousarray(cells.reshape(1, shape[0], shape[1], size, size, channels).swapaxes(2, 3))
    return tiled.reshape(shape[0] * size, shape[1] * size, channels)


def true_mosaic(plain: np.ndarray, encryption: Encryption) -> np.ndarray:
    """Erode a plain image as the encryption does, unshuffled: the best that putting patches back can give.

    Args:
        plain: uint8 (height, width, channels), as `encryption.prepare` makes it.
        encryption: settings without mixing; the kept pixels are shown as they were.

    Example:
        >>> from hipmr_hf import RandomShuffling
        >>> settings = RandomShuffling(image_size=32, patch_size=16, interval=4)
        >>> true_mosaic(np.zeros((32, 32, 3), np.uint8), settings).shape
        (24, 24, 3)
    """
    interval = getattr(encryption, "interval", 0)
    return patches.erode_patches(plain[None], patch_size=encryption.patch_size, interval=interval)[0]
