"""Put a shuffled image together again like a jigsaw puzzle, without any learning about images.

The attacker knows the settings (patch size, interval, drop ratio, image size), which travel with every
encrypted dataset, and not the permutation. Pieces are not turned (type-1 puzzles), may have a gap between
them, and may be missing.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InputValueError
from ...metrics.patch_order import chance_scores, order_scores
from ..base import AttackResult, check_shuffled, grid_shape, join_patches, split_mosaic
from .agreement import agreed_layouts
from .annealing import anneal, layout_energy
from .assembly import greedy_layout
from .pair_scores import pair_scores, pair_top1
from .weights import PairWeights, weights_for

if TYPE_CHECKING:
    from ...encryption.random_shuffling import RandomShuffling

THRESHOLDS = (6.0, 3.0, 1.0)
"""Log-odds down to which pairs are joined first; the layout of highest energy is then annealed."""

HEATS = (1.0, 3.0, 1.5)
"""Starting temperatures of the rounds, in turn: mend the greedy layout, search widely, mend again."""

MANY = 400
"""More patches than these are laid out by `agreement` as well; annealing mends that, and need not search."""

# Moves a patch in each stage of mending, and by which share of the energy it must grow to go on.
_STAGE, _WORTH_IT = 100, 0.003


@dataclasses.dataclass(frozen=True, eq=False)
class JigsawResult(AttackResult):
    """What the jigsaw attack found.

    Args:
        positions: (num_patches,) cell of the plain image's grid for each patch of the mosaic, row-major.
        energy: log-odds of the found layout.
        true_energy: log-odds of the true layout; None where it is not known. If it is higher than `energy`, a
            longer search would have found more (`search_limited`).
    """

    positions: np.ndarray | None = None
    energy: float = 0.0
    true_energy: float | None = None


@dataclasses.dataclass(frozen=True)
class JigsawAttack:
    """Solve the puzzle that random shuffling makes of an image.

    Args:
        encryption: the settings that the image was encrypted with.
        weights: how to weigh dissimilarities; by default those shipped for the nearest settings.
            `pair_scores.fit_weights` makes others.
        image_format: how the encrypted image was stored, see `jigsaw_weights.weights_for`.
        rounds: annealing runs, each starting from the best layout so far.
        steps: moves per run and patch; of more than `MANY` patches, as many as find more.
        seed: of the search.

    Example:
        >>> from hipmr_hf import RandomShuffling
        >>> from sklearn.datasets import load_sample_image
        >>> settings = RandomShuffling(image_size=112, patch_size=28)
        >>> result = JigsawAttack(settings, rounds=1, steps=50)(settings(load_sample_image("china.jpg")))
        >>> result.reconstruction.shape
        (112, 112, 3)
    """

    encryption: RandomShuffling
    weights: PairWeights | None = None
    rounds: int = 3
    steps: int = 5000
    seed: int = 0
    image_format: str = "png"

    def __post_init__(self) -> None:
        check_shuffled(self.encryption)
        if self.encryption.encrypted_patch_size < 2:
            raise InputValueError(
                "encryption: its encrypted patches are 1 pixel wide, expected 2 or more: a border needs two."
            )

    def __call__(
        self, encrypted: np.ndarray, truth: np.ndarray | None = None, *, unary: np.ndarray | None = None
    ) -> JigsawResult:
        """Attack one image.

        Args:
            encrypted: uint8 (height, width, channels) as encrypted.
            truth: (num_patches,) true cell of each patch, for scores; the attack itself does not look at it.
            unary: (num_patches, cells) log-odds of a patch standing in a cell, from an attacker that knows
                where things use to be; optional.

        Raises:
            ValueError: an image that is not of the settings' size.
        """
        started = time.process_time()
        pieces = self._pieces(encrypted)
        weights = self.weights or weights_for(self.encryption, image_format=self.image_format)
        scores = pair_scores(pieces, weights)
        return self.assemble(pieces, scores, truth, unary=unary, started=started)

    def assemble(
        self,
        pieces: np.ndarray,
        scores: np.ndarray,
        truth: np.ndarray | None = None,
        *,
        unary: np.ndarray | None = None,
        started: float | None = None,
    ) -> JigsawResult:
        """Put patches together by scores from elsewhere, such as a trained network's.

        Args:
            pieces: uint8 (num_patches, size, size, channels).
            scores: float (2, num_patches, num_patches) log-odds, [0, i, j] for j right of i, [1, i, j] for
                below; 0 means no better than a random pair.
            truth: as in calling.
            unary: as in calling.
            started: `time.process_time()` when the attack began; now by default.
        """
        started = time.process_time() if started is None else started
        shape = grid_shape(self.encryption)
        scores = scores.astype(np.float32)
        grid, tried = self._search(scores, shape, unary)
        positions = _positions(grid, len(pieces))
        seconds = time.process_time() - started
        result = JigsawResult(
            "jigsaw",
            join_patches(pieces, positions, shape),
            seconds,
            effort={"rounds": self.rounds, "steps": tried},
            positions=positions,
            energy=layout_energy(grid, scores, unary),
        )
        return result if truth is None else _score(result, truth, scores, shape, unary)

    def _pieces(self, encrypted: np.ndarray) -> np.ndarray:
        if encrypted.shape[:2] != self.encryption.encrypted_size:
            raise InputValueError(
                f"encrypted: got {encrypted.shape[0]}x{encrypted.shape[1]} pixels, expected "
                "{}x{} from the settings; pass the image as it was encrypted.".format(
                    *self.encryption.encrypted_size
                )
            )
        return split_mosaic(encrypted, self.encryption.encrypted_patch_size)

    def _search(
        self, scores: np.ndarray, shape: tuple[int, int], unary: np.ndarray | None
    ) -> tuple[np.ndarray, int]:
        """Return the layout, and how many moves were tried."""
        many = scores.shape[1] > MANY
        layouts = [greedy_layout(scores, shape, threshold=t, unary=unary) for t in THRESHOLDS]
        layouts += agreed_layouts(scores, shape, unary) if many else []
        grid = max(layouts, key=lambda layout: layout_energy(layout, scores, unary))
        if many:
            return self._mend(grid, scores, unary)
        steps = self.steps * scores.shape[1]
        for number in range(self.rounds):
            hot = HEATS[number % len(HEATS)]
            grid = anneal(grid, scores, steps=steps, seed=self.seed + number, unary=unary, hot=hot)
        return grid, self.rounds * steps

    def _mend(self, grid: np.ndarray, scores: np.ndarray, unary: np.ndarray | None) -> tuple[np.ndarray, int]:
        """Anneal piece by piece, for as long as it is worth it, and no longer than `rounds` and `steps`."""
        left, tried, energy = self.rounds * self.steps, 0, layout_energy(grid, scores, unary)
        while left > 0:
            steps = min(left, _STAGE) * scores.shape[1]
            left -= _STAGE
            seed = self.seed + tried
            grid = anneal(grid, scores, steps=steps, seed=seed, unary=unary, hot=HEATS[0])
            tried += steps
            before, energy = energy, layout_energy(grid, scores, unary)
            if energy - before <= _WORTH_IT * abs(energy):
                break
        return grid, tried


def _positions(grid: np.ndarray, count: int) -> np.ndarray:
    cells = np.flatnonzero(grid.ravel() >= 0)
    positions = np.empty(count, np.int64)
    positions[grid.ravel()[cells]] = cells
    return positions


def _score(
    result: JigsawResult,
    truth: np.ndarray,
    scores: np.ndarray,
    shape: tuple[int, int],
    unary: np.ndarray | None,
) -> JigsawResult:
    true_grid = np.full(shape[0] * shape[1], -1)
    true_grid[truth] = np.arange(len(truth))
    true_energy = layout_energy(true_grid.reshape(shape), scores, unary)
    return dataclasses.replace(
        result,
        scores=order_scores(result.positions, truth, shape) | {"pair_top1": pair_top1(scores, truth, shape)},
        chance=chance_scores(len(truth), shape) | {"pair_top1": 1 / max(1, len(truth) - 1)},
        true_energy=true_energy,
        search_limited=true_energy > result.energy + 1e-3,
    )
