"""The attack on whole turned patches: which side goes with which, then position and turn of all patches.

Patches that are not mixed are pieces of the picture, however they were turned. Where pairs of patches were
scored by what turns do not change (`jigsaw_turned`), these scores are one feature among the costs of borders.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...encryption.patches import NUM_SYMMETRIES
from ...errors import InputValueError
from ...metrics.turned_order import partner_share, true_neighbours, turned_chance, turned_scores
from ..base import AttackResult, check_shuffled, encrypt_with_truth, grid_shape, join_patches, split_mosaic
from ..jigsaw_turned.pair_features import view_of
from ..jigsaw_turned.pair_model import PairModel, fit_pair_model
from .annealing import anneal_turned, layout_energy
from .joining import joined_layout
from .side_scores import SideWeights, fit_side_weights, side_features, side_log_odds
from .turns import INVERSE, below, true_rights, turned

if TYPE_CHECKING:
    from ...encryption.random_shuffling import RandomShuffling

THRESHOLDS = (6.0, 3.0, 1.0)
HEATS = (1.0, 3.0, 1.5)
"""As in `jigsaw.solver`: mend the joined layout, search widely, mend again."""

_SHARE_FOR_PAIRS = 0.6


@dataclasses.dataclass(frozen=True, eq=False)
class WholeResult(AttackResult):
    """What the attack found.

    Args:
        positions: int (num_patches,), the cell of each patch of the mosaic, up to a symmetry of the square.
        turns: int (num_patches,), the symmetry applied to each patch of the mosaic.
    """

    positions: np.ndarray | None = None
    turns: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class WholeAttacker:
    """Puts whole turned patches together under one setting; made by `fit_whole`.

    Args:
        encryption: the settings under attack.
        weights: of costs of borders.
        pairs: scores pairs by what turns do not change; None without.
        rounds: annealing runs, each from the best layout so far.
        steps: moves of a run and patch.
        seed: of the search.
        effort: what fitting took.
    """

    encryption: RandomShuffling
    weights: SideWeights
    pairs: PairModel | None
    rounds: int = 3
    steps: int = 3000
    seed: int = 0
    effort: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __call__(
        self, encrypted: np.ndarray, truth: np.ndarray | None = None, turns: np.ndarray | None = None
    ) -> WholeResult:
        """Attack one image.

        Args:
            encrypted: uint8 (height, width, channels) as encrypted.
            truth: (num_patches,) true cell of each patch, for scores alone.
            turns: (num_patches,) symmetry that each was turned by, for scores alone; goes with `truth`.

        Returns:
            The picture put together. Scores: side (share of sides whose best-scored neighbour is the true
            one under the true turn), partner, adjacent, distance and neighbour_turned, see
            `metrics.turned_order`.
        """
        started = time.process_time()
        pieces = split_mosaic(encrypted, self.encryption.encrypted_patch_size)
        right = self._scores(pieces)
        under = below(right)
        grid = self._search(right, under)
        cells = np.flatnonzero(grid.ravel() >= 0)
        found = grid.ravel()[cells]
        positions, own = np.empty(len(pieces), np.int64), np.empty(len(pieces), np.int64)
        positions[found // NUM_SYMMETRIES] = cells
        own[found // NUM_SYMMETRIES] = found % NUM_SYMMETRIES
        shown = turned(pieces)[np.arange(len(pieces)) * NUM_SYMMETRIES + own]
        result = WholeResult(
            "whole",
            join_patches(shown, positions, grid_shape(self.encryption)),
            time.process_time() - started,
            effort={**self.effort, "steps": self.rounds * self.steps * len(pieces)},
            positions=positions,
            turns=own,
        )
        return result if truth is None else self._scored(result, right, under, grid, truth, turns)

    def _scores(self, pieces: np.ndarray) -> np.ndarray:
        pairs = None if self.pairs is None else self.pairs(pieces)
        return side_log_odds(side_features(pieces, view_of(self.encryption).left, pairs), self.weights)

    def _search(self, right: np.ndarray, under: np.ndarray) -> np.ndarray:
        shape = grid_shape(self.encryption)
        layouts = [joined_layout(right, under, shape, threshold) for threshold in THRESHOLDS]
        grid = max(layouts, key=lambda layout: layout_energy(layout, right, under))
        steps = self.steps * len(right) // NUM_SYMMETRIES
        for number in range(self.rounds):
            hot = HEATS[number % len(HEATS)]
            grid = anneal_turned(grid, right, under, steps=steps, seed=self.seed + number, hot=hot)
        return grid

    def _scored(self, result, right, under, grid, truth, turns) -> WholeResult:
        shape, rights = grid_shape(self.encryption), true_rights(truth, turns, grid_shape(self.encryption))
        upright = np.full(shape[0] * shape[1], -1)
        upright[truth] = np.arange(len(truth)) * NUM_SYMMETRIES + INVERSE[turns]
        known = rights >= 0
        best = right.reshape(len(truth), NUM_SYMMETRIES, len(truth), NUM_SYMMETRIES).max(axis=(1, 3))
        scores = {
            "side": float((right.argmax(axis=1) == rights)[known].mean()),
            "partner": partner_share(best, truth, shape),
            **turned_scores(result.positions, truth, shape, found_turns=result.turns, true_turns=turns),
        }
        chance = turned_chance(len(truth), shape)
        chance["side"] = 1 / (NUM_SYMMETRIES * max(1, len(truth) - 1))
        true_energy = layout_energy(upright.reshape(shape), right, under)
        return dataclasses.replace(
            result,
            scores=scores,
            chance={name: chance[name] for name in scores},
            search_limited=true_energy > layout_energy(grid, right, under) + 1e-3,
        )


def cannot_be_whole(encryption: RandomShuffling) -> str | None:
    """Tell why patches are no whole turned pieces under these settings, or None.

    Example:
        >>> from hipmr_hf import RandomShuffling
        >>> cannot_be_whole(RandomShuffling())
        'no patch is turned'
    """
    if encryption.sub_patch_grid > 1:
        return "patches are mixed, so no turn of a patch gives a piece of the picture"
    return None if encryption.sub_patch_symmetries else "no patch is turned"


def fit_whole(
    encryption: RandomShuffling,
    plain: Iterable[np.ndarray],
    *,
    trees: int = 120,
    seed: int = 0,
    progress: Callable[[float, str], None] = lambda share, text: None,
    **search: int,
) -> WholeAttacker:
    """Fit the attacker for one setting on pictures that are not attacked, which it encrypts itself.

    Args:
        encryption: the settings under attack: whole patches, turned.
        plain: uint8 (height, width, 3), prepared as the encryption prepares pictures. Some are for pair
            scores, the others for the sides.
        trees: boosting rounds of the pair scores; 0 goes without them.
        seed: of fitting and search; orders and turns are always drawn afresh.
        progress: called with the share of the fitting that is done, and a few words.
        search: `rounds` and `steps` of `WholeAttacker`.

    Raises:
        InputTypeError: settings that leave patches in their places.
        InputValueError: settings whose patches are mixed or not turned; fewer than four pictures.

    Example:
        >>> from hipmr_hf import RandomShuffling
        >>> settings = RandomShuffling(image_size=64, patch_size=16, sub_patch_symmetries=True)
        >>> rng = np.random.default_rng(0)
        >>> noise = [rng.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(4)]
        >>> attacker = fit_whole(settings, noise, trees=0, rounds=1, steps=20)
        >>> attacker(settings(noise[0])).reconstruction.shape
        (64, 64, 3)
    """
    started = time.process_time()
    check_shuffled(encryption)
    if reason := cannot_be_whole(encryption):
        raise InputValueError(f"encryption: {reason}; JigsawAttack and fit_turned attack such settings.")
    pictures = list(plain)
    if len(pictures) < 4:
        raise InputValueError(f"plain: got {len(pictures)} pictures, expected 4 or more to learn from.")
    split = round(_SHARE_FOR_PAIRS * len(pictures)) if trees else 0
    pairs = _pair_model(encryption, pictures[:split], trees, seed, progress) if trees else None
    left, rest = view_of(encryption).left, pictures[split:]

    def puzzles():
        for number, picture in enumerate(rest):
            sample = encrypt_with_truth(encryption, picture[None])
            pieces = split_mosaic(sample.images[0], encryption.encrypted_patch_size)
            scores = None if pairs is None else pairs(pieces)
            rights = true_rights(sample.positions[0], sample.turns[0], grid_shape(encryption))
            yield side_features(pieces, left, scores), rights
            progress(0.6 + 0.4 * number / len(rest), "sides")

    weights = fit_side_weights(puzzles(), seed)
    seconds = time.process_time() - started
    effort = {"pictures": len(pictures), "trees": 2 * trees, "cpu_seconds": seconds}
    return WholeAttacker(encryption, weights, pairs, seed=seed, effort=effort, **search)


def _pair_model(
    encryption: RandomShuffling,
    pictures: Sequence[np.ndarray],
    trees: int,
    seed: int,
    progress: Callable[[float, str], None],
) -> PairModel:
    puzzles = []
    for picture in pictures:
        sample = encrypt_with_truth(encryption, picture[None])
        pieces = split_mosaic(sample.images[0], encryption.encrypted_patch_size)
        puzzles.append((pieces, true_neighbours(sample.positions[0], grid_shape(encryption))))
    return fit_pair_model(
        puzzles,
        view_of(encryption),
        trees=trees,
        seed=seed,
        progress=lambda share, text: progress(0.6 * share, text),
    )
