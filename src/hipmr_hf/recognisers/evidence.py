"""How much of what was recognised in plain pictures is recognised in what was made of them.

Each class below looks at plain pictures once, and then at any number of other versions of them: encrypted,
or put together again by an attacker. All are brought to the plain pictures' size first.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..errors import InputValueError
from ..metrics.likeness import likeness
from .base import Box
from .words import Line, share_of_words, words_of

if TYPE_CHECKING:
    from .base import Recogniser

_TILE = 16
_SAME_SIZE = 2.0
"""A face counts as found if it is at most so many times as wide, or as narrow, as the true one."""


@dataclasses.dataclass(frozen=True)
class Evidence:
    """How often something was recognised.

    Args:
        values: a share for each picture that had something to recognise.
        chance: what guessing gives, or the same recogniser where there is nothing to recognise.

    Example:
        >>> found = Evidence((1.0, 0.0, 1.0, 0.0), 0.1)
        >>> found.share, round(found.error, 2), found.n
        (0.5, 0.29, 4)
    """

    values: tuple[float, ...]
    chance: float

    @property
    def n(self) -> int:
        """Pictures."""
        return len(self.values)

    @property
    def share(self) -> float:
        """Mean over pictures; NaN without any."""
        return float(np.mean(self.values)) if self.values else math.nan

    @property
    def error(self) -> float:
        """Standard error of the mean; NaN below two pictures."""
        return float(np.std(self.values, ddof=1) / math.sqrt(self.n)) if self.n > 1 else math.nan


class FaceEvidence:
    """Faces found again, and told from others.

    Args:
        plain: uint8 (height, width, 3) each.
        finder: a `FaceFinder`.
        describer: a `FaceDescriber`.
        people: whom each plain picture shows; by default each somebody else.
        gallery: descriptors of faces that the attacker knows, (number, 128); by default those of the plain
            pictures themselves, as if he held them.
        gallery_people: whom they show.
        seed: of the random orders in which chance is looked for.
    """

    def __init__(
        self,
        plain: Sequence[np.ndarray],
        finder: Recogniser[Sequence[Box]],
        describer: Callable[[Sequence[np.ndarray], Sequence[Box]], np.ndarray],
        *,
        people: Sequence[int] | None = None,
        gallery: np.ndarray | None = None,
        gallery_people: Sequence[int] | None = None,
        seed: int = 0,
    ) -> None:
        found = [max(boxes, key=lambda box: box.width, default=None) for boxes in finder(plain)]
        self._finder, self._describer = finder, describer
        self.with_something = [number for number, box in enumerate(found) if box is not None]
        self._boxes = [box for box in found if box is not None]
        self._plain = [plain[number] for number in self.with_something]
        people = list(range(len(plain)) if people is None else people)
        self._people = np.array([people[number] for number in self.with_something], int)
        if gallery is None:
            gallery, gallery_people = describer(self._plain, self._boxes), list(self._people)
        if gallery_people is None or len(gallery) != len(gallery_people):
            raise InputValueError("gallery_people: expected one for each row of the gallery; give them.")
        self._gallery, self._known = gallery, np.array(gallery_people, int)
        self._rng = np.random.default_rng(seed)

    def __call__(self, pictures: Sequence[np.ndarray]) -> dict[str, Evidence]:
        """Look for the faces of the plain pictures in other versions of them.

        Args:
            pictures: uint8 (height, width, 3), one for each plain picture, in their order.

        Returns:
            `faces_found`: a face of about the true width is found anywhere; chance is how often that happens
            in the same pictures cut into tiles of 16 pixels in random order. `faces_identified`: the nearest
            face of the gallery is the person's, at the true place, which is given, or at one that was found.
        """
        seen = [
            _resized(pictures[number], plain.shape[:2])
            for number, plain in zip(self.with_something, self._plain, strict=True)
        ]
        found = [_alike(boxes, box) for boxes, box in zip(self._finder(seen), self._boxes, strict=True)]
        scrambled = self._finder([scramble(picture, self._rng) for picture in seen])
        by_chance = [bool(_alike(*both)) for both in zip(scrambled, self._boxes, strict=True)]
        identified = [
            self._identified(picture, [box, *others[:1]], person)
            for picture, box, others, person in zip(seen, self._boxes, found, self._people, strict=True)
        ]
        guessed = float(np.mean(self._people[:, None] == self._known)) if len(seen) else math.nan
        return {
            "faces_found": Evidence(tuple(float(bool(boxes)) for boxes in found), _mean(by_chance)),
            "faces_identified": Evidence(tuple(identified), guessed),
        }

    def _identified(self, picture: np.ndarray, boxes: Sequence[Box], person: int) -> float:
        described = self._describer([picture] * len(boxes), boxes)
        apart = np.linalg.norm(described[:, None] - self._gallery[None], axis=2).min(axis=0)
        return float(self._known[apart.argmin()] == person)


class WordEvidence:
    """Words read again.

    Args:
        plain: uint8 (height, width, 3) each.
        reader: a `WordReader`.
        words: that stand in each picture; by default those that are read in the plain ones.
    """

    def __init__(
        self,
        plain: Sequence[np.ndarray],
        reader: Recogniser[Sequence[Line]],
        *,
        words: Sequence[Sequence[str]] | None = None,
    ) -> None:
        words = [words_of(lines) for lines in reader(plain)] if words is None else words
        self._reader = reader
        self.with_something = [number for number, listed in enumerate(words) if listed]
        self._words = [list(words[number]) for number in self.with_something]
        self._sizes = [plain[number].shape[:2] for number in self.with_something]

    def __call__(self, pictures: Sequence[np.ndarray]) -> dict[str, Evidence]:
        """Read other versions of the plain pictures.

        Args:
            pictures: uint8 (height, width, 3), one for each plain picture, in their order.

        Returns:
            `words_read`: share of each picture's words; chance is the share of another picture's words that
            is read in it.
        """
        seen = [
            _resized(pictures[number], size)
            for number, size in zip(self.with_something, self._sizes, strict=True)
        ]
        lines = self._reader(seen)
        read = [share_of_words(*both) for both in zip(self._words, lines, strict=True)]
        others = [
            share_of_words([word for word in other if word not in own] or ["\0"], one)
            for own, other, one in zip(self._words, [*self._words[1:], *self._words[:1]], lines, strict=True)
        ]
        return {"words_read": Evidence(tuple(read), _mean(others) if len(others) > 1 else 0.0)}


class SceneEvidence:
    """The plain picture retrieved among candidates by its scene.

    Args:
        candidates: uint8 (height, width, 3) each, plain; pictures are versions of the first ones.
        describer: a `SceneDescriber`.
    """

    def __init__(
        self, candidates: Sequence[np.ndarray], describer: Callable[[Sequence[np.ndarray]], np.ndarray]
    ) -> None:
        self._describer, self._gallery = describer, describer(candidates)

    def __call__(self, pictures: Sequence[np.ndarray]) -> dict[str, Evidence]:
        """Retrieve each picture.

        Args:
            pictures: uint8 (height, width, 3), versions of the first candidates, in their order.

        Returns:
            `scene_retrieved`: the candidate of the most similar features is the picture's own.
        """
        nearest = (self._describer(pictures) @ self._gallery.T).argmax(axis=1)
        right = nearest == np.arange(len(pictures))
        return {"scene_retrieved": Evidence(tuple(map(float, right)), 1 / len(self._gallery))}


def scramble(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lay the tiles of a picture out in random order, whole tiles of 16 pixels only.

    Example:
        >>> scramble(np.zeros((40, 64, 3), np.uint8), np.random.default_rng(0)).shape
        (32, 64, 3)
    """
    rows, columns = (max(1, side // _TILE) for side in picture.shape[:2])
    tall, wide = min(_TILE, picture.shape[0]), min(_TILE, picture.shape[1])
    cut = picture[: rows * tall, : columns * wide].reshape(rows, tall, columns, wide, 3).swapaxes(1, 2)
    shuffled = rng.permutation(cut.reshape(rows * columns, tall, wide, 3))
    tiles = shuffled.reshape(rows, columns, tall, wide, 3).swapaxes(1, 2)
    return np.ascontiguousarray(tiles.reshape(rows * tall, columns * wide, 3))


def best_turned(picture: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """Turn a picture as a whole, and mirror it, so that it looks most like the plain one.

    An attacker who puts turned pieces together does not know which side is up, and who looks at it turns it.

    Args:
        picture: uint8 (height, width, 3).
        plain: uint8 (height, width, 3).

    Example:
        >>> plain = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2)
        >>> bool((best_turned(np.rot90(plain), plain) == plain).all())
        True
    """
    ways = [np.rot90(side, turns) for side in (picture, picture[:, ::-1]) for turns in range(4)]
    ways = [way for way in ways if way.shape == picture.shape]  # the frame may be longer than it is wide
    best = max(ways, key=lambda way: likeness(_resized(way, plain.shape[:2]), plain)["likeness"])
    return np.ascontiguousarray(best)


def _alike(boxes: Sequence[Box], box: Box) -> list[Box]:
    return [one for one in boxes if 1 / _SAME_SIZE <= one.width / box.width <= _SAME_SIZE]


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if picture.shape[:2] == tuple(size):
        return picture
    return np.asarray(
        Image.fromarray(np.ascontiguousarray(picture)).resize(size[::-1], Image.Resampling.BICUBIC)
    )


def _mean(values: Sequence[float | bool]) -> float:
    return float(np.mean(values)) if len(values) else math.nan
