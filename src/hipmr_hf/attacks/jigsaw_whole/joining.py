"""A first layout of turned patches: join the surest pairs to pieces, place the pieces, fill what is left.

A tree under constraints, as for patches that are not turned (`jigsaw.assembly`): joining turns a whole piece,
so that its patch gets the turn that fits (Gallagher, CVPR 2012, section 4).
"""

import numpy as np

from ...encryption.patches import NUM_SYMMETRIES
from ..jigsaw.compiled import compiled
from .turns import AFTER, FLIP_COLUMNS, INVERSE, STEPS, upper_half


def joined_layout(
    right: np.ndarray, below: np.ndarray, shape: tuple[int, int], threshold: float
) -> np.ndarray:
    """Assemble a puzzle greedily.

    Args:
        right: float32 (8 * num_patches, 8 * num_patches), log-odds that turned patch w is right of v.
        below: the same for below, from `turns.below`.
        shape: rows and columns of the frame, at least num_patches cells.
        threshold: pairs are joined from the surest down to this log-odds.

    Returns:
        int64 (rows, cols): the turned patch in each cell, -1 for none.
    """
    first, second = _surest(right, threshold)
    labels, places, turns = _join(first, second, len(right) // NUM_SYMMETRIES, *shape, AFTER, INVERSE, STEPS)
    grid = np.full(shape, -1, np.int64)
    right, below = padded(right), padded(below)
    _place(grid, labels, places, turns, right, below, AFTER, STEPS)
    _fill(grid, right, below)
    return grid


def padded(scores: np.ndarray) -> np.ndarray:
    """Append a row and a column of zeros, so that the index -1, an empty cell, scores 0 beside anything."""
    return np.pad(scores, ((0, 1), (0, 1))).astype(np.float32)


def _surest(right: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs above the threshold, the surest first, each once and not under all its turns."""
    lefts = upper_half(len(right))
    first, second = np.nonzero(right[lefts] > threshold)
    first = lefts[first]
    # Exchanging columns of both, and who is left, says the same; the lower number is kept.
    kept = first // NUM_SYMMETRIES <= (second ^ FLIP_COLUMNS) // NUM_SYMMETRIES
    first, second = first[kept], second[kept]
    order = np.argsort(-right[first, second], kind="stable")
    return first[order], second[order]


@compiled
def _join(first, second, count, rows, cols, after, inverse, steps):
    """Grow pieces: for every patch a label, (row, column) relative to its piece, and a turn."""
    labels, turns = np.arange(count), np.zeros(count, np.int64)
    places = np.zeros((count, 2), np.int64)
    sizes = np.ones(count, np.int64)
    for edge in range(len(first)):
        a, b = first[edge] // 8, second[edge] // 8
        if labels[a] == labels[b]:
            continue
        turn_a, turn_b = first[edge] % 8, second[edge] % 8
        if sizes[labels[a]] < sizes[labels[b]]:  # the smaller piece moves: seen from its side b is the first
            a, b, turn_a, turn_b = b, a, turn_b ^ 1, turn_a ^ 1
        whole = after[turns[a], inverse[turn_a]]
        row = places[a, 0] + steps[whole, 0, 1]
        col = places[a, 1] + steps[whole, 1, 1]
        moved = after[after[whole, turn_b], inverse[turns[b]]]
        step = steps[moved]
        row -= step[0, 0] * places[b, 0] + step[0, 1] * places[b, 1]
        col -= step[1, 0] * places[b, 0] + step[1, 1] * places[b, 1]
        if _fits(labels, places, labels[a], labels[b], step, row, col, rows, cols):
            old, new = labels[b], labels[a]
            for i in range(count):
                if labels[i] == old:
                    labels[i] = new
                    old_row, old_col = places[i, 0], places[i, 1]
                    places[i, 0] = step[0, 0] * old_row + step[0, 1] * old_col + row
                    places[i, 1] = step[1, 0] * old_row + step[1, 1] * old_col + col
                    turns[i] = after[moved, turns[i]]
            sizes[new] += sizes[old]
    return labels, places, turns


@compiled
def _fits(labels, places, one, other, step, shift_row, shift_col, rows, cols):
    """Whether two pieces can be joined: inside the frame, lying or standing, and no two patches in a cell."""
    count, reach = len(labels), max(rows, cols)
    top = left = 1 << 30
    bottom = right = -(1 << 30)
    taken = np.zeros((2 * reach, 2 * reach), np.bool_)
    origin_row = origin_col = 0
    found = False
    for i in range(count):
        if labels[i] == one or labels[i] == other:
            row, col = places[i, 0], places[i, 1]
            if labels[i] == other:
                old_row, old_col = row, col
                row = step[0, 0] * old_row + step[0, 1] * old_col + shift_row
                col = step[1, 0] * old_row + step[1, 1] * old_col + shift_col
            if not found:
                found, origin_row, origin_col = True, row, col
            top, bottom, left, right = min(top, row), max(bottom, row), min(left, col), max(right, col)
            if bottom - top >= reach or right - left >= reach:
                return False
            at_row, at_col = (row - origin_row) % (2 * reach), (col - origin_col) % (2 * reach)
            if taken[at_row, at_col]:
                return False
            taken[at_row, at_col] = True
    height, width = bottom - top + 1, right - left + 1
    return (height <= rows and width <= cols) or (height <= cols and width <= rows)


@compiled
def _place(grid, labels, places, turns, right, below, after, steps):
    """Lay pieces into the frame, the largest first, each where and how it scores best."""
    count = len(labels)
    sizes = np.zeros(count, np.int64)
    for i in range(count):
        sizes[labels[i]] += 1
    rows, cols = grid.shape
    for label in np.argsort(-sizes):
        if sizes[label] < 2:
            break
        members = np.nonzero(labels == label)[0]
        best, best_row, best_col, best_turn = -np.inf, 0, 0, 0
        cells, patches = np.empty((len(members), 2), np.int64), np.empty(len(members), np.int64)
        for turn in range(8):
            for k in range(len(members)):
                i = members[k]
                cells[k, 0] = steps[turn, 0, 0] * places[i, 0] + steps[turn, 0, 1] * places[i, 1]
                cells[k, 1] = steps[turn, 1, 0] * places[i, 0] + steps[turn, 1, 1] * places[i, 1]
                patches[k] = 8 * i + after[turn, turns[i]]
            top, left = cells[:, 0].min(), cells[:, 1].min()
            height, width = cells[:, 0].max() - top + 1, cells[:, 1].max() - left + 1
            for shift_row in range(-top, rows - height - top + 1):
                for shift_col in range(-left, cols - width - left + 1):
                    value = _value(grid, cells, patches, shift_row, shift_col, right, below)
                    if value > best:
                        best, best_row, best_col, best_turn = value, shift_row, shift_col, turn
        if best > -np.inf:  # a piece that fits nowhere falls apart, and its patches are filled in singly
            for k in range(len(members)):
                i = members[k]
                row = steps[best_turn, 0, 0] * places[i, 0] + steps[best_turn, 0, 1] * places[i, 1] + best_row
                col = steps[best_turn, 1, 0] * places[i, 0] + steps[best_turn, 1, 1] * places[i, 1] + best_col
                grid[row, col] = 8 * i + after[best_turn, turns[i]]


@compiled
def _value(grid, cells, patches, shift_row, shift_col, right, below):
    value = 0.0
    for k in range(len(cells)):
        row, col = cells[k, 0] + shift_row, cells[k, 1] + shift_col
        if grid[row, col] >= 0:
            return -np.inf
        value += _value_of_cell(grid, patches[k], row, col, right, below)
    return value


@compiled
def _value_of_cell(grid, patch, row, col, right, below):
    """Log-odds of a turned patch in a cell, given the neighbours that already lie there."""
    rows, cols = grid.shape
    value = 0.0
    if col > 0:
        value += right[grid[row, col - 1], patch]
    if col < cols - 1:
        value += right[patch, grid[row, col + 1]]
    if row > 0:
        value += below[grid[row - 1, col], patch]
    if row < rows - 1:
        value += below[patch, grid[row + 1, col]]
    return value


@compiled
def _fill(grid, right, below):
    """Put the patches that are left into free cells, always the one that scores best."""
    rows, cols = grid.shape
    count = (len(right) - 1) // 8
    free = np.ones(count, np.bool_)
    for patch in grid.ravel():
        if patch >= 0:
            free[patch // 8] = False
    # The best patch of each cell is looked up again only where a neighbour came, or where it was taken.
    bests, chosen = np.full((rows, cols), -np.inf), np.full((rows, cols), -1)
    stale = np.ones((rows, cols), np.bool_)
    for _ in range(free.sum()):
        best, best_row, best_col = -np.inf, -1, -1
        for row in range(rows):
            for col in range(cols):
                if grid[row, col] >= 0:
                    continue
                if stale[row, col] or chosen[row, col] < 0 or not free[chosen[row, col] // 8]:
                    bests[row, col], chosen[row, col], stale[row, col] = -np.inf, -1, False
                    for patch in range(8 * count):
                        if free[patch // 8]:
                            value = _value_of_cell(grid, patch, row, col, right, below)
                            if value > bests[row, col]:
                                bests[row, col], chosen[row, col] = value, patch
                if bests[row, col] > best:
                    best, best_row, best_col = bests[row, col], row, col
        grid[best_row, best_col] = chosen[best_row, best_col]
        free[chosen[best_row, best_col] // 8] = False
        for row in range(max(0, best_row - 1), min(rows, best_row + 2)):
            for col in range(max(0, best_col - 1), min(cols, best_col + 2)):
                stale[row, col] = True
