"""Tones beside each other are alike: where textures keep their places, dealing is smoothed over them."""

import numpy as np

from .regression import distances

ROUNDS = 12
_BALANCING = 20
"""Times that rows and columns are made to add up to one, after which they nearly do."""
_LEAST_ODDS = -50.0


def around(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Average the four that stand around each place, at the rim those that there are.

    Args:
        values: (rows * cols, features).
        shape: rows and columns.

    Example:
        >>> around(np.array([[0.0], [2.0], [6.0]]), (1, 3))[:, 0].tolist()
        [2.0, 3.0, 2.0]
    """
    rows, cols = shape
    grid = np.zeros((rows + 2, cols + 2, values.shape[1] + 1))
    grid[1:-1, 1:-1, :-1] = values.reshape(rows, cols, -1)
    grid[1:-1, 1:-1, -1] = 1
    total = grid[:-2, 1:-1] + grid[2:, 1:-1] + grid[1:-1, :-2] + grid[1:-1, 2:]
    return (total[..., :-1] / np.maximum(total[..., -1:], 1)).reshape(values.shape)


def balanced(odds: np.ndarray) -> np.ndarray:
    """Turn log odds into shares of each tone for each texture, all of which add up to one (Sinkhorn 1964).

    Example:
        >>> balanced(np.array([[4.0, 0.0], [0.0, 0.0]])).sum(axis=1).round(3).tolist()
        [1.0, 1.0]
    """
    weights = np.exp(np.maximum(odds - odds.max(axis=1, keepdims=True), _LEAST_ODDS))
    columns = np.ones(weights.shape[1])
    for _ in range(_BALANCING):
        rows = 1 / (weights @ columns)
        columns = 1 / (rows @ weights)
    shares = rows[:, None] * weights * columns
    return shares / shares.sum(axis=1, keepdims=True)


def smoothed(
    odds: np.ndarray, tones: np.ndarray, precision: np.ndarray, shape: tuple[int, int], strength: float
) -> np.ndarray:
    """Let the tones expected around a place speak for the tones that are like them, again and again.

    Args:
        odds: (num_patches, num_patches), of texture by tone, from each texture itself.
        tones: (num_patches, values).
        precision: (values, values), of a tone about the mean of those around it.
        shape: rows and columns of patches.
        strength: how much what stands around counts; 0 leaves the odds as they are.

    Returns:
        Odds of the same shape.
    """
    told = odds
    for _ in range(ROUNDS if strength else 0):
        expected = around(balanced(told) @ tones, shape)
        told = odds - strength * distances(expected, tones, precision)
    return told
