"""Scenes of scikit-learn's real handwritten digits with boxes: a small detection dataset without a download.

It lies in the package, not among the examples, because tests, the quick start and benchmarks share it.
"""

import numpy as np
from datasets import ClassLabel, Dataset, Features, Image, List, Value
from PIL import Image as PILImage

from ..errors import InputValueError, needs_extra

_INK = 0.4  # share of ink from which a pixel is the digit's
_SPLITS = {"train": slice(0, 1400), "test": slice(1400, None)}  # of the 1,797 digits


def digit_scenes(
    num_images: int,
    *,
    seed: int,
    split: str = "train",
    size: tuple[int, int] = (96, 128),
    max_digits: int = 5,
    digit_sizes: tuple[int, int] = (20, 44),
    one_class: bool = False,
    with_masks: bool = False,
) -> Dataset:
    """Compose scenes of 0 to `max_digits` digits of random sizes and colours that do not overlap.

    Args:
        num_images: scenes to make.
        seed: the same seed gives the same scenes.
        split: "train" or "test"; no digit is in both.
        size: (height, width) of a scene in pixels.
        max_digits: most digits in a scene; one in `max_digits + 1` has none.
        digit_sizes: least and greatest height of a digit in pixels.
        one_class: call every digit "digit". Finding digits is learned in minutes; telling them apart wherever
            they are takes a detector from scratch far longer.
        with_masks: add `mask`, a map of classes: 0 for the ground, and for ink the digit + 1, or 1 with
            `one_class`; the pictures stay the same.

    Returns:
        A dataset with `image` and `objects`: "bbox" (x, y, width, height) around the ink, and "category";
        and `mask` if asked for.

    Raises:
        MissingExtraError: scikit-learn is missing.
        ValueError: an unknown split, or digits that are larger than the scene.

    Example:
        >>> scenes = digit_scenes(2, seed=0)
        >>> scenes[0]["image"].size, sorted(scenes[0]["objects"])
        ((128, 96), ['bbox', 'category'])
    """
    if split not in _SPLITS:
        raise InputValueError(f"split: got {split!r}, expected 'train' or 'test'.")
    if not 8 <= digit_sizes[0] <= digit_sizes[1] <= min(size):
        raise InputValueError(
            f"digit_sizes: got {digit_sizes}, expected two rising numbers from 8 to the scene's shorter "
            f"side, {min(size)}."
        )
    pictures, labels = _digits(split)
    random = np.random.default_rng(seed)
    rows = [_compose(pictures, labels, random, size, max_digits, digit_sizes) for _ in range(num_images)]
    for row in rows:
        mask = row.pop("mask")
        if one_class:
            row["objects"]["category"] = [0] * len(row["objects"]["category"])
            mask = mask.clip(max=1)
        if with_masks:
            row["mask"] = PILImage.fromarray(mask)
    names = ["digit"] if one_class else [str(digit) for digit in range(10)]
    objects = {"bbox": List(List(Value("float32"), length=4)), "category": List(ClassLabel(names=names))}
    features = {"image": Image(), "objects": objects} | ({"mask": Image()} if with_masks else {})
    return Dataset.from_list(rows, features=Features(features))


def _digits(split: str) -> tuple[list[np.ndarray], np.ndarray]:
    """The digits of a split, each cut to its ink: (height, width) between 0 and 1."""
    with needs_extra("digit_scenes", "examples"):
        from sklearn.datasets import load_digits
    data = load_digits()
    pictures = []
    for picture in data.images[_SPLITS[split]] / 16:
        rows, columns = (np.flatnonzero((picture > 0.25).any(axis=axis)) for axis in (1, 0))
        pictures.append(picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    return pictures, data.target[_SPLITS[split]]


def _compose(
    pictures: list[np.ndarray],
    labels: np.ndarray,
    random: np.random.Generator,
    size: tuple[int, int],
    max_digits: int,
    digit_sizes: tuple[int, int],
) -> dict:
    scene = _background(random, size)
    taken = np.zeros(size, dtype=bool)
    mask = np.zeros(size, dtype=np.uint8)
    boxes, categories = [], []
    for _ in range(random.integers(0, max_digits + 1)):
        index = int(random.integers(len(pictures)))
        height = int(random.integers(digit_sizes[0], digit_sizes[1] + 1))
        width = min(size[1], max(4, round(height * pictures[index].shape[1] / pictures[index].shape[0])))
        place = _free_place(taken, (height, width), random)
        if place is None:
            continue
        top, left = place
        ink = PILImage.fromarray((pictures[index] * 255).astype(np.uint8))
        ink = np.asarray(ink.resize((width, height), PILImage.Resampling.BICUBIC))[..., None] / 255
        colour = random.uniform(170, 255, 3)
        window = scene[top : top + height, left : left + width]
        window += ink * (colour - window)
        taken[top : top + height, left : left + width] = True
        mask[top : top + height, left : left + width] = (ink[..., 0] > _INK) * (labels[index] + 1)
        boxes.append([float(left), float(top), float(width), float(height)])
        categories.append(int(labels[index]))
    picture = PILImage.fromarray(scene.clip(0, 255).astype(np.uint8))
    return {"image": picture, "objects": {"bbox": boxes, "category": categories}, "mask": mask}


def _background(random: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A dark gradient of a random colour with noise: float (height, width, 3)."""
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    slope = random.uniform(-0.3, 0.3, 2)
    light = 1 + slope[0] * rows / size[0] + slope[1] * columns / size[1]
    return light[..., None] * random.uniform(20, 90, 3) + random.normal(0, 4, (*size, 3))


def _free_place(
    taken: np.ndarray, shape: tuple[int, int], random: np.random.Generator, attempts: int = 20
) -> tuple[int, int] | None:
    """A place (top, left) that no other digit touches, if one is found."""
    for _ in range(attempts):
        top, left = (
            int(random.integers(0, side - length + 1))
            for side, length in zip(taken.shape, shape, strict=True)
        )
        if not taken[top : top + shape[0], left : left + shape[1]].any():
            return top, left
    return None
