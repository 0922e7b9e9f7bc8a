"""Training augmentation for detectors on mixed-up images: flips, crops of whole patches, brightness.

All commute with mixing-up: the flipped, cropped or brighter MI image is the MI image of the plain one that
was changed alike. Scaling does not, so multi-scale training needs the data owner, who can publish every image
at several sizes.
"""

import dataclasses
from typing import Any

import numpy as np

from ..errors import InputValueError

VISIBLE_SHARE = 0.25
"""Least share of an object's area that a crop must keep for the object to count."""


@dataclasses.dataclass
class DetectionAugmentation:
    """Flips an image and crops it along its patches, with its boxes, and changes its brightness.

    Args:
        patch_size: width in pixels of a patch of these images.
        flip: probability of a left-right flip, 0 to 1.
        vertical_flip: probability of an upside-down flip, 0 to 1; for images without an upside.
        crop: probability of a crop, 0 to 1.
        smallest_crop: least share of each side that a crop keeps, above 0 and up to 1.
        brightness: greatest change of an image's contrast, as a share, and of the level of each channel, as a
            share of 255; 0 to 1.
        random: where the randomness comes from.

    Raises:
        ValueError: a setting is out of its range.

    Example:
        >>> flip = DetectionAugmentation(patch_size=2, flip=1.0, crop=0.0)
        >>> pixels, objects = flip(
        ...     np.arange(8).reshape(2, 4, 1), {"bbox": [[0, 0, 1, 2]], "category": [5]}, shares=None)
        >>> pixels[0, :, 0].tolist(), objects
        ([3, 2, 1, 0], {'bbox': [[3.0, 0.0, 1.0, 2.0]], 'category': [5]})
    """

    patch_size: int
    flip: float = 0.5
    crop: float = 0.5
    smallest_crop: float = 0.5
    vertical_flip: float = 0.0
    brightness: float = 0.0
    random: np.random.Generator | None = None

    def __post_init__(self) -> None:
        for name in ("flip", "crop", "vertical_flip"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputValueError(
                    f"{name}: got {getattr(self, name)}, expected a probability from 0 to 1."
                )
        if not 0 < self.smallest_crop <= 1:
            raise InputValueError(
                f"smallest_crop: got {self.smallest_crop}, expected a share above 0 up to 1."
            )
        if not 0 <= self.brightness <= 1:
            raise InputValueError(f"brightness: got {self.brightness}, expected a share from 0 to 1.")

    def draw_shares(self) -> tuple[float, float] | None:
        """Draw the shares of height and width that a crop keeps; None for the whole image.

        Images of one batch take the same shares, so that images of one size stay of one size.
        """
        random = self._generator()
        if random.random() >= self.crop:
            return None
        return tuple(random.uniform(self.smallest_crop, 1.0, size=2).tolist())

    def __call__(
        self, pixels: np.ndarray, objects: dict[str, list[Any]], shares: tuple[float, float] | None
    ) -> tuple[np.ndarray, dict[str, list[Any]]]:
        """Augment one image.

        Args:
            pixels: uint8 (height, width, channels) of whole patches.
            objects: lists of "bbox" (x, y, width, height) in pixels, "category" and others.
            shares: from `draw_shares`.

        Returns:
            Pixels of whole patches, and the objects of which the crop kept a quarter or more, "area" by the
            box if there was one.
        """
        random = self._generator()
        boxes = np.asarray(objects["bbox"], dtype=np.float64).reshape(-1, 4)
        kept = np.ones(len(boxes), bool)
        if shares is not None:
            whole = boxes[:, 2:].prod(axis=1)
            pixels, boxes = self._crop(pixels, boxes, shares)
            kept = boxes[:, 2:].prod(axis=1) >= VISIBLE_SHARE * whole
        for axis, probability in ((1, self.flip), (0, self.vertical_flip)):
            if random.random() < probability:
                pixels, boxes = _flip(pixels, boxes, axis)
        kept &= (boxes[:, 2:] > 1e-3).all(axis=1)
        names = [name for name in objects if name not in ("bbox", "area")]
        moved = {"bbox": boxes[kept].tolist()}
        moved |= {n: [v for v, keep in zip(objects[n], kept, strict=True) if keep] for n in names}
        if "area" in objects:
            moved["area"] = boxes[kept, 2:].prod(axis=1).tolist()
        return np.ascontiguousarray(self._brighten(pixels)), moved

    def _generator(self) -> np.random.Generator:
        if self.random is None:  # drawn late, so that each worker of a data loader has its own
            self.random = np.random.default_rng(np.random.randint(2**31))
        return self.random

    def _brighten(self, pixels: np.ndarray) -> np.ndarray:
        if not self.brightness:
            return pixels
        contrast = 1 + self._generator().uniform(-self.brightness, self.brightness)
        levels = 255 * self._generator().uniform(-self.brightness, self.brightness, size=pixels.shape[2])
        changed = (pixels - 127.5) * np.float32(contrast) + (127.5 + levels).astype(np.float32)
        return np.clip(np.rint(changed), 0, 255).astype(np.uint8)

    def _crop(
        self, pixels: np.ndarray, boxes: np.ndarray, shares: tuple[float, float]
    ) -> tuple[np.ndarray, np.ndarray]:
        window = []
        for side, share in zip(pixels.shape[:2], shares, strict=True):
            patches = side // self.patch_size
            kept = min(patches, max(1, int(np.ceil(patches * share))))
            start = int(self._generator().integers(0, patches - kept + 1))
            window.append((start * self.patch_size, (start + kept) * self.patch_size))
        (top, bottom), (left, right) = window
        origin, limit = np.array([left, top]), np.array([right - left, bottom - top])
        first = np.clip(boxes[:, :2] - origin, 0, limit)
        last = np.clip(boxes[:, :2] + boxes[:, 2:] - origin, 0, limit)
        return pixels[top:bottom, left:right], np.concatenate([first, last - first], axis=1)


def _flip(pixels: np.ndarray, boxes: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Flip rows (0) or columns (1)."""
    boxes, place = boxes.copy(), 1 - axis  # boxes are x before y
    boxes[:, place] = pixels.shape[axis] - boxes[:, place] - boxes[:, 2 + place]
    return np.flip(pixels, axis), boxes
