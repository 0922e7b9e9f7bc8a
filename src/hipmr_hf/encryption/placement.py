"""Where a plain image lands before it is encrypted: resize, crop, and the arithmetic that boxes follow."""

import dataclasses
import math
import os
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..errors import InputValueError
from ..pixels.reduced import Least
from ..pixels.upright import upright_pixels, without_pil_errors
from . import stretching
from .checks import MAX_SIDE, check_array, check_whole
from .stretching import Side

# Sides longer than this many windows are cut before they are resized. Panoramas, lines of text and strips of
# film are shorter; what is longer would cost memory and time for pixels that the crop throws away.
_LONGEST = 64
# About this many pixels are resized at a time.
_STRIP_PIXELS = 2**20


Stretches = tuple[tuple[float, float] | None, tuple[float, float] | None]


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

    Raises:
        ValueError: a side would get longer than any image has.

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
    if max(rows, columns) > MAX_SIDE:
        raise InputValueError(
            f"image: got {height}x{width} pixels (height x width), which would become {rows}x{columns}, more "
            f"than {MAX_SIDE} a side; leave it out, or bound the longer side as well: "
            f"Sides(shorter={sides.shorter}, longer=...)."
        )
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


def load_upright(
    image: Image.Image | np.ndarray | str | os.PathLike[str], least: Least | None = None
) -> np.ndarray:
    """Take a picture's pixels, upright, as the owner's side reads them: uint8 (height, width, channels).

    Args:
        image: of Pillow, the path of one, or an array.
        least: as in `images.reading.read_image`; not called for an array.

    Raises:
        TypeError: neither a path, a PIL image nor a uint8 (height, width, channels) array.
        ImageReadingError: a picture that `images.reading.read_image` refuses (a ValueError).
        OSError: there is no such file.
    """
    if isinstance(image, str | os.PathLike):
        with open(image, "rb") as file:
            return without_pil_errors(lambda: upright_pixels(Image.open(file), least=least), None)
    if isinstance(image, Image.Image):
        return upright_pixels(image, least=least)
    check_array("image", image, "(height, width, channels)", 3)
    return image


def place(pixels: np.ndarray, placement: Placement, *, stretches: Stretches = (None, None)) -> np.ndarray:
    """Resize (bicubic) and crop pixels as `placement` says: uint8 (height, width, channels), contiguous.

    The picture is resized to (resized width, old height), and that to (resized width, resized height): two
    calls of Pillow, whose bytes are the same under all its releases. One call is not: since 13, pictures
    taller than 2:1 come out otherwise. Each call is made strip by strip, which changes no byte, and of every
    strip only the window stays, so what is cropped away never lies in memory whole.

    **Extreme shapes are cut first.** Where a side of the resized picture would be more than 64 times the
    window's, that side is cut to what the window is made of, before it is resized. With the step =
    old / resized, in source pixels, the window is made of the stretch from `first * step` to
    `(first + kept) * step` (its box, in Pillow's words), and the filter reads `2 * max(step, 1)` pixels
    beyond either end; the cut keeps the whole pixels of that. Beside the whole picture's resize, single
    values differ by one grey level, since Pillow holds boxes in 32 bits.

    Args:
        pixels: uint8 (height, width, channels), of 1 or 3 channels where they are resized.
        placement: where they go.
        stretches: from where to where the picture goes along each side, in pixels; None for all of it.
    """
    sides = [
        Side(placement.resized_height, placement.top, placement.height, stretches[0]),
        Side(placement.resized_width, placement.left, placement.width, stretches[1]),
    ]
    for axis in (0, 1):
        pixels, sides[axis] = _cut(pixels, axis, sides[axis])
    for axis in (1, 0):
        pixels = _stretch(pixels, axis, sides[axis])
    return np.ascontiguousarray(pixels)


def _cut(pixels: np.ndarray, axis: int, side: Side) -> tuple[np.ndarray, Side]:
    """Cut an extreme side to what the window is made of; others stay as they are."""
    if side.length <= _LONGEST * side.kept or side.length == pixels.shape[axis]:
        return pixels, side
    picture = side.box or (0, pixels.shape[axis])
    step = (picture[1] - picture[0]) / side.length
    begin, end = (picture[0] + edge * step for edge in (side.first, side.first + side.kept))
    reach = 2 * max(step, 1)
    start, stop = max(0, math.floor(begin - reach)), min(pixels.shape[axis], math.ceil(end + reach))
    box = (begin - start, end - start)
    return pixels[_along(axis, start, stop)], Side(side.kept, 0, side.kept, box)


def _stretch(pixels: np.ndarray, axis: int, side: Side) -> np.ndarray:
    """Resize one side and keep the window."""
    if pixels.shape[axis] == side.length and side.box is None:
        return pixels[_along(axis, side.first, side.first + side.kept)]
    if stretching.is_worth_it(pixels):
        return stretching.stretch(pixels, axis, side, lambda: _by_pillow(pixels, axis, side))
    return _by_pillow(pixels, axis, side)


def _by_pillow(pixels: np.ndarray, axis: int, side: Side) -> np.ndarray:
    """Resize one side, strip by strip, and keep the window."""
    window = _along(axis, side.first, side.first + side.kept)
    shape = list(pixels.shape)
    shape[axis] = side.kept
    stretched = np.empty(shape, np.uint8)
    lines = max(1, _STRIP_PIXELS // max(pixels.shape[axis], side.length))
    for start in range(0, shape[1 - axis], lines):
        strip = _along(1 - axis, start, start + lines)
        stretched[strip] = _resize(pixels[strip], axis, side)[window]
    return stretched


def _along(axis: int, start: int, stop: int) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, slice(start, stop))


def _resize(pixels: np.ndarray, axis: int, side: Side) -> np.ndarray:
    height, width, channels = pixels.shape
    if channels not in (1, 3):
        raise InputValueError(f"image: got {channels} channels, which cannot be resized; expected 1 or 3.")
    picture = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if channels == 1 else pixels))
    size = (side.length, height) if axis else (width, side.length)
    box = None
    if side.box is not None:
        box = (side.box[0], 0, side.box[1], height) if axis else (0, side.box[0], width, side.box[1])
    resized = np.asarray(picture.resize(size, Image.Resampling.BICUBIC, box))
    return resized.reshape(size[1], size[0], channels)
