"""Words read by PP-OCRv4 (PaddleOCR, Apache licence), as `rapidocr-onnxruntime` ships it; offline."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

import numpy as np

from ..errors import check_extra
from .base import EXTRA, WORD_LIBRARIES, Line, check_pictures

SHORTEST = 4
"""Letters that a word must have to count; shorter ones stand in any text by chance."""


class WordReader:
    """Reads text, about half a second of one core a picture.

    Raises:
        MissingExtraError: the extra `recognisers` is not installed.
    """

    def __init__(self) -> None:
        check_extra("reading words", EXTRA, *WORD_LIBRARIES)
        from rapidocr_onnxruntime import RapidOCR

        threads = int(os.environ.get("OMP_NUM_THREADS") or -1)  # which onnxruntime does not look at
        self._network = RapidOCR(intra_op_num_threads=threads, inter_op_num_threads=threads)

    def __call__(self, pictures: Sequence[np.ndarray]) -> list[list[Line]]:
        """Return the lines that stand in each picture.

        Args:
            pictures: uint8 (height, width, 3) each.
        """
        check_pictures(pictures)
        return [self._read(picture) for picture in pictures]

    def _read(self, picture: np.ndarray) -> list[Line]:
        found, _ = self._network(np.ascontiguousarray(picture[..., ::-1]), use_cls=False)
        return [Line(text, float(np.ptp(np.asarray(corners)[:, 1]))) for corners, text, _ in found or []]


def words_of(lines: Iterable[Line]) -> list[str]:
    """Return the words that count, small letters, each once, in their order.

    Example:
        >>> words_of([Line("The Harvest of 2021,", 9), Line("harvest", 9)])
        ['harvest', '2021']
    """
    words = (word for line in lines for word in re.findall(r"[^\W_]+", line.text.lower()))
    return list(dict.fromkeys(word for word in words if len(word) >= SHORTEST))


def share_of_words(words: Sequence[str], lines: Iterable[Line]) -> float:
    """Tell how many of some words were read.

    Readers leave spaces out, so a word counts wherever its letters stand one after the other in a line.

    Args:
        words: at least one, small letters.
        lines: that were read.

    Example:
        >>> share_of_words(["harvest", "window"], [Line("Harvestwimdow", 9)])
        0.5
    """
    read = ["".join(re.findall(r"[^\W_]+", line.text.lower())) for line in lines]
    return sum(any(word in text for text in read) for word in words) / len(words)
