"""From dissimilarities to log-odds: how much more likely than a random pair are two patches to be neighbours.

An assembly adds these scores up, and a cell without a patch adds 0, which is what a log-odds of "nothing
known" is. (Scoring a missing neighbour as good as a mediocre one made a solver fail at drop ratio .5.)

Each dissimilarity is taken relative to the row and the column it stands in, as Gallagher (2012) and Pomeranz
et al. (2011) do; the weights that combine them come from a conditional logit (McFadden 1974) over pairs in
photographs that the attacker encrypts with the same settings, which are no secret.
"""

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np

from ...encryption import RandomShuffling
from ...errors import InputValueError
from ..base import encrypt_with_truth, grid_shape, split_mosaic
from .compatibility import ALL_COLOURS, dissimilarities

NEVER = -30.0
"""Log-odds of what cannot be: a patch beside itself."""


@dataclasses.dataclass(frozen=True)
class PairWeights:
    """How to weigh dissimilarities for one kind of encryption.

    Args:
        names: keys of `compatibility.DISSIMILARITIES`.
        weights: two for each name, for its logarithm and for its value.
        absent: score of "the neighbour is not there" (dropped, or beyond the frame) beside those of
            candidates.
        source: what they were fitted on, for the report.
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    absent: float = NEVER
    source: str = "chosen by hand"

    def __post_init__(self) -> None:
        if len(self.weights) != 2 * len(self.names):
            raise InputValueError(
                f"weights: got {len(self.weights)}, expected two for each of the {len(self.names)} names; "
                "fit_weights makes them."
            )


def pair_features(costs: np.ndarray) -> np.ndarray:
    """Normalise dissimilarities of one puzzle: higher is better, comparable between puzzles.

    Args:
        costs: (kinds, 2, num_patches, num_patches) from `dissimilarities`.

    Returns:
        float32 (2 * kinds, 2, num_patches, num_patches): minus log and minus value of each cost, in units
        of what good candidates cost in the same row and column.

    Example:
        >>> pair_features(np.ones((1, 2, 3, 3), np.float32)).shape
        (2, 2, 3, 3)
    """
    count = costs.shape[-1]
    masked = costs + np.where(np.eye(count, dtype=bool), np.inf, 0).astype(np.float32)
    nearest = min(count - 1, max(1, count // 20))  # the best 5 % hold the neighbour, if anything does
    usual = np.median(costs, axis=(2, 3), keepdims=True) + 1e-6
    in_row = np.partition(masked, nearest - 1, axis=3)[..., :nearest].mean(axis=3, keepdims=True)
    in_column = np.partition(masked, nearest - 1, axis=2)[:, :, :nearest].mean(axis=2, keepdims=True)
    floor = np.float32(0.01) * usual  # two flat patches fit perfectly and prove nothing
    relative = (costs + floor) / np.sqrt((in_row + floor) * (in_column + floor))
    return np.concatenate([-np.log(relative), -np.minimum(relative, 10)]).astype(np.float32)


def log_odds(features: np.ndarray, weights: tuple[float, ...], *, absent: float = NEVER) -> np.ndarray:
    """Combine features and compare each pair with the other candidates of its row and column.

    Args:
        features: (features, 2, num_patches, num_patches) from `pair_features`.
        weights: one for each feature.
        absent: score of the possibility that none of the candidates is the neighbour.

    Returns:
        float32 (2, num_patches, num_patches): [0] for right, [1] for below; 0 is a random pair.

    Example:
        >>> log_odds(np.zeros((1, 2, 3, 3)), (1.0,))[0, 0, 1].round(3) == 0
        np.True_
    """
    itself = np.eye(features.shape[-1], dtype=bool)
    scores = np.tensordot(np.asarray(weights, np.float32), features, axes=1)
    scores[:, itself] = NEVER
    in_row, in_column = (np.logaddexp(_log_sum_exp(scores, axis), absent) for axis in (2, 1))
    odds = scores - (in_row + in_column) / 2 + np.log(max(1, len(itself) - 1))
    odds[:, itself] = NEVER
    return odds.astype(np.float32)


def _log_sum_exp(scores: np.ndarray, axis: int) -> np.ndarray:
    best = scores.max(axis=axis, keepdims=True)
    return best + np.log(np.exp(scores - best).sum(axis=axis, keepdims=True))


def pair_scores(pieces: np.ndarray, weights: PairWeights) -> np.ndarray:
    """Score every ordered pair of patches of one puzzle.

    Args:
        pieces: uint8 (num_patches, size, size, channels).
        weights: which dissimilarities to use, and how.

    Returns:
        float32 (2, num_patches, num_patches) log-odds, as `log_odds`.

    Example:
        >>> pair_scores(np.zeros((3, 4, 4, 3), np.uint8), PairWeights(("border",), (1.0, 0.0))).shape
        (2, 3, 3)
    """
    features = pair_features(dissimilarities(pieces, weights.names))
    return log_odds(features, weights.weights, absent=weights.absent)


def true_pairs(positions: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """List the neighbours in the plain image among the patches that were kept.

    Args:
        positions: (num_patches,) true cell of each patch, row-major.
        shape: rows and columns of the grid.

    Returns:
        Two int arrays (pairs, 2): (left, right) and (upper, lower) indices of patches.

    Example:
        >>> right, below = true_pairs(np.array([1, 0, 3]), (2, 2))
        >>> right.tolist(), below.tolist()
        ([[1, 0]], [[0, 2]])
    """
    cells = np.full(shape[0] * shape[1], -1)
    cells[positions] = np.arange(len(positions))
    grid = cells.reshape(shape)
    found = []
    for first, second in ((grid[:, :-1], grid[:, 1:]), (grid[:-1], grid[1:])):
        pairs = np.stack([first.ravel(), second.ravel()], axis=1)
        found.append(pairs[(pairs >= 0).all(axis=1)])
    return found[0], found[1]


def pair_top1(scores: np.ndarray, positions: np.ndarray, shape: tuple[int, int]) -> float:
    """Share of true neighbours, right and below, that score best of all candidates; NaN if there are none.

    What the pair scores know before any assembly; guessing gives 1 / (num_patches - 1).

    Example:
        >>> pair_top1(np.array([[[-9, 1], [0, -9]], [[-9, 0], [0, -9]]]), np.array([0, 1]), (1, 2))
        1.0
    """
    hits = [
        scores[direction][pairs[:, 0]].argmax(axis=1) == pairs[:, 1]
        for direction, pairs in enumerate(true_pairs(positions, shape))
    ]
    hits = np.concatenate(hits)
    return float(hits.mean()) if len(hits) else float("nan")


def fit_weights(
    encryption: RandomShuffling,
    photographs: Iterable[np.ndarray],
    *,
    names: tuple[str, ...] = ALL_COLOURS,
    ridge: float = 1e-3,
    source: str = "",
    storage: Callable[[np.ndarray], np.ndarray] | None = None,
) -> PairWeights:
    """Learn how to weigh dissimilarities on photographs encrypted with the settings under attack.

    Args:
        encryption: the settings under attack.
        photographs: uint8 images (height, width, channels) or PIL images, not those attacked later.
        names: dissimilarities to combine; all of `DISSIMILARITIES` for JPEG with subsampled chroma.
        ridge: penalty on squared weights; keeps features that say the same from fighting.
        source: what the photographs are, for the report.
        storage: what happens to an encrypted image (uint8, height x width x channels) before the attacker
            has it, such as JPEG; nothing by default.

    Returns:
        Weights for `pair_scores`.

    Raises:
        ValueError: no photographs.

    Example:
        >>> from sklearn.datasets import load_sample_image
        >>> settings = RandomShuffling(image_size=64, patch_size=16)
        >>> fitted = fit_weights(settings, [load_sample_image("china.jpg")], names=("border",))
        >>> fitted.weights[0] > 0
        True
    """
    from scipy.optimize import minimize

    puzzles = [_training_puzzle(encryption, np.asarray(photo), names, storage) for photo in photographs]
    if not puzzles:
        raise InputValueError("photographs: got none, expected at least one to fit the weights on.")

    def objective(weights: np.ndarray) -> tuple[float, np.ndarray]:
        values, slopes = zip(*(_logit_loss(weights, *puzzle) for puzzle in puzzles), strict=True)
        value = np.mean(values) + ridge * np.square(weights).sum()
        return float(value), np.mean(slopes, axis=0) + 2 * ridge * weights

    start = np.append(np.full(2 * len(names), 1.0 / len(names)), -1.0)
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 60}).x
    *weights, absent = (float(round(value, 4)) for value in found)
    return PairWeights(tuple(names), tuple(weights), absent, source)


def _training_puzzle(
    encryption: RandomShuffling,
    photo: np.ndarray,
    names: tuple[str, ...],
    storage: Callable[[np.ndarray], np.ndarray] | None,
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    sample = encrypt_with_truth(encryption, encryption.prepare(photo)[None])
    stored = sample.images[0] if storage is None else storage(sample.images[0])
    pieces = split_mosaic(stored, encryption.encrypted_patch_size)
    features = pair_features(dissimilarities(pieces, names))
    return features.astype(np.float16), true_pairs(sample.positions[0], grid_shape(encryption))


def _logit_loss(
    parameters: np.ndarray, features: np.ndarray, pairs: tuple[np.ndarray, np.ndarray]
) -> tuple[float, np.ndarray]:
    """Mean negative log-likelihood of each patch's neighbour, or of none, on all four sides; its slope."""
    loss, slope = 0.0, np.zeros(len(parameters))
    count = features.shape[-1]
    everyone = np.arange(count)
    for direction, (first, second) in enumerate(pair.T for pair in pairs):
        candidates = features[:, direction].astype(np.float32)
        scores = np.tensordot(parameters[:-1].astype(np.float32), candidates, axes=1)
        scores[everyone, everyone] = NEVER
        for axis, one, other in ((1, first, second), (0, second, first)):
            target = np.full(count, count)  # the last candidate is "absent"
            target[one] = other
            view = scores if axis == 1 else scores.T
            extended = np.column_stack([view, np.full(count, parameters[-1], np.float32)])
            extended -= _log_sum_exp(extended, 1)
            loss -= float(extended[everyone, target].sum())
            excess = np.exp(extended)
            excess[everyone, target] -= 1
            inner = excess[:, :-1] if axis == 1 else excess[:, :-1].T
            slope[:-1] += np.tensordot(candidates, inner, axes=2)
            slope[-1] += excess[:, -1].sum()
    return loss / (4 * count), slope / (4 * count)
