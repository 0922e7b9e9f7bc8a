"""The attack on patches that were turned, mixed or toned: pair scores fitted per setting, then assembly."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InputValueError
from ...metrics.turned_order import partner_share, true_neighbours, turned_chance, turned_scores
from ..base import AttackResult, check_shuffled, encrypt_with_truth, grid_shape, join_patches, split_mosaic
from .pair_features import Learned, view_of
from .pair_model import PairModel, Puzzle, fit_pair_model
from .places import gains, lay_out, layout_worth

if TYPE_CHECKING:
    from ...encryption.random_shuffling import RandomShuffling


@dataclasses.dataclass(frozen=True, eq=False)
class TurnedResult(AttackResult):
    """What the attack found.

    Args:
        positions: int (num_patches,), the cell of each patch of the mosaic, up to a symmetry of the square.
    """

    positions: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class TurnedAttacker:
    """Finds neighbours under one setting; made by `fit_turned`.

    Args:
        encryption: the settings under attack.
        models: score pairs; what they say is averaged.
        steps: annealing moves of a run and patch.
        runs: of annealing.
        seed: of the search.
    """

    encryption: RandomShuffling
    models: tuple[PairModel, ...]
    steps: int = 2000
    runs: int = 2
    seed: int = 0

    @property
    def effort(self) -> dict[str, Any]:
        """What fitting took: pictures, trees and cpu_seconds, of all models together but for the pictures."""
        efforts = [model.effort for model in self.models]
        summed = {name: sum(effort[name] for effort in efforts) for name in ("trees", "cpu_seconds")}
        return {**efforts[0], **summed}

    def __call__(self, encrypted: np.ndarray, truth: np.ndarray | None = None) -> TurnedResult:
        """Attack one image.

        Args:
            encrypted: uint8 (height, width, channels) as encrypted.
            truth: (num_patches,) true cell of each patch, for scores alone.

        Returns:
            The layout; scores are partner, adjacent and distance (see `metrics.turned_order`).
        """
        started = time.process_time()
        pieces, shape = (
            split_mosaic(encrypted, self.encryption.encrypted_patch_size),
            grid_shape(self.encryption),
        )
        scores = np.mean([model(pieces) for model in self.models], axis=0)
        grid = lay_out(scores, shape, steps=self.steps, seed=self.seed, runs=self.runs)
        positions = np.empty(len(pieces), np.int64)
        cells = np.flatnonzero(grid.ravel() >= 0)
        positions[grid.ravel()[cells]] = cells
        seconds = time.process_time() - started
        picture = join_patches(pieces, positions, shape)
        result = TurnedResult("turned", picture, seconds, effort=dict(self.effort), positions=positions)
        if truth is None:
            return result
        true_grid = np.full(shape[0] * shape[1], -1)
        true_grid[truth] = np.arange(len(truth))
        worth = gains(scores)
        chance = turned_chance(len(truth), shape)
        found = {"partner": partner_share(scores, truth, shape), **turned_scores(positions, truth, shape)}
        return dataclasses.replace(
            result,
            scores=found,
            chance={name: chance[name] for name in found},
            search_limited=layout_worth(true_grid.reshape(shape), worth) > layout_worth(grid, worth) + 1e-3,
        )


def fit_turned(
    encryption: RandomShuffling,
    plain: Iterable[np.ndarray],
    *,
    trees: int = 200,
    models: int = 1,
    learned: Learned | None = None,
    seed: int = 0,
    progress: Callable[[float, str], None] = lambda share, text: None,
    **search: int,
) -> TurnedAttacker:
    """Fit the attacker for one setting on pictures that are not attacked, which it encrypts itself.

    Args:
        encryption: the settings under attack.
        plain: uint8 (height, width, 3), prepared as the encryption prepares pictures; a hundred crops are
            better than ten.
        trees: boosting rounds.
        models: boosted one after another, each on orders and turns of its own; their scores are averaged.
        learned: a network's scores of pairs, from `train_turned_pairs` on other pictures: one feature more.
        seed: of fitting and search; orders and turns are always drawn afresh.
        progress: called with the share of the fitting that is done, and a few words.
        search: `steps` and `runs` of `TurnedAttacker`.

    Raises:
        InputTypeError: settings that leave patches in their places.
        InputValueError: fewer than two pictures, no models, or encrypted patches of one pixel.

    Example:
        >>> from hipmr_hf import RandomShuffling
        >>> settings = RandomShuffling(image_size=64, patch_size=16, sub_patch_symmetries=True)
        >>> rng = np.random.default_rng(0)
        >>> noise = [rng.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(4)]
        >>> attacker = fit_turned(settings, noise, trees=2, steps=20)
        >>> attacker(settings(noise[0])).reconstruction.shape
        (64, 64, 3)
    """
    check_shuffled(encryption)
    if encryption.encrypted_patch_size < 2:
        raise InputValueError(
            "encryption: its encrypted patches are 1 pixel wide, expected 2 or more: a border needs two."
        )
    if models < 1:
        raise InputValueError(f"models: got {models}, expected 1 or more.")
    pictures = list(plain)
    if len(pictures) < 2:
        raise InputValueError(f"plain: got {len(pictures)} pictures, expected 2 or more to learn from.")

    def fitted(number: int) -> PairModel:
        def told(share: float, text: str) -> None:
            progress((number + share) / models, text if models == 1 else f"model {number + 1}: {text}")

        puzzles = [_puzzle(encryption, picture) for picture in pictures]
        options = {"trees": trees, "learned": learned, "seed": seed + number, "progress": told}
        return fit_pair_model(puzzles, view_of(encryption), **options)

    return TurnedAttacker(encryption, tuple(fitted(number) for number in range(models)), seed=seed, **search)


def _puzzle(encryption: RandomShuffling, picture: np.ndarray) -> Puzzle:
    sample = encrypt_with_truth(encryption, picture[None])
    pieces = split_mosaic(sample.images[0], encryption.encrypted_patch_size)
    return pieces, true_neighbours(sample.positions[0], grid_shape(encryption))
