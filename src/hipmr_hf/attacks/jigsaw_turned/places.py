"""Lay patches out on a grid so that what goes well together lies side by side.

Sides and turns do not count here: the score of a pair is the same wherever the two touch, so a layout is
found up to a symmetry of the square. The moves are those of `jigsaw.annealing`, from random layouts.
"""

import numpy as np

from ..jigsaw.annealing import anneal, layout_energy

HOT, COLD = 2.0, 0.03
_AGAIN = 0.8
"""Temperature, in log-odds, from which the best layout is annealed once more."""


def gains(scores: np.ndarray) -> np.ndarray:
    """What a pair is worth to a layout: log(1 + odds), nothing for pairs that cannot be.

    Args:
        scores: float (num_patches, num_patches), log-odds of being neighbours.

    Example:
        >>> gains(np.array([[0.0, 5.0], [5.0, 0.0]]))[0].round(2)
        array([0.  , 5.01])
    """
    worth = np.log1p(np.exp(np.clip(scores, -20, 12)))
    np.fill_diagonal(worth, 0)
    return worth


def layout_worth(grid: np.ndarray, worth: np.ndarray) -> float:
    """Add up what the pairs of a layout are worth.

    Args:
        grid: int (rows, cols), the patch in each cell; -1 for none.
        worth: float (num_patches, num_patches), from `gains`.
    """
    return layout_energy(grid, _both_ways(worth))


def lay_out(
    scores: np.ndarray, shape: tuple[int, int], *, steps: int, seed: int, runs: int = 2
) -> np.ndarray:
    """Search for the layout that is worth most.

    Args:
        scores: float (num_patches, num_patches), symmetric log-odds of being neighbours.
        shape: rows and columns, at least num_patches cells.
        steps: moves of a run and patch.
        seed: of the search.
        runs: from new random layouts; the best one is annealed once more.

    Returns:
        int64 (rows, cols), the patch in each cell; -1 for none.

    Example:
        >>> scores = np.full((3, 3), -5.0); scores[0, 2] = scores[2, 0] = scores[2, 1] = scores[1, 2] = 5.0
        >>> int(lay_out(scores, (1, 3), steps=50, seed=0)[0, 1])
        2
    """
    worth = gains(scores)
    both, moves = _both_ways(worth), steps * len(scores)
    cells = np.full(shape[0] * shape[1], -1, np.int64)
    cells[: len(scores)] = np.arange(len(scores))
    layouts = []
    for run in range(runs):
        start = np.random.default_rng((seed, run)).permutation(cells).reshape(shape)
        layouts.append(anneal(start, both, steps=moves, seed=seed + run, hot=HOT, cold=COLD))
    best = max(layouts, key=lambda grid: layout_worth(grid, worth))
    again = anneal(best, both, steps=moves, seed=seed + runs, hot=_AGAIN, cold=COLD)
    return max(best, again, key=lambda grid: layout_worth(grid, worth))


def _both_ways(worth: np.ndarray) -> np.ndarray:
    return np.stack([worth, worth]).astype(np.float32)
