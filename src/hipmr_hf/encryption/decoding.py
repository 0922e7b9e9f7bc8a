"""How small a picture may be decoded before it is resized, encrypted and published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import InputValueError

if TYPE_CHECKING:
    import numpy as np

    from .base import Encryption
    from .placement import Stretches

JPEG_DECODINGS = ("reduced", "full")
# With "reduced", a picture is decoded to at least so many times the size that it is resized to. Of
# photographs at 32 to 96 pixels the worst came within 50 dB of the full decoding with 3, within 40 dB with 2.
_SPARE = 3


def check_decoding(jpeg_decoding: Any) -> None:
    """Refuse all but the names of `JPEG_DECODINGS`."""
    if jpeg_decoding not in JPEG_DECODINGS:
        raise InputValueError(
            f"jpeg_decoding: got {jpeg_decoding!r}, expected 'reduced' or 'full'; choose one of them."
        )


class Sized:
    """Tells a reader how small a picture may be decoded, and keeps its own size and where it lands.

    Args:
        encryption: the settings.

    Example:
        >>> from hipmr_hf import RandomShuffling
        >>> sized = Sized(RandomShuffling(image_size=224))
        >>> sized(3000, 4000), sized.size
        ((672, 894), (3000, 4000))
    """

    def __init__(self, encryption: Encryption) -> None:
        self.encryption = encryption
        self.size: tuple[int, int] | None = None
        self.mirrored: tuple[bool, bool] = (False, False)

    def __call__(
        self, height: int, width: int, mirrored: tuple[bool, bool] = (False, False)
    ) -> tuple[int, int]:
        """Return the least (height, width) that a picture of this size may be decoded to.

        It is three times what the picture is resized to; with "full" decoding, and where it is hardly made
        smaller, it is the picture's own.

        Raises:
            ValueError: see `Encryption.placement`.
        """
        self.size, self.mirrored = (height, width), mirrored
        kept = self.encryption.placement(height, width)
        if self.encryption.jpeg_decoding == "full":
            return height, width
        return min(height, _SPARE * kept.resized_height), min(width, _SPARE * kept.resized_width)

    def stretches(self, pixels: np.ndarray) -> Stretches:
        """Tell which stretch of each side of what was read is the picture, as `placement.place` takes it.

        Decoders round sides up: 427 pixels at an eighth become 54, of which the first 53.375 are the picture,
        or the last where it was mirrored since. Without that it would shift by a part of a pixel.
        """
        decoded = pixels.shape[:2]
        if self.size is None or decoded == self.size:
            return None, None
        sides = list(zip(decoded, self.size, self.mirrored, strict=True))
        scale = next(scale for scale in (2, 4, 8) if all(-(-own // scale) == side for side, own, _ in sides))
        rows, columns = (
            (side - own / scale if last else 0, side if last else own / scale) for side, own, last in sides
        )
        return rows, columns
