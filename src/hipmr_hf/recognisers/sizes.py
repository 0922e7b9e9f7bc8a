"""How large faces and letters are, in patches, and what settings leave of them at that size."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..encryption.recognisable import FOUND, IDENTIFIED, READ, TURNED, shown_by_a_patch
from .base import FACE_LIBRARIES, WORD_LIBRARIES, is_there
from .words import SHORTEST

if TYPE_CHECKING:
    from ..encryption.base import Encryption

MOST_PIXELS = 640
WORD = 4.0
"""Heights of a letter that a patch must be wide to hold a short word."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Faces and letters of a sample, in pixels of the pictures as the settings prepare them.

    Args:
        face_widths: of every face that was found.
        letter_heights: of every line that was read.
        pictures: that were looked at for either.

    Example:
        >>> Sizes((50.0, 90.0), (), 3).widest_face
        90.0
    """

    face_widths: tuple[float, ...]
    letter_heights: tuple[float, ...]
    pictures: int

    @property
    def widest_face(self) -> float | None:
        """None without faces."""
        return max(self.face_widths, default=None)

    @property
    def narrowest_face(self) -> float | None:
        """None without faces."""
        return min(self.face_widths, default=None)


def measure_sizes(pictures: Iterable[np.ndarray], *, seconds: float = 3.0) -> Sizes:
    """Look for faces and words in plain pictures, as long as there is time; nothing is written anywhere.

    Args:
        pictures: uint8 (height, width, 3) each, prepared by the settings.
        seconds: after which no further picture is looked at.

    Returns:
        Their sizes; nothing of what is not installed.
    """
    started, finder, reader = time.monotonic(), None, None
    if is_there(*FACE_LIBRARIES):
        from .faces import FaceFinder

        finder = FaceFinder()
    if is_there(*WORD_LIBRARIES):
        from .words import WordReader

        reader = WordReader()
    faces: list[float] = []
    letters: list[float] = []
    looked_at = 0
    if finder is None and reader is None:
        return Sizes((), (), 0)
    for picture in pictures:
        if time.monotonic() - started > seconds:
            break
        looked_at += 1
        small, times = _shrunk(picture)
        faces += [box.width * times for box in finder([small])[0]] if finder else []
        lines = reader([small])[0] if reader else []
        letters += [line.height * times for line in lines if len(line.text) >= SHORTEST]
    return Sizes(tuple(faces), tuple(letters), looked_at)


def _shrunk(picture: np.ndarray) -> tuple[np.ndarray, float]:
    """Bring a large picture to `MOST_PIXELS` a side, and say how many times it was larger."""
    times = min(picture.shape[:2]) / MOST_PIXELS
    if times <= 1:
        return picture, 1.0
    size = round(picture.shape[1] / times), round(picture.shape[0] / times)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR)), times


def size_warnings(encryption: Encryption, sizes: Sizes) -> list[str]:
    """Say where the patch is too small or too large for the faces and letters of a sample.

    Where patches keep their places, small ones leave a picture in which large faces and letters are known.
    Where they are shuffled, a large one shows whatever fits into it.

    Args:
        encryption: the settings.
        sizes: of the sample.

    Returns:
        A sentence for each, or none.

    Example:
        >>> from hipmr_hf import MixingUp, RandomShuffling
        >>> size_warnings(MixingUp(patch_size=8), Sizes((96.0,), (), 1))
        ['faces up to 12.0 patches wide: under MI one is found from about 5, and identified from ...']
        >>> size_warnings(RandomShuffling(image_size=224, patch_size=16), Sizes((96.0,), (), 1))
        []
    """
    return _in_places(encryption, sizes) if encryption.strategy == "mi" else _shuffled(encryption, sizes)


def _in_places(encryption: Encryption, sizes: Sizes) -> list[str]:
    if encryption.patch_normalization or encryption.shuffle_tones:
        return []  # as large as can be, next to nothing was found
    patch, times = encryption.patch_size, TURNED if encryption.sub_patch_symmetries else 1.0
    kind = "MI with turned sub-patches" if encryption.sub_patch_symmetries else "MI"
    told = []
    if sizes.widest_face and sizes.widest_face >= times * FOUND * patch:
        told.append(
            f"faces up to {sizes.widest_face / patch:.1f} patches wide: under {kind} one is found from about "
            f"{times * FOUND:g}, and identified from about {times * IDENTIFIED:g}; take a larger "
            f"--patch-size than {patch}, a smaller --image-size, or --preset dense"
        )
    tallest = max(sizes.letter_heights, default=0)
    if tallest >= times * READ * patch:
        told.append(
            f"letters up to {tallest / patch:.1f} patches high: under {kind} they are read from about "
            f"{times * READ:g}; take a larger --patch-size than {patch}, or --preset dense"
        )
    return told


def _shuffled(encryption: Encryption, sizes: Sizes) -> list[str]:
    shown, mixed = shown_by_a_patch(encryption)
    what = f"a patch shows {shown} pixels{mixed}"
    told = []
    if sizes.narrowest_face and sizes.narrowest_face <= shown:
        told.append(
            f"faces down to {sizes.narrowest_face:.0f} pixels wide fit into a patch: {what}, wherever it is "
            f"put; take a smaller --patch-size than {encryption.patch_size}"
        )
    smallest = min(sizes.letter_heights, default=None)
    if smallest and WORD * smallest <= shown:
        told.append(
            f"short words of letters {smallest:.0f} pixels high fit into a patch: {what}, wherever it is "
            f"put; take a smaller --patch-size than {encryption.patch_size}"
        )
    return told
