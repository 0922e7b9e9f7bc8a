"""Training augmentation for detectors that works on mixed-up images: flips, and crops of whole patches.

Both commute with mixing-up: the flipped or cropped MI image is the MI image of the flipped or cropped plain
one. Scaling does not, so multi-scale training needs the data owner, who can publish every image at several
sizes.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass
class DetectionAugmentation:
    """Flips an image left-right and crops it along its patches, with its boxes.

    Args:
        patch_size: width in pixels of a patch of these images.
        flip: probability of a flip, 0 to 1.
        crop: probability of a crop, 0 to 1.
        smallest_crop: least share of each side that a crop keeps, above 0 and up to 1.
        random: where the randomness comes from.

    Raises:
        ValueError: a setting is out of its range.

    Example:
        >>> flip = DetectionAugmentation(patch_size=2, flip=1.0, crop=0.0)
        >>> pixels, objects = flip(np.arange(8).reshape(2, 4, 1), {"bbox": [[0, 0, 1, 2]], "category": [5]})
        >>> pixels[0, :, 0].tolist(), objects
        ([3, 2, 1, 0], {'bbox': [[3.0, 0.0, 1.0, 2.0]], 'category': [5]})
    """

    patch_size: int
    flip: float = 0.5
    crop: float = 0.5
    smallest_crop: float = 0.5
    random: np.random.Generator | None = None

    def __post_init__(self) -> None:
        for name in ("flip", "crop"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: got {getattr(self, name)}, expected a probability from 0 to 1.")
        if not 0 < self.smallest_crop <= 1:
            raise ValueError(f"smallest_crop: got {self.smallest_crop}, expected a share above 0 up to 1.")

    def __call__(self, pixels: np.ndarray, objects: dict[str, list]) -> tuple[np.ndarray, dict[str, list]]:
        """Augment one image.

        Args:
            pixels: (height, width, channels) of whole patches.
            objects: lists of "bbox" (x, y, width, height) in pixels, "category" and others.

        Returns:
            Pixels of whole patches, and the objects with some area left, "area" by the box if there was one.
        """
        if self.random is None:  # drawn late, so that each worker of a data loader has its own
            self.random = np.random.default_rng(np.random.randint(2**31))
        boxes = np.asarray(objects["bbox"], dtype=np.float64).reshape(-1, 4)
        if self.random.random() < self.crop:
            pixels, boxes = self._crop(pixels, boxes)
        if self.random.random() < self.flip:
            boxes = boxes.copy()
            boxes[:, 0] = pixels.shape[1] - boxes[:, 0] - boxes[:, 2]
            pixels = pixels[:, ::-1]
        kept = (boxes[:, 2:] > 1e-3).all(axis=1)
        names = [name for name in objects if name not in ("bbox", "area")]
        moved = {"bbox": boxes[kept].tolist()}
        moved |= {n: [v for v, keep in zip(objects[n], kept, strict=True) if keep] for n in names}
        if "area" in objects:
            moved["area"] = boxes[kept, 2:].prod(axis=1).tolist()
        return np.ascontiguousarray(pixels), moved

    def _crop(self, pixels: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        window = []
        for side in pixels.shape[:2]:
            patches = side // self.patch_size
            kept = int(self.random.integers(max(1, int(np.ceil(patches * self.smallest_crop))), patches + 1))
            start = int(self.random.integers(0, patches - kept + 1))
            window.append((start * self.patch_size, (start + kept) * self.patch_size))
        (top, bottom), (left, right) = window
        origin, limit = np.array([left, top]), np.array([right - left, bottom - top])
        first = np.clip(boxes[:, :2] - origin, 0, limit)
        last = np.clip(boxes[:, :2] + boxes[:, 2:] - origin, 0, limit)
        return pixels[top:bottom, left:right], np.concatenate([first, last - first], axis=1)
