"""The people in photographs: where their faces are, and whether they are found and told apart again."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from benchmarks.attacks.recognised_pictures import PEOPLE, PICTURES, pages, portraits
from benchmarks.harness.photographs import collection
from benchmarks.harness.settings import SIDE
from hipmr_hf.recognisers.base import Box
from hipmr_hf.recognisers.evidence import Evidence, scramble

COLLECTIONS = ("photos_kodak", "photos_skimage", "coco128_free_train")
STATUES = {("photos_kodak", 16)}
"""Photographs of a face that is nobody's."""
NEAREST, AROUND = 32, 2.4
"""Pixels that a face must be wide in its photograph to be cut out, and how many faces wide that crop is."""
NARROWEST = 16
"""Pixels that a face must be wide in a picture of 224 to count: a patch."""
SAME_PLACE, SAME_WIDTH = 0.3, 2.0
"""Share of two boxes' union that both cover, and how many times one may be as wide as the other."""
FITTED_ON = 8
Finder = Callable[[Sequence[np.ndarray]], Sequence[Sequence[Box]]]
Describer = Callable[[Sequence[np.ndarray], Sequence[Box]], np.ndarray]
Pictures = list[np.ndarray]


class Photographed(NamedTuple):
    """Pictures, uint8 (224, 224, 3) each, and the boxes of the faces in each."""

    pictures: Pictures
    faces: list[list[Box]]


class People:
    """Photographs of people, whole and near; those in which no face is found; what attackers learn from."""

    def __init__(self, data_dir: Path, finder: Finder) -> None:
        self._data_dir, self._finder = data_dir, finder
        self.whole, self.near = Photographed([], []), Photographed([], [])
        self._nobody: Pictures = []
        for name in COLLECTIONS:
            for number, photo in enumerate(collection(data_dir, name)):
                if min(photo.size) >= SIDE and (name, number) not in STATUES:
                    self._add(photo)
        self.nobody = self._nobody[:-FITTED_ON]

    def _add(self, photo: Image.Image) -> None:
        fitted = np.asarray(ImageOps.fit(photo, (SIDE, SIDE), Image.Resampling.BICUBIC))
        at_hand, faces = self._finder([np.asarray(photo)])[0], self._finder([fitted])[0]
        if not at_hand and not faces:
            self._nobody.append(fitted)
        if wide := [box for box in faces if box.width >= NARROWEST]:
            self.whole.pictures.append(fitted)
            self.whole.faces.append(wide)
        for box in at_hand:
            crop, place = crop_about(photo, box)
            (found,) = at_their_places([place], self._finder([crop])[0])
            if box.width >= NEAREST and found is not None:
                self.near.pictures.append(crop)
                self.near.faces.append([found])

    def to_fit_on(self) -> Pictures:
        """Pages, portraits and photographs that are not under attack; no face is found in these."""
        faces = portraits(self._data_dir)
        others = [faces[person * PICTURES + 9] for person in range(PEOPLE - FITTED_ON, PEOPLE)]
        return pages(FITTED_ON, seed=1).images + others + self._nobody[-FITTED_ON:]


def crop_about(photo: Image.Image, box: Box) -> tuple[np.ndarray, Box]:
    """Cut a square with a face in its middle, as far as the photograph goes, and say where the face is."""
    side = min(AROUND * box.width, *photo.size)
    left = min(max(0.0, (box.left + box.right - side) / 2), photo.width - side)
    top = min(max(0.0, (box.top + box.bottom - side) / 2), photo.height - side)
    area, times = (left, top, left + side, top + side), SIDE / side
    crop = photo.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=area)
    corner = (left, top, left, top)
    return np.asarray(crop), Box(*((at - start) * times for at, start in zip(box, corner, strict=True)))


def overlap(one: Box, other: Box) -> float:
    """Share of the union of two boxes that both cover.

    Example:
        >>> round(overlap(Box(0, 0, 2, 1), Box(1, 0, 3, 1)), 3)
        0.333
    """
    wide = min(one.right, other.right) - max(one.left, other.left)
    high = min(one.bottom, other.bottom) - max(one.top, other.top)
    both = max(0.0, wide) * max(0.0, high)
    return both / (one.width * one.height + other.width * other.height - both)


def at_their_places(faces: Sequence[Box], found: Sequence[Box]) -> list[Box | None]:
    """Return the box that was found where each face is, or None; no box counts for two faces.

    Args:
        faces: the true ones.
        found: the surest first, which also chooses first.
    """
    return _matched(faces, found, lambda face, box: overlap(face, box) - SAME_PLACE)


def anywhere(faces: Sequence[Box], found: Sequence[Box]) -> list[Box | None]:
    """Return a box of about the width of each face, wherever it is, or None; no box counts for two faces."""
    return _matched(faces, found, lambda face, box: np.log(SAME_WIDTH) - abs(np.log(box.width / face.width)))


def _matched(
    faces: Sequence[Box], found: Sequence[Box], alike: Callable[[Box, Box], float]
) -> list[Box | None]:
    """Give each box to the face that it is most alike, of those that have none, unless it is below zero."""
    matched: list[Box | None] = [None] * len(faces)
    for box in found:
        free = [number for number, taken in enumerate(matched) if taken is None]
        best = max(free, key=lambda number: alike(faces[number], box), default=None)
        if best is not None and alike(faces[best], box) >= 0:
            matched[best] = box
    return matched


class PhotographedEvidence:
    """Faces of photographs found again, and told from one another.

    Args:
        plain: the photographs, and where their faces are; all of different people.
        finder: a `FaceFinder`.
        describer: a `FaceDescriber`.
    """

    def __init__(self, plain: Photographed, finder: Finder, describer: Describer) -> None:
        self._faces, self._finder, self._describer = plain.faces, finder, describer
        self._rng = np.random.default_rng(0)
        self._gallery = self._described(plain.pictures, plain.faces)

    def _described(self, pictures: Pictures, boxes: Sequence[Sequence[Box]]) -> np.ndarray:
        each = [(picture, box) for picture, ones in zip(pictures, boxes, strict=True) for box in ones]
        return self._describer([picture for picture, _ in each], [box for _, box in each])

    def __call__(self, pictures: Pictures) -> dict[str, Evidence]:
        """Look for the faces in other versions of the photographs.

        Args:
            pictures: uint8 (height, width, 3), one for each photograph, in their order.

        Returns:
            A value for each face. `at_its_place` and `anywhere`: it is found; chance is how often that
            happens in the same versions cut into tiles of 16 pixels in random order. `identified`: of all
            plain faces of these photographs the nearest is its own, at its true place, which is given, or
            where it is found.
        """
        seen = [enlarged(picture) for picture in pictures]
        found, scrambled = self._finder(seen), self._finder([scramble(one, self._rng) for one in seen])
        again, evidence = [], {}
        for name, match in (("at_its_place", at_their_places), ("anywhere", anywhere)):
            again.append([match(*both) for both in zip(self._faces, found, strict=True)])
            luck = [match(*both) for both in zip(self._faces, scrambled, strict=True)]
            evidence[name] = Evidence(_there(again[-1]), float(np.mean(_there(luck))))
        return evidence | {"identified": self._identified(seen, *again)}

    def _identified(self, seen: Pictures, *again: list[list[Box | None]]) -> Evidence:
        """Describe every face at its place, and where it may have been found."""
        places = [self._faces]
        for found in again:
            both = zip(self._faces, found, strict=True)
            places.append([[box or face for face, box in zip(*one, strict=True)] for one in both])
        described = np.stack([self._described(seen, boxes) for boxes in places])
        apart = np.linalg.norm(described[:, :, None] - self._gallery, axis=3).min(axis=0)
        right = apart.argmin(axis=1) == np.arange(len(apart))
        return Evidence(tuple(map(float, right)), 1 / len(apart))


def found_in_nothing(pictures: Pictures, finder: Finder) -> dict[str, Evidence]:
    """Tell in which versions of photographs without a face one is found all the same."""
    found = finder([enlarged(picture) for picture in pictures])
    values = tuple(float(any(box.width >= NARROWEST for box in boxes)) for boxes in found)
    return {"where_there_is_none": Evidence(values, 0.0)}


def enlarged(picture: np.ndarray) -> np.ndarray:
    """Bring a version to the size of the plain picture: mixed-up ones are half as wide."""
    if picture.shape[:2] == (SIDE, SIDE):
        return picture
    image = Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _there(matched: Sequence[Sequence[Box | None]]) -> tuple[float, ...]:
    return tuple(float(box is not None) for boxes in matched for box in boxes)
