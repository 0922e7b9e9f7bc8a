"""Puzzles with their solution, for attackers that learn who is whose neighbour."""

import dataclasses
from collections import deque
from collections.abc import Callable

import numpy as np
import torch

from ...encryption import RandomShuffling
from ..base import encrypt_with_truth, grid_shape, split_mosaic
from ..jigsaw.compatibility import dissimilarities
from ..jigsaw.pair_scores import pair_features, pair_top1, true_pairs
from ..jigsaw.weights import weights_for
from .training_crops import TrainingCrops


@dataclasses.dataclass(frozen=True, eq=False)
class Puzzles:
    """Encrypted images cut into patches, with the truth.

    Args:
        pieces: uint8 (batch, num_patches, size, size, channels).
        positions: (batch, num_patches), true cell of each patch.
        neighbours: int64 (batch, 4, num_patches), indices of the right, lower, left and upper neighbour;
            num_patches where there is none.
        shape: rows and columns of the grid.
    """

    pieces: torch.Tensor
    positions: np.ndarray
    neighbours: torch.Tensor
    shape: tuple[int, int]


def make_puzzles(encryption: RandomShuffling, images: np.ndarray) -> Puzzles:
    """Encrypt images, uint8 (batch, height, width, channels), with fresh randomness.

    Example:
        >>> settings = RandomShuffling(image_size=32, patch_size=16)
        >>> puzzles = make_puzzles(settings, np.zeros((1, 32, 32, 3), np.uint8))
        >>> puzzles.pieces.shape, int((puzzles.neighbours == 4).sum())  # each of the 4 lacks two
        (torch.Size([1, 4, 16, 16, 3]), 8)
    """
    sample, shape = encrypt_with_truth(encryption, images), grid_shape(encryption)
    pieces = np.stack([split_mosaic(image, encryption.encrypted_patch_size) for image in sample.images])
    neighbours = np.stack([_neighbours(positions, shape) for positions in sample.positions])
    return Puzzles(torch.from_numpy(pieces), sample.positions, torch.from_numpy(neighbours), shape)


def _neighbours(positions: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    neighbours = np.full((4, len(positions)), len(positions))
    for direction, (first, second) in enumerate(pairs.T for pairs in true_pairs(positions, shape)):
        neighbours[direction, first] = second
        neighbours[direction + 2, second] = first
    return neighbours


def handcrafted_features(pieces: np.ndarray, encryption: RandomShuffling) -> np.ndarray:
    """Features that the shipped weights weigh: float32 (features, 2, num_patches, num_patches)."""
    return pair_features(dissimilarities(pieces, weights_for(encryption).names))


def mean_top1(score: Callable[[int], np.ndarray], puzzles: Puzzles) -> float:
    """Mean of `pair_top1` over puzzles; `score` gives the scores of one of them by its number."""
    shares = [pair_top1(score(i), p, puzzles.shape) for i, p in enumerate(puzzles.positions)]
    return float(np.nanmean(shares))


class PuzzleStock:
    """Recent puzzles with their handcrafted features, which cost more to compute than to learn from.

    Args:
        encryption: the settings under attack.
        crops: training images.
        size: puzzles kept; the oldest goes when a new one comes.
    """

    def __init__(self, encryption: RandomShuffling, crops: TrainingCrops, *, size: int, seed: int):
        self._encryption, self._crops = encryption, crops
        self._kept: deque = deque(maxlen=size)
        self._random = np.random.default_rng(seed)

    def add(self) -> None:
        """Make one new puzzle."""
        puzzles = make_puzzles(self._encryption, self._crops.batch(1))
        features = handcrafted_features(puzzles.pieces[0].numpy(), self._encryption)
        stored = torch.from_numpy(features.astype(np.float16))
        self._kept.append((puzzles.pieces[0], stored, puzzles.neighbours[0]))

    def draw(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Take a kept puzzle, or its mirror image: pieces, features, neighbours."""
        pieces, features, neighbours = self._kept[self._random.integers(len(self._kept))]
        features = features.float()
        if self._random.random() < 0.5:
            pieces = pieces.flip(-2)
            features = torch.stack([features[:, 0].transpose(1, 2), features[:, 1]], dim=1)
            neighbours = neighbours[[2, 1, 0, 3]]
        return pieces, features, neighbours
