"""Settings that hide next to nothing: what is wrong with them, in a sentence each."""

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Encryption

logger: logging.Logger = logging.getLogger(__name__)

# Where people were first made out: faces in a thumbnail of as many pixels across, words in patches as wide.
_PLAIN_THUMBNAIL = 28
_PLAIN_PATCH = 64
_FEW_PIXELS = 2


def weaknesses(encryption: "Encryption") -> list[str]:
    """Return why an encryption with these settings hides next to nothing; an empty list if it hides more.

    It names what needs no search and no learning, or seconds of either. An empty list is no promise: see
    `hub.limits` and an audit for what the settings leave to an attacker.

    Args:
        encryption: the settings.

    Example:
        >>> from hipmr_hf import MixingUp, RandomShuffling
        >>> weaknesses(RandomShuffling(image_size=224, patch_size=16, interval=4))
        []
        >>> weaknesses(MixingUp(patch_size=4))
        ['mixed patches of 2 pixels are a copy of the picture at 1/2 of its size, and nothing hides it']
    """
    checks = _SHUFFLED if encryption.strategy == "rs" else _MIXED
    return [said for check in checks if (said := check(encryption)) is not None]


def warn_of_weaknesses(encryption: "Encryption") -> None:
    """Log the weaknesses, once a process for the same settings."""
    _warn_once(encryption)


@functools.lru_cache(maxsize=1024)
def _warn_once(encryption: "Encryption") -> None:
    for said in weaknesses(encryption):
        logger.warning("These settings hide next to nothing: %s.", said)


def _half_a_side(encryption: "Encryption") -> str | None:
    height, width = encryption._fixed_size
    if 2 * encryption.patch_size < min(height, width):
        return None
    return (
        f"patches of {encryption.patch_size} pixels are half of a side or more of a picture of "
        f"{height}x{width}, and anybody puts so few together"
    )


def _large_patches(encryption: "Encryption") -> str | None:
    width = encryption.patch_size - encryption.interval
    if width < _PLAIN_PATCH or encryption.sub_patch_grid > 1:
        return None
    return f"patches of {width} pixels show faces and words as they are"


def _kept_borders(encryption: "Encryption") -> str | None:
    if encryption.interval or encryption.sub_patch_grid > 1:
        return None
    return (
        "patches keep their borders (interval 0, sub_patch_grid 1), by which a jigsaw solver puts back the "
        "picture, or large pieces of it, in seconds"
    )


def _keeps_thumbnail(encryption: "Encryption") -> bool:
    return not (encryption.patch_normalization or encryption.shuffle_tones)


def _small_copy(encryption: "Encryption") -> str | None:
    width, grid = encryption.encrypted_patch_size, encryption.sub_patch_grid
    if width > _FEW_PIXELS or not _keeps_thumbnail(encryption):
        return None
    pixels = "1 pixel" if width == 1 else f"{width} pixels"
    return (
        f"mixed patches of {pixels} are a copy of the picture at 1/{grid} of its size, and nothing hides it"
    )


def _large_thumbnail(encryption: "Encryption") -> str | None:
    fixed, size = encryption._fixed_size, encryption.image_size
    if size is None or encryption.sub_patch_symmetries or not _keeps_thumbnail(encryption):
        return None
    across = (size.shorter if fixed is None else min(fixed)) // encryption.patch_size
    if across < _PLAIN_THUMBNAIL:
        return None
    return f"a thumbnail {across} pixels across can be read with no attack, and a large face is known in it"


_SHUFFLED: tuple[Callable[["Encryption"], str | None], ...] = (_half_a_side, _large_patches, _kept_borders)
_MIXED: tuple[Callable[["Encryption"], str | None], ...] = (_small_copy, _large_thumbnail)
