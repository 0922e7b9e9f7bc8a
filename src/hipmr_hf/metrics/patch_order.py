"""How much of the patch order an attack recovered.

Sources: the neighbour and direct comparison and the largest component are those of Cho, Avidan, Freeman, "A
probabilistic image jigsaw puzzle solver", CVPR 2010, and Gallagher, CVPR 2012; for puzzles with missing
pieces only pairs count whose two patches were kept.
"""

import math

import numpy as np

from ..errors import InputValueError

_CHANCE_DRAWS = 20


def order_scores(found: np.ndarray, truth: np.ndarray, shape: tuple[int, int]) -> dict[str, float]:
    """Compare the places that an attack gave the patches with the true ones.

    Args:
        found: (num_patches,) cell of each patch, row-major, all different.
        truth: (num_patches,) true cell of each patch, row-major, all different.
        shape: rows and columns of the grid.

    Returns:
        Shares from 0 to 1: neighbour (Nc, of true right and lower neighbours that are neighbours again: the
        recall of adjacency), adjacency_precision (of neighbours in the found layout that are true), direct
        (Dc, of patches in their cell), largest_component (Lc, of patches in the largest piece that hangs
        together by true neighbours), perfect (1 if every patch is in its cell). A share of nothing is NaN.

    Raises:
        ValueError: places of different number, outside the grid, or taken twice.

    Example:
        >>> scores = order_scores(np.array([1, 2, 0]), np.array([0, 1, 2]), (1, 3))
        >>> scores["neighbour"], scores["direct"], round(scores["largest_component"], 2)
        (0.5, 0.0, 0.67)
    """
    found, truth = (
        _check_places(name, places, shape) for name, places in (("found", found), ("truth", truth))
    )
    if len(found) != len(truth):
        raise InputValueError(
            f"found: got {len(found)} places, expected one for each of the {len(truth)} patches of truth."
        )
    true_pairs, found_pairs = _pairs(truth, shape), _pairs(found, shape)
    correct = true_pairs & found_pairs
    in_place = float((found == truth).mean())
    return {
        "neighbour": _share(len(correct), len(true_pairs)),
        "adjacency_precision": _share(len(correct), len(found_pairs)),
        "direct": in_place,
        "largest_component": _largest_component(correct, len(truth)) / len(truth),
        "perfect": float(in_place == 1),
    }


def chance_scores(num_patches: int, shape: tuple[int, int]) -> dict[str, float]:
    """What a random layout scores on average, under the names of `order_scores`.

    Args:
        num_patches: patches that were kept.
        shape: rows and columns of the grid.

    Returns:
        Expected values; exact but for adjacency_precision (taken as the neighbour share, which it is without
        drop) and largest_component (mean of 20 drawn layouts).

    Example:
        >>> {name: round(value, 4) for name, value in chance_scores(196, (14, 14)).items()}
        {'neighbour': 0.0048, 'adjacency_precision': 0.0048, 'direct': 0.0051, 'largest_component': 0.0089,
         'perfect': 0.0}
    """
    rows, cols = shape
    cells = rows * cols
    if not 1 <= num_patches <= cells:
        raise InputValueError(
            f"num_patches: got {num_patches}, expected 1 to {cells}, the cells of shape={shape}."
        )
    ways = rows * (cols - 1) + (rows - 1) * cols
    # A true pair is a neighbour again if its two cells, out of all ordered pairs, lie the right way round.
    by_direction = ((rows * (cols - 1)) ** 2 + ((rows - 1) * cols) ** 2) / max(1, ways)
    neighbour = by_direction / max(1, cells * (cells - 1))
    rng = np.random.default_rng(0)
    draws = [
        order_scores(rng.permutation(cells)[:num_patches], rng.permutation(cells)[:num_patches], shape)
        for _ in range(_CHANCE_DRAWS)
    ]
    return {
        "neighbour": neighbour,
        "adjacency_precision": neighbour,
        "direct": 1 / cells,
        "largest_component": float(np.mean([draw["largest_component"] for draw in draws])),
        "perfect": math.exp(math.lgamma(cells - num_patches + 1) - math.lgamma(cells + 1)),
    }


def _check_places(name: str, places: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    places = np.asarray(places)
    cells = shape[0] * shape[1]
    if places.ndim != 1 or not len(places) or places.min() < 0 or places.max() >= cells:
        raise InputValueError(
            f"{name}: expected one cell from 0 to {cells - 1} for each patch, row-major in shape={shape}; "
            f"got an array of shape {places.shape}"
            + (f", {places.min()}..{places.max()}." if places.size else ".")
        )
    if len(np.unique(places)) != len(places):
        raise InputValueError(f"{name}: got a cell twice, expected a different cell for every patch.")
    return places


def _pairs(places: np.ndarray, shape: tuple[int, int]) -> set[tuple[int, int, int]]:
    """Neighbours of a layout as (direction, first patch, second patch)."""
    cells = np.full(shape[0] * shape[1], -1)
    cells[places] = np.arange(len(places))
    grid = cells.reshape(shape)
    pairs = set()
    for direction, (first, second) in enumerate(((grid[:, :-1], grid[:, 1:]), (grid[:-1], grid[1:]))):
        both = (first >= 0) & (second >= 0)
        pairs |= {(direction, int(a), int(b)) for a, b in zip(first[both], second[both], strict=True)}
    return pairs


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _largest_component(pairs: set[tuple[int, int, int]], num_patches: int) -> int:
    parent = list(range(num_patches))

    def root(patch: int) -> int:
        while parent[patch] != patch:
            parent[patch] = parent[parent[patch]]
            patch = parent[patch]
        return patch

    for _, first, second in pairs:
        parent[root(first)] = root(second)
    return int(np.bincount([root(patch) for patch in range(num_patches)]).max())
