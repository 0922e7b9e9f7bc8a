"""Write pixels as a fresh picture file that carries nothing else."""

import io
import logging
import zlib

import numpy as np
import PIL.Image

from ..errors import InputValueError, check_extra
from .fast_png import fast_png

WRITABLE_FORMATS = ("png", "png-fast", "jpeg", "webp")

_JPEG_BLOCK = 8  # pixels a side at 4:4:4 (ITU-T T.81, A.1.3)

# Runs instead of matches for PNG, the fastest method for WebP: a fraction of the time of PIL's defaults, for
# 1 % more bytes (PNG) or 10 % (WebP, still smaller than PNG); `benchmarks/speed/encoding.py` measures them.
_PNG_OPTIONS = {"compress_type": zlib.Z_RLE}
_WEBP_OPTIONS = {"lossless": True, "method": 0, "quality": 0}

logger: logging.Logger = logging.getLogger(__name__)


def encode_image(pixels: np.ndarray, image_format: str = "png", *, jpeg_quality: int = 95) -> bytes:
    """Write pixels as the bytes of a new image file without metadata.

    PNG and WebP are lossless; WebP is the faster and smaller of the two. JPEG keeps its colour at full
    resolution (4:4:4), so that colours do not run over the borders of patches; its 8x8 blocks stay within
    patches whose width is a multiple of 8, and cross the borders of others.

    Args:
        pixels: uint8 (H, W, 3).
        image_format: "png", "jpeg" or "webp"; or "png-fast", which is PNG too, see `fast_png`.
        jpeg_quality: 1 to 100, used by "jpeg" only.

    Returns:
        The bytes of the file.

    Raises:
        MissingExtraError: "png-fast" without the extra "fast".
        ValueError: wrong shape or dtype, unknown format, quality out of range, or a side that the format
            cannot hold.

    Example:

        >>> from hipmr_hf.images.reading import read_image
        >>> pixels = np.full((8, 8, 3), 7, dtype=np.uint8)
        >>> bool((read_image(encode_image(pixels, "webp")) == pixels).all())
        True
    """
    check_image_format(image_format, jpeg_quality)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise InputValueError(
            f"pixels: got {pixels.dtype} {pixels.shape}, allowed is uint8 (height, width, 3)."
        )
    if image_format == "png-fast":
        return fast_png(np.ascontiguousarray(pixels))
    jpeg_options = {"quality": jpeg_quality, "subsampling": 0}
    options = {"png": _PNG_OPTIONS, "jpeg": jpeg_options, "webp": _WEBP_OPTIONS}
    buffer = io.BytesIO()
    try:
        PIL.Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, image_format, **options[image_format])
    except (OSError, ValueError, SystemError) as error:
        height, width = pixels.shape[:2]
        raise InputValueError(
            f"image_format={image_format!r} cannot hold {width} x {height} pixels (WebP ends at 16383 a "
            "side, JPEG at 65500); use image_format='png' or a smaller image."
        ) from error
    return buffer.getvalue()


def check_image_format(image_format: str, jpeg_quality: int) -> None:
    """Raise ValueError unless `encode_image` can write this format at this quality.

    Example:

        >>> check_image_format("png", 95)
    """
    if image_format not in WRITABLE_FORMATS:
        allowed = ", ".join(map(repr, WRITABLE_FORMATS))
        raise InputValueError(
            f"image_format: got {image_format!r}, allowed are {allowed}; choose one of them."
        )
    if image_format == "png-fast":
        check_extra("image_format: 'png-fast'", "fast", "isal")
    if isinstance(jpeg_quality, bool) or not isinstance(jpeg_quality, int) or not 1 <= jpeg_quality <= 100:
        raise InputValueError(f"jpeg_quality: got {jpeg_quality!r}, allowed are whole numbers from 1 to 100.")


def warn_of_smear(image_format: str, encrypted_patch_size: int) -> None:
    """Warn where JPEG's blocks cross the borders of patches and so smear neighbours into each other.

    Args:
        image_format: as in `encode_image`; only "jpeg" can smear.
        encrypted_patch_size: width in pixels of an encrypted patch.

    Example:

        >>> warn_of_smear("jpeg", 16)  # two blocks a side
    """
    if image_format == "jpeg" and encrypted_patch_size % _JPEG_BLOCK:
        logger.warning(
            "image_format='jpeg' stores blocks of %d pixels, which cross the borders of encrypted patches of "
            "%d pixels and smear neighbours into each other; use 'webp' or 'png', or settings whose "
            "encrypted patches are a multiple of %d pixels wide.",
            *(_JPEG_BLOCK, encrypted_patch_size, _JPEG_BLOCK),
        )
