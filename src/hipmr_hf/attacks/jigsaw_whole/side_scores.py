"""From costs to log-odds that a turned patch stands to the right of another, fitted for one setting.

As in `jigsaw.pair_scores`: costs relative to their row and column, weighed by a conditional logit in which
every side of a patch chooses among all sides of all others, or none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from ...encryption.patches import NUM_SYMMETRIES
from .costs import directed_costs
from .turns import FLIP_COLUMNS, from_upper_half, upper_half

NEVER = -30.0
RIVALS = 40
"""Likeliest rivals of a neighbour that the weights are fitted on, and as many of the others."""
_RIDGE = 1e-3
_GOOD = 20


@dataclasses.dataclass(frozen=True, eq=False)
class SideWeights:
    """How to weigh the features of pairs of turned patches.

    Args:
        weights: float (features,).
        absent: score of "none of them".
    """

    weights: np.ndarray
    absent: float


def side_features(pieces: np.ndarray, left: str, pairs: np.ndarray | None) -> np.ndarray:
    """Compute features of all pairs of turned patches.

    Args:
        pieces: uint8 (num_patches, size, size, channels).
        left: what the settings leave, as in `jigsaw_turned.descriptors.restored`.
        pairs: float (num_patches, num_patches), log-odds of lying side by side anyhow; None without them.

    Returns:
        float32 (features, 4 * num_patches, 8 * num_patches); higher is better.
    """
    costs = directed_costs(pieces, left)
    count = costs.shape[2]
    lefts = upper_half(count)
    costs[:, _same(count)] = np.inf
    usual = np.median(costs[:, :, ::7], axis=(1, 2))[:, None] + 1e-6
    nearest = min(count - NUM_SYMMETRIES, _GOOD)
    in_row = np.empty((len(costs), count), np.float32)
    in_row[:, lefts] = np.partition(costs, nearest - 1, axis=2)[:, :, :nearest].mean(axis=2)
    in_row[:, lefts ^ 2] = in_row[:, lefts]
    # Exchanging columns makes lefts of rights.
    in_column = in_row[:, np.arange(count) ^ FLIP_COLUMNS]
    floor = 0.01 * usual
    relative = (costs + floor[:, :, None]) / np.sqrt(
        (in_row[:, lefts] + floor)[:, :, None] * (in_column + floor)[:, None]
    )
    relative[:, _same(count)] = 10
    features = [-np.log(relative), -np.minimum(relative, 10)]
    if pairs is not None:
        clipped = np.clip(pairs, -10, 10).astype(np.float32) / 4
        per_side = np.repeat(np.repeat(clipped, 4, axis=0), NUM_SYMMETRIES, axis=1)
        features.append(np.stack([per_side, np.maximum(per_side, 0)]))
    return np.concatenate(features).astype(np.float32)


def _same(count: int) -> np.ndarray:
    """Which pairs are one patch twice: bool (count / 2, count)."""
    return upper_half(count)[:, None] // NUM_SYMMETRIES == np.arange(count)[None] // NUM_SYMMETRIES


def side_log_odds(features: np.ndarray, fitted: SideWeights) -> np.ndarray:
    """Combine features, and compare each pair with all others of its row and column.

    Args:
        features: from `side_features`.
        fitted: from `fit_side_weights`.

    Returns:
        float32 (8 * num_patches, 8 * num_patches), [v, w] for w to the right of v; 0 is a random pair.
    """
    half = np.tensordot(fitted.weights.astype(np.float32), features, axes=1)
    count = half.shape[1]
    half[_same(count)] = -1e4
    scores = from_upper_half(half)
    scores = (scores + scores[np.ix_(*[np.arange(count) ^ FLIP_COLUMNS] * 2)].T) / 2
    best = scores.max(axis=1, keepdims=True)
    in_row = np.logaddexp(best + np.log(np.exp(scores - best).sum(axis=1, keepdims=True)), fitted.absent)
    in_column = in_row[np.arange(count) ^ FLIP_COLUMNS].T
    odds = scores - (in_row + in_column) / 2 + np.log(max(1, count - NUM_SYMMETRIES))
    return np.maximum(odds, NEVER).astype(np.float32)


def fit_side_weights(puzzles: Iterable[tuple[np.ndarray, np.ndarray]], seed: int = 0) -> SideWeights:
    """Fit the weights.

    Args:
        puzzles: features from `side_features`, and the true rights from `turns.true_rights`.
        seed: of the choice of rivals.
    """
    from scipy.optimize import minimize

    rng = np.random.default_rng(seed)
    chosen = [_with_rivals(features, rights, rng) for features, rights in puzzles]
    features = np.concatenate([one for one, _, _ in chosen])  # (sides, 1 + 2 * rivals, features)
    present = np.concatenate([one for _, one, _ in chosen])
    offsets = np.zeros(features.shape[1], np.float32)
    offsets[-(features.shape[1] // 2) :] = chosen[0][2]

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        scores = features @ parameters[:-1].astype(np.float32) + offsets
        scores = np.concatenate([scores, np.full((len(scores), 1), parameters[-1], np.float32)], axis=1)
        scores[~present, 0] = -1e9
        target = np.where(present, 0, scores.shape[1] - 1)
        scores -= scores.max(axis=1, keepdims=True)
        chance = np.exp(scores)
        chance /= chance.sum(axis=1, keepdims=True)
        everyone = np.arange(len(scores))
        loss = -np.log(chance[everyone, target] + 1e-12).mean() + _RIDGE * np.square(parameters).sum()
        chance[everyone, target] -= 1
        slope = np.tensordot(chance[:, :-1], features, axes=2) / len(scores)
        slope = np.append(slope, chance[:, -1].mean()) + 2 * _RIDGE * parameters
        return float(loss), slope.astype(np.float64)

    start = np.append(np.full(features.shape[2], 0.3), -1.0)
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 80}).x
    return SideWeights(found[:-1].astype(np.float32), float(found[-1]))


def _with_rivals(
    features: np.ndarray, rights: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, float]:
    """For each left the true right, the rivals that look best with equal weights, and some of the others.

    The others count for all that were not taken: against the best alone, a neighbour that does not look best
    would teach that looking good is a bad sign.

    Returns:
        float32 (lefts, 1 + 2 * rivals, features), whether the true right was kept, and the logarithm of how
        many each of the others counts for.
    """
    count = features.shape[2]
    truth = rights[upper_half(count)]
    present, rows = truth >= 0, np.arange(len(truth))
    rough = features.sum(axis=0)
    rough[_same(count)] = -np.inf
    rough[rows[present], truth[present]] = -np.inf
    left_over = count - NUM_SYMMETRIES - 1
    rivals = max(1, min(RIVALS, left_over // 2))
    order = np.argpartition(-rough, (rivals - 1, left_over - 1), axis=1)
    drawn = rivals + rng.integers(0, left_over - rivals, (len(order), rivals))
    candidates = [
        np.where(present, truth, 0)[:, None],
        order[:, :rivals],
        np.take_along_axis(order, drawn, 1),
    ]
    chosen = np.concatenate(candidates, axis=1)
    weight = float(np.log((left_over - rivals) / rivals))
    return np.moveaxis(features[:, rows[:, None], chosen], 0, -1), present, weight
