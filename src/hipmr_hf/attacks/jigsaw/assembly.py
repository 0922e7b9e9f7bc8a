"""A first layout of a jigsaw puzzle: join the surest pairs, place the pieces that grow, fill what is left.

Source: Gallagher, CVPR 2012, section 4 (a Kruskal-like tree under the constraint that pieces do not overlap
and fit the frame, then trim and fill); the threshold is on log-odds, so that a missing neighbour costs
nothing.
"""

import numpy as np

from .compiled import compiled


def greedy_layout(
    scores: np.ndarray, shape: tuple[int, int], *, threshold: float = 0.0, unary: np.ndarray | None = None
) -> np.ndarray:
    """Assemble a puzzle greedily.

    Args:
        scores: float32 (2, num_patches, num_patches) log-odds; [0, i, j] for j right of i, [1, i, j] for
            below.
        shape: rows and columns of the frame, at least num_patches cells.
        threshold: pairs are joined from the surest down to this log-odds.
        unary: float32 (num_patches, cells), log-odds of a patch standing in a cell; optional.

    Returns:
        int64 (rows, cols): which patch lies in each cell, -1 for none.

    Example:
        >>> scores = np.full((2, 2, 2), -1, np.float32)
        >>> scores[0, 1, 0] = 3  # patch 0 belongs to the right of patch 1
        >>> greedy_layout(scores, (1, 2))
        array([[1, 0]])
    """
    return layout_of(_surest_pairs(scores, threshold), scores, shape, unary)


def layout_of(
    pairs: tuple[np.ndarray, np.ndarray, np.ndarray],
    scores: np.ndarray,
    shape: tuple[int, int],
    unary: np.ndarray | None = None,
) -> np.ndarray:
    """Join pairs in their order, place what grows, and fill the rest in.

    Args:
        pairs: direction (0 right, 1 below), first and second patch of each, the surest first.
        scores, shape, unary: as in `greedy_layout`; so is what comes back.
    """
    count = scores.shape[1]
    if unary is None:
        unary = np.zeros((count, shape[0] * shape[1]), np.float32)
    labels, places = _join(*pairs, count, *shape)
    grid = np.full(shape, -1, np.int64)
    padded = pad_scores(scores)
    _place(grid, labels, places, padded, unary)
    _fill(grid, padded, unary)
    return grid


def pad_scores(scores: np.ndarray) -> np.ndarray:
    """Append a row and a column of zeros, so that the index -1, an empty cell, scores 0 beside anything."""
    return np.pad(scores, ((0, 0), (0, 1), (0, 1))).astype(np.float32)


def _surest_pairs(scores: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    direction, first, second = np.nonzero(scores > threshold)
    order = np.argsort(-scores[direction, first, second], kind="stable")
    return direction[order], first[order], second[order]


@compiled
def _join(direction, first, second, count, rows, cols):
    """Grow pieces of puzzle: a label for every patch, and (row, column) places relative to its piece."""
    labels = np.arange(count)
    places = np.zeros((count, 2), np.int64)
    for edge in range(len(direction)):
        a, b = first[edge], second[edge]
        if labels[a] == labels[b]:
            continue
        shift_row = places[a, 0] + (direction[edge] == 1) - places[b, 0]
        shift_col = places[a, 1] + (direction[edge] == 0) - places[b, 1]
        if _fits(labels, places, labels[a], labels[b], shift_row, shift_col, rows, cols):
            old, new = labels[b], labels[a]
            for i in range(count):
                if labels[i] == old:
                    labels[i] = new
                    places[i, 0] += shift_row
                    places[i, 1] += shift_col
    return labels, places


@compiled
def _fits(labels, places, one, other, shift_row, shift_col, rows, cols):
    """Whether two pieces can be joined: inside the frame, and no two patches in one cell."""
    top = left = 1 << 30
    bottom = right = -(1 << 30)
    for i in range(len(labels)):
        if labels[i] == one or labels[i] == other:
            row = places[i, 0] + (shift_row if labels[i] == other else 0)
            col = places[i, 1] + (shift_col if labels[i] == other else 0)
            top, bottom = min(top, row), max(bottom, row)
            left, right = min(left, col), max(right, col)
    if bottom - top >= rows or right - left >= cols:
        return False
    taken = np.zeros((bottom - top + 1, right - left + 1), np.bool_)
    for i in range(len(labels)):
        if labels[i] == one or labels[i] == other:
            row = places[i, 0] + (shift_row if labels[i] == other else 0) - top
            col = places[i, 1] + (shift_col if labels[i] == other else 0) - left
            if taken[row, col]:
                return False
            taken[row, col] = True
    return True


@compiled
def _place(grid, labels, places, scores, unary):
    """Lay pieces of two patches or more into the frame, the largest first, each where it scores best."""
    count = len(labels)
    sizes = np.zeros(count, np.int64)
    for i in range(count):
        sizes[labels[i]] += 1
    rows, cols = grid.shape
    for label in np.argsort(-sizes):
        if sizes[label] < 2:
            break
        members = np.nonzero(labels == label)[0]
        best, best_row, best_col = -np.inf, 0, 0
        for shift_row in range(-rows, rows):
            for shift_col in range(-cols, cols):
                value = _value_of_place(grid, members, places, shift_row, shift_col, scores, unary)
                if value > best:
                    best, best_row, best_col = value, shift_row, shift_col
        if best > -np.inf:  # a piece that fits nowhere falls apart, and its patches are filled in singly
            for i in members:
                grid[places[i, 0] + best_row, places[i, 1] + best_col] = i


@compiled
def _value_of_place(grid, members, places, shift_row, shift_col, scores, unary):
    rows, cols = grid.shape
    value = 0.0
    for i in members:
        row, col = places[i, 0] + shift_row, places[i, 1] + shift_col
        if row < 0 or row >= rows or col < 0 or col >= cols or grid[row, col] >= 0:
            return -np.inf
        value += _value_of_cell(grid, i, row, col, scores, unary)
    return value


@compiled
def _value_of_cell(grid, patch, row, col, scores, unary):
    """Log-odds of a patch in a cell, given the neighbours that already lie there."""
    rows, cols = grid.shape
    value = unary[patch, row * cols + col]
    if col > 0:
        value += scores[0, grid[row, col - 1], patch]
    if col < cols - 1:
        value += scores[0, patch, grid[row, col + 1]]
    if row > 0:
        value += scores[1, grid[row - 1, col], patch]
    if row < rows - 1:
        value += scores[1, patch, grid[row + 1, col]]
    return value


@compiled
def _fill(grid, scores, unary):
    """Put the patches that are left into free cells, always the one that scores best."""
    rows, cols = grid.shape
    free = np.ones(scores.shape[1] - 1, np.bool_)
    for patch in grid.ravel():
        if patch >= 0:
            free[patch] = False
    # The best patch of a cell stays that until it is placed, or something is placed beside it.
    values, patches = np.full((rows, cols), -np.inf), np.full((rows, cols), -1)
    for _ in range(free.sum()):
        best, best_row, best_col = -np.inf, 0, 0
        for row in range(rows):
            for col in range(cols):
                if grid[row, col] >= 0:
                    continue
                if patches[row, col] < 0 or not free[patches[row, col]]:
                    value, patch = _best_patch(grid, free, row, col, scores, unary)
                    values[row, col], patches[row, col] = value, patch
                if values[row, col] > best:
                    best, best_row, best_col = values[row, col], row, col
        patch = patches[best_row, best_col]
        grid[best_row, best_col], free[patch] = patch, False
        patches[max(0, best_row - 1) : best_row + 2, best_col] = -1
        patches[best_row, max(0, best_col - 1) : best_col + 2] = -1


@compiled
def _best_patch(grid, free, row, col, scores, unary):
    best, best_patch = -np.inf, -1
    for patch in range(len(free)):
        if free[patch]:
            value = _value_of_cell(grid, patch, row, col, scores, unary)
            if value > best:
                best, best_patch = value, patch
    return best, best_patch
