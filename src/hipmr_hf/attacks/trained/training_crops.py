"""Endless training images for an attacker, cut at random out of the few photographs that it has."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from ...errors import InputValueError

_LARGEST_ZOOM = 2.5
"""A crop shows at least 1 / 2.5 of the shorter side that the whole photograph would show."""


class TrainingCrops:
    """Random crops, scales and left-right flips of images that are not under attack.

    Args:
        images: uint8 (height, width, 3) arrays or PIL images, of any size; smaller ones are enlarged.
        size: (height, width) in pixels of the plain images of the encryption under attack.
        aligned: resize the shorter side and cut out the centre, as encryptions prepare images, and flip
            nothing: for content that stands alike in every image.
        seed: of the choice of crops.

    Raises:
        ValueError: no images, a size below 1, or an image that is not uint8 (height, width, 3).

    Example:
        >>> crops = TrainingCrops([np.zeros((80, 100, 3), np.uint8)], (32, 64))
        >>> crops.batch(4).shape, len(crops)
        ((4, 32, 64, 3), 1)
    """

    def __init__(
        self,
        images: Sequence[np.ndarray | Image.Image],
        size: tuple[int, int],
        *,
        aligned: bool = False,
        seed: int = 0,
    ):
        if not len(images):
            raise InputValueError("images: got none, expected at least one to cut training crops out of.")
        if min(size) < 1:
            raise InputValueError(f"size: got {size}, expected a height and a width of 1 pixel or more.")
        self.size: tuple[int, int] = (size[0], size[1])
        self.aligned = aligned
        self._images = [_as_picture(image) for image in images]
        self._random = np.random.default_rng(seed)

    def __len__(self) -> int:
        """Number of source images."""
        return len(self._images)

    def batch(self, n: int) -> np.ndarray:
        """Cut n crops out of images drawn at random: uint8 (n, height, width, 3)."""
        return np.stack([self._crop(self._images[self._random.integers(len(self))]) for _ in range(n)])

    def split(self, share: float) -> tuple["TrainingCrops", "TrainingCrops"]:
        """Divide the source images: crops of most of them, and crops of the others, to choose or check by.

        Args:
            share: of the images that the second one gets, 0 to 1; each gets at least one, and a single image
                serves both.

        Example:
            >>> crops = TrainingCrops([np.zeros((9, 9, 3), np.uint8)] * 10, (8, 8))
            >>> [len(part) for part in crops.split(0.2)]
            [8, 2]
        """
        order = np.random.default_rng(0).permutation(len(self))  # the same for everyone who asks
        count = max(1, round(share * len(self)))
        chosen = order[count:] if len(self) > count else order, order[:count]
        return tuple(self._only(indices, seed) for seed, indices in enumerate(chosen))

    def _only(self, indices: np.ndarray, seed: int) -> "TrainingCrops":
        images = [self._images[index] for index in indices]
        return TrainingCrops(images, self.size, aligned=self.aligned, seed=seed)

    def _crop(self, picture: Image.Image) -> np.ndarray:
        height, width = self.size
        if self.aligned:
            return np.asarray(ImageOps.fit(picture, (width, height), Image.Resampling.BICUBIC))
        shrink = min(picture.width / width, picture.height / height)
        # Uniform in the logarithm, from the whole picture down to a detail, and never much enlarged.
        zoom = np.exp(self._random.uniform(0, np.log(max(1.0, min(_LARGEST_ZOOM, shrink)))))
        spanned = shrink / zoom
        window_width, window_height = spanned * width, spanned * height
        left = self._random.uniform(0, picture.width - window_width)
        top = self._random.uniform(0, picture.height - window_height)
        box = (left, top, left + window_width, top + window_height)
        crop = picture.resize((width, height), Image.Resampling.BICUBIC, box=_inside(box, picture.size))
        pixels = np.asarray(crop)
        return pixels[:, ::-1] if self._random.random() < 0.5 else pixels


def _inside(box: tuple[float, ...], size: tuple[int, int]) -> tuple[float, ...]:
    """Keep rounding from pushing a box over the edge, which Pillow refuses."""
    left, top, right, bottom = box
    return max(0.0, left), max(0.0, top), min(float(size[0]), right), min(float(size[1]), bottom)


def _as_picture(image: np.ndarray | Image.Image) -> Image.Image:
    if isinstance(image, Image.Image):
        return ImageOps.exif_transpose(image).convert("RGB")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise InputValueError(
            f"images: got an array of {image.dtype} {image.shape}, expected uint8 (height, width, 3); "
            "convert grey images with np.repeat(grey[..., None], 3, axis=2)."
        )
    return Image.fromarray(np.ascontiguousarray(image))
