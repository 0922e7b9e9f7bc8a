"""Where a plain image lands before it is encrypted: resize, crop, and the arithmetic that boxes follow."""

import dataclasses
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from ..errors import InputValueError
from .checks import MAX_SIDE, check_array, check_whole

# PIL converts these to RGB without losing or uncovering anything.
_SAFE_MODES = ("RGB", "L", "1", "CMYK", "YCbCr")


class Placement(NamedTuple):
    """An image is resized, then the window (top, left, height, width) of it is kept; all in pixels."""

    resized_height: int
    resized_width: int
    top: int
    left: int
    height: int
    width: int


@dataclasses.dataclass(frozen=True)
class Sides:
    """Size of images that keep their shape, as detectors are trained with: an `image_size` of `MixingUp`.

    Args:
        shorter: pixels of the shorter side.
        longer: most pixels of the longer side; where it would have more, both sides get smaller. None for
            any.

    Raises:
        TypeError, ValueError: a side is no whole number from 1, or the longer one is the smaller.

    Example:
        >>> Sides(shorter=800, longer=1333)
        Sides(shorter=800, longer=1333)
    """

    shorter: int
    longer: int | None = None

    def __post_init__(self) -> None:
        check_whole("shorter", self.shorter, minimum=1, maximum=MAX_SIDE)
        if self.longer is not None:
            check_whole("longer", self.longer, minimum=self.shorter, maximum=MAX_SIDE)


def resize_to_sides(height: int, width: int, *, sides: Sides, patch_size: int) -> Placement:
    """Resize to the wanted sides, each rounded down to whole patches, without a crop (as YOLOS does).

    Example:
        >>> resize_to_sides(480, 640, sides=Sides(shorter=100, longer=120), patch_size=16)
        Placement(resized_height=80, resized_width=112, top=0, left=0, height=80, width=112)
    """
    shorter = sides.shorter
    if sides.longer is not None:
        shorter = min(shorter, sides.longer * min(height, width) / max(height, width))
    scale = shorter / min(height, width)
    # The addition keeps 800 / 480 * 480 from becoming 799.99 and losing a patch.
    lengths = (int(side * scale + 1e-6) for side in (height, width))
    rows, columns = (max(patch_size, length - length % patch_size) for length in lengths)
    return Placement(rows, columns, 0, 0, rows, columns)


def whole_patches(height: int, width: int, *, patch_size: int) -> Placement:
    """Keep an image's own size, cropped at the right and bottom only, so that boxes keep their corner.

    Example:
        >>> whole_patches(100, 64, patch_size=16)[2:]
        (0, 0, 96, 64)
    """
    return Placement(height, width, 0, 0, height - height % patch_size, width - width % patch_size)


def resize_and_centre_crop(height: int, width: int, *, target: tuple[int, int]) -> Placement:
    """Resize so that the target (height, width) is just covered, then keep its centre.

    Example:
        >>> resize_and_centre_crop(100, 200, target=(50, 50))
        Placement(resized_height=50, resized_width=100, top=0, left=25, height=50, width=50)
    """
    target_height, target_width = target
    scale = max(target_height / height, target_width / width)
    resized_height = max(target_height, int(height * scale))
    resized_width = max(target_width, int(width * scale))
    top, left = (resized_height - target_height + 1) // 2, (resized_width - target_width + 1) // 2
    return Placement(resized_height, resized_width, top, left, target_height, target_width)


def load_upright(image: Image.Image | np.ndarray) -> np.ndarray:
    """Take a picture's pixels, turned as its EXIF orientation says: uint8 (height, width, channels).

    Raises:
        TypeError: neither a PIL image nor a uint8 (height, width, channels) array.
        ValueError: a PIL mode that needs care.
    """
    if isinstance(image, Image.Image):
        if image.mode not in _SAFE_MODES or "transparency" in image.info:
            raise InputValueError(
                f"image: got PIL mode {image.mode!r}, expected one of {', '.join(_SAFE_MODES)} without "
                "transparency; hipmr_hf.images.reading reads the others without losing or uncovering "
                "anything."
            )
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    check_array("image", image, "(height, width, channels)", 3)
    return image


def place(pixels: np.ndarray, placement: Placement) -> np.ndarray:
    """Resize (bicubic) and crop pixels as `placement` says: uint8 (height, width, channels), contiguous."""
    if pixels.shape[:2] != (placement.resized_height, placement.resized_width):
        pixels = _resize(pixels, (placement.resized_width, placement.resized_height))
    bottom, right = placement.top + placement.height, placement.left + placement.width
    return np.ascontiguousarray(pixels[placement.top : bottom, placement.left : right])


def _resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    channels = pixels.shape[2]
    if channels not in (1, 3):
        raise InputValueError(f"image: got {channels} channels, which cannot be resized; expected 1 or 3.")
    picture = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC)).reshape(size[1], size[0], channels)
