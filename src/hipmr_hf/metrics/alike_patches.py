"""How much of the order came back where patches that are equal count as one another.

Nobody can tell one blank patch from another, so for pages and other pictures with equal patches the scores of
`patch_order` and `turned_order` call right layouts wrong.
"""

from collections import Counter

import numpy as np


def pairs_of_kinds(kinds: np.ndarray, positions: np.ndarray, shape: tuple[int, int]) -> Counter:
    """Count what stands beside what, by direction.

    Args:
        kinds: int (num_patches,), the same number for patches that are equal.
        positions: int (num_patches,), the cell of each patch, row-major, all different.
        shape: rows and columns of the grid.

    Returns:
        Numbers of ("right", kind, kind to the right of it) and ("below", kind, kind below it); -1 where no
        patch was kept.

    Example:
        >>> pairs_of_kinds(np.array([7, 7, 9]), np.array([0, 1, 2]), (1, 3))
        Counter({('right', 7, 7): 1, ('right', 7, 9): 1})
    """
    grid = np.full(shape[0] * shape[1], -1)
    grid[positions] = kinds
    grid = grid.reshape(shape)
    lying = zip(grid[:, :-1].ravel().tolist(), grid[:, 1:].ravel().tolist(), strict=True)
    standing = zip(grid[:-1].ravel().tolist(), grid[1:].ravel().tolist(), strict=True)
    return Counter([("right", *pair) for pair in lying] + [("below", *pair) for pair in standing])


def share_alike(found: Counter, true: Counter) -> float:
    """Share of the true pairs that were found, each as often as it is there.

    Args:
        found, true: as from `pairs_of_kinds`.

    Returns:
        0 to 1; 0 if there are no true pairs.

    Example:
        >>> share_alike(Counter({"a": 3}), Counter({"a": 1, "b": 1}))
        0.5
    """
    return (found & true).total() / max(1, true.total())
