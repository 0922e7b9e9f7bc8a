"""How much of the order of turned patches an attacker found, up to a symmetry of the square.

Nobody knows which way is up, so a symmetry of the whole picture changes no score. `adjacent` asks only which
patches lie beside each other; `neighbour_turned` asks for the side and the turn as well, as type-2 puzzles do
(Gallagher, "Jigsaw puzzles with pieces of unknown orientation", CVPR 2012).
"""

import math

import numpy as np

from ..errors import InputValueError

_FLIPS = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])


def true_neighbours(positions: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Tell which patches lie side by side.

    Args:
        positions: int (num_patches,), the cell of each patch, row-major.
        shape: rows and columns of the grid.

    Returns:
        bool (num_patches, num_patches), symmetric.

    Example:
        >>> true_neighbours(np.array([2, 0, 1]), (1, 3)).sum(axis=1)
        array([1, 1, 2])
    """
    rows, cols = np.divmod(_checked("positions", positions, shape), shape[1])
    return np.abs(rows[:, None] - rows) + np.abs(cols[:, None] - cols) == 1


def partner_share(scores: np.ndarray, positions: np.ndarray, shape: tuple[int, int]) -> float:
    """Share of patches whose best-scored partner truly lies beside them.

    Args:
        scores: float (num_patches, num_patches), higher for likelier neighbours; the diagonal is not read.
        positions: int (num_patches,), the true cell of each patch.
        shape: rows and columns of the grid.

    Returns:
        0 to 1; patches without any neighbour that was kept do not count.

    Example:
        >>> partner_share(np.array([[0, 3, 1], [3, 0, 2], [9, 2, 0]]), np.array([0, 1, 2]), (1, 3))
        0.6666666666666666
    """
    beside = true_neighbours(positions, shape)
    masked = np.where(np.eye(len(beside), dtype=bool), -np.inf, scores)
    found = beside[np.arange(len(beside)), masked.argmax(axis=1)]
    return _mean(found[beside.any(axis=1)])


def turned_scores(
    found: np.ndarray,
    truth: np.ndarray,
    shape: tuple[int, int],
    *,
    found_turns: np.ndarray | None = None,
    true_turns: np.ndarray | None = None,
) -> dict[str, float]:
    """Compare an assembled picture with the true one, up to a symmetry of the square.

    Args:
        found: int (num_patches,), the cell that each patch was given, row-major.
        truth: int (num_patches,), its true cell.
        shape: rows and columns of the grid.
        found_turns: int (num_patches,), the symmetry that the attacker applies to each encrypted patch, as
            numbered in `encryption.patches`; optional.
        true_turns: int (num_patches,), the symmetry that the encryption applied; goes with `found_turns`.

    Returns:
        adjacent: share of adjacent pairs in the found picture that are truly adjacent. distance: how far
        apart they truly lie, as a share of what random pairs do (1: no order was found). neighbour_turned,
        with turns: share of true neighbours that lie on the right side of each other with the right relative
        turn.

    Raises:
        InputValueError: cells outside of the grid or taken twice.

    Example:
        >>> turned_scores(np.array([2, 1, 0]), np.array([0, 1, 2]), (1, 3))["adjacent"]
        1.0
    """
    found, truth = _checked("found", found, shape), _checked("truth", truth, shape)
    if len(found) != len(truth):
        raise InputValueError(
            f"found: got {len(found)} cells, expected one for each of {len(truth)} patches."
        )
    first, second = np.nonzero(np.triu(true_neighbours(found, shape)))
    apart = _distance(truth, first, second, shape)
    every = np.triu_indices(len(truth), 1)
    scores = {
        "adjacent": _mean(apart < 1.2),
        "distance": _mean(apart) / max(1e-9, _mean(_distance(truth, *every, shape))),
    }
    if found_turns is not None and true_turns is not None:
        scores["neighbour_turned"] = _turned_share(found, truth, shape, found_turns, true_turns)
    return scores


def turned_chance(num_patches: int, shape: tuple[int, int]) -> dict[str, float]:
    """What guessing gives, under the names of `turned_scores` and `partner_share`.

    Args:
        num_patches: patches that were kept.
        shape: rows and columns of the grid.

    Example:
        >>> {name: round(value, 4) for name, value in turned_chance(196, (14, 14)).items()}
        {'partner': 0.019, 'adjacent': 0.019, 'distance': 1.0, 'neighbour_turned': 0.0006}
    """
    rows, cols = shape
    cells = rows * cols
    ways = rows * (cols - 1) + (rows - 1) * cols
    if not 1 <= num_patches <= cells:
        raise InputValueError(f"num_patches: got {num_patches}, expected 1 to {cells}, the cells of {shape}.")
    beside = 2 * ways / max(1, cells * (cells - 1))
    # Four places around a patch, and eight turns of the other one, of which one is right: one in 32 of what
    # lies beside it, wherever the picture as a whole is turned.
    return {"partner": beside, "adjacent": beside, "distance": 1.0, "neighbour_turned": beside / 32}


def as_matrices(turns: np.ndarray) -> np.ndarray:
    """Symmetries of the square as what they do to (row, column) directions: int (..., 2, 2).

    Example:
        >>> as_matrices(np.array([4])).tolist()  # transposing swaps both
        [[[0, 1], [1, 0]]]
    """
    transposed = np.where(
        (turns & 4).astype(bool)[..., None, None], np.eye(2, dtype=int)[::-1], np.eye(2, dtype=int)
    )
    return _FLIPS[turns & 3][..., :, None] * transposed


def _turned_share(found, truth, shape, found_turns, true_turns) -> float:
    """A found turn after the true one is what happened to the patch; a pair must agree in it."""
    whole = as_matrices(np.asarray(found_turns)) @ as_matrices(np.asarray(true_turns))
    first, second = np.nonzero(np.triu(true_neighbours(truth, shape)))
    alike = (whole[first] == whole[second]).all(axis=(1, 2))
    true_step, found_step = (
        np.stack(np.divmod(cells[second], shape[1]), 1) - np.stack(np.divmod(cells[first], shape[1]), 1)
        for cells in (truth, found)
    )
    moved = np.einsum("nij,nj->ni", whole[first], true_step)
    return _mean(alike & (moved == found_step).all(axis=1))


def _distance(cells: np.ndarray, first: np.ndarray, second: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    rows, cols = np.divmod(cells, shape[1])
    return np.hypot(rows[first] - rows[second], cols[first] - cols[second])


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _checked(name: str, places: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    places, cells = np.asarray(places), shape[0] * shape[1]
    if places.ndim != 1 or not len(places) or places.min() < 0 or places.max() >= cells:
        raise InputValueError(
            f"{name}: got an array of shape {places.shape}, expected for each patch a cell from 0 to "
            f"{cells - 1}, row-major."
        )
    if len(np.unique(places)) != len(places):
        raise InputValueError(f"{name}: got a cell twice, expected a different one for every patch.")
    return places.astype(np.int64)  # differences of unsigned numbers would wrap around
