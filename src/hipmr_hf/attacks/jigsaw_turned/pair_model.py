"""Gradient boosting that tells neighbours from other pairs, in two rounds.

The first round sees the features of a pair. The second sees the first one's answers for the whole picture as
well: what else each of the two goes well with, and whether they have friends in common, as neighbours do.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from .pair_features import Learned, Metric, Patches, View, pair_features

Puzzle = tuple[np.ndarray, np.ndarray]
"""uint8 (num_patches, size, size, channels), and which are neighbours: bool (num_patches, num_patches)."""

CANDIDATES = 30
"""Best partners of each patch that the second round looks at."""
_NEGATIVES = 0.04
_CANDIDATE_NEGATIVES = 0.3
_FAR = -14.0


@dataclasses.dataclass(frozen=True, eq=False)
class PairModel:
    """Scores pairs of patches of pictures encrypted as those that it was fitted on.

    Args:
        view: what the settings leave to compare.
        metric: learned distance of descriptors.
        shares: of the other pairs that each round was shown; all neighbours were.
        first: boosting on features of a pair.
        second: boosting on these and what the first found in the whole picture.
        effort: pictures and seconds that it took.
        learned: a network's scores, one feature more; None without.
    """

    view: View
    metric: Metric
    shares: tuple[float, float]
    first: Any
    second: Any
    effort: dict[str, Any]
    learned: Learned | None = None

    def __call__(self, pieces: np.ndarray) -> np.ndarray:
        """Score the pairs of one picture.

        Args:
            pieces: uint8 (num_patches, size, size, channels).

        Returns:
            float32 (num_patches, num_patches), symmetric: log-odds of being neighbours.
        """
        features = pair_features(Patches(pieces, self.view, self.learned), self.metric)
        scores = _first_scores(self.first, features, len(pieces), self.shares[0])
        first, second = np.triu_indices(len(pieces), 1)
        chosen = _candidates(scores)[first, second]
        i, j = first[chosen], second[chosen]
        more = np.concatenate([features[chosen], _surroundings(scores, i, j)], axis=1)
        better = np.minimum(scores, 0) - 4
        better[i, j] = better[j, i] = self.second.decision_function(more) + np.log(self.shares[1])
        np.fill_diagonal(better, _FAR)
        return better.astype(np.float32)


def fit_pair_model(
    puzzles: Sequence[Puzzle],
    view: View,
    *,
    trees: int = 200,
    learned: Learned | None = None,
    seed: int = 0,
    progress: Callable[[float, str], None] = lambda share, text: None,
) -> PairModel:
    """Learn to score pairs from pictures whose order is known.

    Args:
        puzzles: encrypted as the pictures under attack; half of them serve each round.
        view: what the settings leave to compare.
        trees: boosting rounds of each model.
        learned: a network's scores of pairs, which learned from other pictures.
        seed: of the choice of pairs, and of boosting.
        progress: called with the share done, 0 to 1, and a few words.
    """
    started, rng = time.process_time(), np.random.default_rng(seed)
    half = max(1, len(puzzles) // 2)
    early, late = puzzles[:half], puzzles[half:] or puzzles[:half]
    metric = _metric([(Patches(pieces, view), beside) for pieces, beside in early[:40]])
    # Small puzzles have few other pairs: there each round sees more of them.
    usual = 2 * float(np.mean([_upper(beside).mean() for _, beside in puzzles]))
    shares = min(1.0, max(_NEGATIVES, usual)), min(1.0, max(_CANDIDATE_NEGATIVES, usual))
    rows, answers = [], []
    for number, (pieces, beside) in enumerate(early):
        features, truth = pair_features(Patches(pieces, view, learned), metric), _upper(beside)
        kept = truth | (rng.random(len(truth)) < shares[0])
        rows.append(features[kept])
        answers.append(truth[kept])
        progress(0.3 * number / half, "pairs")
    first = _boosting(rows, answers, trees, seed)
    rows, answers = [], []
    for number, (pieces, beside) in enumerate(late):
        features, truth = pair_features(Patches(pieces, view, learned), metric), _upper(beside)
        scores = _first_scores(first, features, len(pieces), shares[0])
        i, j = np.triu_indices(len(pieces), 1)
        kept = _candidates(scores)[i, j] & (truth | (rng.random(len(truth)) < shares[1]))
        rows.append(np.concatenate([features[kept], _surroundings(scores, i[kept], j[kept])], axis=1))
        answers.append(truth[kept])
        progress(0.5 + 0.3 * number / half, "pairs, second round")
    second = _boosting(rows, answers, trees, seed)
    progress(1.0, "fitted")
    effort = {"pictures": len(puzzles), "trees": 2 * trees, "cpu_seconds": time.process_time() - started}
    return PairModel(view, metric, shares, first, second, effort, learned)


def _metric(described: Sequence[tuple[Patches, np.ndarray]]) -> Metric:
    beside, apart = [], []
    for patches, neighbours in described:
        first, second = np.nonzero(np.triu(neighbours))
        beside.append(patches.described[first] - patches.described[second])
        apart.append(patches.described - np.roll(patches.described, len(patches) // 2 + 1, axis=0))
    return Metric.fit(np.concatenate(beside), np.concatenate(apart))


def _boosting(rows: list[np.ndarray], answers: list[np.ndarray], trees: int, seed: int) -> Any:
    model = HistGradientBoostingClassifier(
        max_iter=trees,
        learning_rate=0.1,
        max_leaf_nodes=24,
        min_samples_leaf=40,
        l2_regularization=1.0,
        max_features=0.5,
        early_stopping=False,
        random_state=seed,
    )
    return model.fit(np.concatenate(rows), np.concatenate(answers))


def _upper(square: np.ndarray) -> np.ndarray:
    return square[np.triu_indices(len(square), 1)]


def _first_scores(model: Any, features: np.ndarray, count: int, share: float) -> np.ndarray:
    scores = np.full((count, count), _FAR, np.float32)
    first, second = np.triu_indices(count, 1)
    # Only a share of the other pairs was shown, which made neighbours look likelier.
    scores[first, second] = model.decision_function(features) + np.log(share)
    return np.maximum(scores, scores.T)


def _candidates(scores: np.ndarray) -> np.ndarray:
    """Pairs that are among the best of either patch: bool (num_patches, num_patches)."""
    wanted = min(CANDIDATES, len(scores) - 1)
    best = np.argpartition(-scores, wanted - 1, axis=1)[:, :wanted]
    chosen = np.zeros(scores.shape, bool)
    np.put_along_axis(chosen, best, True, axis=1)
    np.fill_diagonal(chosen, False)
    return chosen | chosen.T


def _surroundings(scores: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """What the whole picture says about pairs: float32 (pairs, 13)."""
    chance = 1 / (1 + np.exp(-scores))
    np.fill_diagonal(chance, 0)
    # In a grid neighbours have no neighbour in common, but neighbours of theirs that are neighbours.
    two = chance @ chance
    three = two @ chance
    ranks = np.empty(scores.shape, np.float32)
    order = np.argsort(-scores, axis=1)
    np.put_along_axis(ranks, order, np.arange(len(scores), dtype=np.float32)[None], axis=1)
    best = np.sort(scores, axis=1)[:, -4:]
    total = chance.sum(1)
    pairs = [
        scores[i, j],
        np.minimum(ranks[i, j], ranks[j, i]),
        np.maximum(ranks[i, j], ranks[j, i]),
        scores[i, j] - np.minimum(best[i, -1], best[j, -1]),
        scores[i, j] - np.maximum(best[i, -1], best[j, -1]),
        scores[i, j] - np.minimum(best[i, 0], best[j, 0]),
        scores[i, j] - np.maximum(best[i, 0], best[j, 0]),
        np.log(two[i, j] + 1e-5),
        np.log(three[i, j] + 1e-5),
        np.log((two / (total[:, None] + 1e-3) / (total[None] + 1e-3))[i, j] + 1e-5),
        np.log((three / (total[:, None] + 1e-3) / (total[None] + 1e-3))[i, j] + 1e-5),
        np.minimum(total[i], total[j]),
        np.maximum(total[i], total[j]),
    ]
    return np.stack(pairs, axis=1).astype(np.float32)
