"""Patches in all eight turns: how turns follow each other, and how patches look under each.

A *turned patch* is a patch under one symmetry of the square, number 8 * patch + symmetry, with symmetries as
in `encryption.patches`. How well a turned patch stands to the right of another is all that there is to know:
the other three sides, and borders read backwards, are the same question about other turns.
"""

import numpy as np

from ...encryption.patches import NUM_SYMMETRIES, inverse_turns

FLIP_COLUMNS, FLIP_ROWS, TRANSPOSE = 1, 2, 4


def turned(values: np.ndarray) -> np.ndarray:
    """Turn every patch in all ways.

    Args:
        values: (num_patches, size, size, channels).

    Returns:
        (8 * num_patches, size, size, channels), all turns of a patch side by side.

    Example:
        >>> patch = np.array([[0, 1], [2, 3]]).reshape(1, 2, 2, 1)
        >>> turned(patch)[[1, 2, 4], 0, :, 0].tolist()  # columns, rows, or both sides exchanged
        [[1, 0], [2, 3], [0, 2]]
    """
    ways = []
    for symmetry in range(NUM_SYMMETRIES):
        one = values.swapaxes(1, 2) if symmetry & TRANSPOSE else values
        one = one[:, ::-1] if symmetry & FLIP_ROWS else one
        ways.append(one[:, :, ::-1] if symmetry & FLIP_COLUMNS else one)
    return np.ascontiguousarray(np.stack(ways, axis=1)).reshape(-1, *values.shape[1:])


def _steps() -> np.ndarray:
    """What each symmetry does to steps: transpose, then turn the sign of flipped rows and columns."""
    exchanged = np.eye(2, dtype=int)[::-1]
    flips = [np.diag((1 - (number & FLIP_ROWS), 1 - 2 * (number & FLIP_COLUMNS))) for number in range(8)]
    return np.stack([flip @ exchanged if number & TRANSPOSE else flip for number, flip in enumerate(flips)])


STEPS: np.ndarray = _steps()
"""int (8, 2, 2): where each symmetry takes a step of (rows, columns)."""


def _table() -> np.ndarray:
    products = np.einsum("aij,bjk->abik", STEPS, STEPS)
    return (products[:, :, None] == STEPS).all(axis=(3, 4)).argmax(axis=2)


AFTER: np.ndarray = _table()
"""int (8, 8): [a, b] is the symmetry that does b, then a."""

INVERSE: np.ndarray = inverse_turns(np.arange(NUM_SYMMETRIES))
"""int (8,): the symmetry that undoes each."""


def below(right: np.ndarray) -> np.ndarray:
    """Tell from "to the right of" what stands well below: transposing both patches exchanges the two.

    Args:
        right: (turned, turned); [v, w] for w to the right of v.

    Returns:
        The same shape; [v, w] for w below v.
    """
    transposed = AFTER[TRANSPOSE][np.arange(len(right)) % NUM_SYMMETRIES]
    transposed = np.arange(len(right)) // NUM_SYMMETRIES * NUM_SYMMETRIES + transposed
    return right[np.ix_(transposed, transposed)]


def from_upper_half(half: np.ndarray) -> np.ndarray:
    """Complete costs or scores of which only the turned patches without `FLIP_ROWS` were computed as lefts.

    Flipping the rows of both patches changes nothing.

    Args:
        half: (4 * num_patches, 8 * num_patches), rows in the order of `upper_half`.

    Returns:
        (8 * num_patches, 8 * num_patches).
    """
    count = half.shape[1]
    lefts = upper_half(count)
    full = np.empty((count, count), half.dtype)
    full[lefts] = half
    full[lefts ^ FLIP_ROWS] = half[:, np.arange(count) ^ FLIP_ROWS]
    return full


def upper_half(count: int) -> np.ndarray:
    """List the turned patches whose rows are not flipped: int (count / 2,)."""
    everyone = np.arange(count)
    return everyone[everyone & FLIP_ROWS == 0]


def true_rights(positions: np.ndarray, turns: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Find what truly stands to the right of every turned patch.

    Args:
        positions: int (num_patches,), the true cell of each patch.
        turns: int (num_patches,), the symmetry that the encryption applied to each.
        shape: rows and columns of the grid.

    Returns:
        int (8 * num_patches,): a turned patch, or -1 where none was kept.

    Example:
        >>> true_rights(np.array([0, 1]), np.array([0, 0]), (1, 2))[:2]  # as it is; columns exchanged
        array([ 8, -1])
    """
    count, (rows, cols) = len(positions), shape
    cells = np.full((rows + 2, cols + 2), -1)
    row, col = np.divmod(positions, cols)
    cells[row + 1, col + 1] = np.arange(count)
    # Under g after its own turn t a patch shows g t of what it was; undoing that brings "right" to a step.
    patch, symmetry = np.divmod(np.arange(count * NUM_SYMMETRIES), NUM_SYMMETRIES)
    whole = AFTER[symmetry, turns[patch]]
    steps = STEPS[INVERSE[whole]] @ np.array([0, 1])
    other = cells[row[patch] + 1 + steps[:, 0], col[patch] + 1 + steps[:, 1]]
    # The neighbour stands right under the turn that makes its whole turn the same.
    own = AFTER[whole, INVERSE[turns[other]]]
    return np.where(other < 0, -1, other * NUM_SYMMETRIES + own)
