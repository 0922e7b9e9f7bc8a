"""Improve a jigsaw layout by simulated annealing: moves of patches, segments, rectangles and rolls.

The energy of a layout is the sum of log-odds over neighbouring cells, where an empty cell counts 0, plus
optional log-odds of patches in cells. Every move shifts a set of cells over the torus of the frame; what
stood in the way goes to the cells that became free. So a roll is the shift of everything, and a segment
that leaves the frame comes in again on the other side.

Sources: Kirkpatrick, Gelatt, Vecchi 1983 (annealing); the shifting of whole segments follows Pomeranz et al.
2011, section 3.4, and their observation that a solved puzzle is often merely shifted.
"""

import numpy as np

from .assembly import pad_scores
from .compiled import compiled

CANDIDATES = 8
"""Best neighbours of a patch in each direction that guided moves choose from."""

HOT, COLD = 3.0, 0.15
"""Temperatures at the start and at the end, in log-odds."""


def layout_energy(grid: np.ndarray, scores: np.ndarray, unary: np.ndarray | None = None) -> float:
    """Score a layout: higher is better.

    Args:
        grid: int (rows, cols), the patch in each cell, -1 for none.
        scores: (2, num_patches, num_patches) log-odds.
        unary: (num_patches, cells) log-odds; optional.

    Example:
        >>> scores = np.zeros((2, 2, 2)); scores[0, 1, 0] = 3
        >>> layout_energy(np.array([[1, 0, -1]]), scores)
        3.0
    """
    padded = pad_scores(scores)
    energy = padded[0][grid[:, :-1], grid[:, 1:]].sum(dtype=np.float64)
    energy += padded[1][grid[:-1], grid[1:]].sum(dtype=np.float64)
    if unary is not None:
        cells = np.flatnonzero(grid.ravel() >= 0)
        energy += unary[grid.ravel()[cells], cells].sum(dtype=np.float64)
    return float(energy)


def anneal(
    grid: np.ndarray,
    scores: np.ndarray,
    *,
    steps: int,
    seed: int,
    unary: np.ndarray | None = None,
    hot: float = HOT,
    cold: float = COLD,
) -> np.ndarray:
    """Search for a layout of higher energy.

    Args:
        grid: int (rows, cols), the layout to start from; not changed.
        scores: float32 (2, num_patches, num_patches) log-odds.
        steps: moves to try.
        seed: of the search; the same seed gives the same layout.
        unary: float32 (num_patches, cells) log-odds; optional.
        hot: temperature at the start, in log-odds.
        cold: temperature at the end; between them it falls geometrically.

    Returns:
        int64 (rows, cols), the best layout seen.

    Example:
        >>> scores = np.full((2, 2, 2), -1, np.float32)
        >>> scores[0, 1, 0] = 3
        >>> anneal(np.array([[0, 1]]), scores, steps=50, seed=0)
        array([[1, 0]])
    """
    count = scores.shape[1]
    if unary is None:
        unary = np.zeros((count, grid.size), np.float32)
    best = grid.astype(np.int64)
    _anneal(best, pad_scores(scores), _candidates(scores), unary.astype(np.float32), steps, seed, hot, cold)
    return best


def _candidates(scores: np.ndarray) -> np.ndarray:
    """Best neighbours of every patch: (4, num_patches, k) for right, below, left, above."""
    wanted = min(CANDIDATES, scores.shape[1] - 1)
    views = np.concatenate([scores, scores.swapaxes(1, 2)])
    return np.argsort(-views, axis=2, kind="stable")[:, :, :wanted]


@compiled
def _anneal(best, scores, candidates, unary, steps, seed, hot, cold):
    np.random.seed(seed)
    rows, cols = best.shape
    flat = best.copy().ravel()
    where = np.full(scores.shape[1] - 1, -1, np.int64)
    for cell in range(flat.size):
        if flat[cell] >= 0:
            where[flat[cell]] = cell
    flags = np.zeros((3, flat.size), np.bool_)
    chosen, changed, moved = flags[0], flags[1], flags[2]
    lists = np.zeros((3, flat.size), np.int64)
    members, touched, saved = lists[0], lists[1], lists[2]
    energy = highest = 0.0
    cooling = (cold / hot) ** (1.0 / max(1, steps))
    temperature = hot
    for _ in range(steps):
        temperature *= cooling
        size, shift_row, shift_col = _propose(flat, where, scores, candidates, chosen, members, rows, cols)
        if size == 0:
            continue
        num_touched = _touch(chosen, members, size, shift_row, shift_col, changed, touched, rows, cols)
        before = _energy_around(flat, touched, num_touched, changed, scores, unary, rows, cols)
        for k in range(num_touched):
            saved[k] = flat[touched[k]]
        _shift(flat, chosen, members, size, shift_row, shift_col, moved, rows, cols)
        gain = _energy_around(flat, touched, num_touched, changed, scores, unary, rows, cols) - before
        if gain >= 0 or np.random.random() < np.exp(gain / temperature):
            energy += gain
            for k in range(num_touched):
                if flat[touched[k]] >= 0:
                    where[flat[touched[k]]] = touched[k]
            if energy > highest + 1e-3:
                highest = energy
                best[:] = flat.reshape(rows, cols)
        else:
            for k in range(num_touched):
                flat[touched[k]] = saved[k]
        for k in range(size):
            chosen[members[k]] = False
        for k in range(num_touched):
            changed[touched[k]] = False


@compiled
def _propose(flat, where, scores, candidates, chosen, members, rows, cols):
    """Choose cells and how far to shift them; the kinds of moves and their shares were tuned by hand."""
    kind = np.random.random()
    if kind < 0.90:
        patch = np.random.randint(len(where))
        direction = np.random.randint(4)
        # Squaring prefers the better candidates.
        rank = int(np.random.random() ** 2 * candidates.shape[2])
        partner = where[candidates[direction, patch, rank]]
        row_step, col_step = direction % 2, 1 - direction % 2
        sign = 1 if direction < 2 else -1
        home = where[patch]
        shift_row = (partner // cols - sign * row_step - home // cols) % rows
        shift_col = (partner % cols - sign * col_step - home % cols) % cols
        if shift_row == 0 and shift_col == 0:
            return 0, 0, 0
        if kind < 0.5:
            chosen[home] = True
            members[0] = home
            return 1, shift_row, shift_col
        bond = 6.0 * np.random.random() - 1.0
        size = _segment(flat, home, bond, scores, chosen, members, rows, cols)
        if chosen[partner]:
            for k in range(size):
                chosen[members[k]] = False
            return 0, 0, 0
        return size, shift_row, shift_col
    if kind < 0.95:
        return _rectangle(chosen, members, rows, cols)
    top, bottom, left, right = 0, rows, 0, cols
    if kind < 0.98:
        top = np.random.randint(rows)
        bottom = top + 1 + np.random.randint(rows - top)
    if kind < 0.965:
        left = np.random.randint(cols)
        right = left + 1 + np.random.randint(cols - left)
    size = _mark(chosen, members, top, bottom, left, right, cols)
    if np.random.random() < 0.5:
        return size, 0, 1 if np.random.random() < 0.5 else cols - 1
    return size, 1 if np.random.random() < 0.5 else rows - 1, 0


@compiled
def _rectangle(chosen, members, rows, cols):
    height, width = 1 + np.random.randint(max(1, rows // 2)), 1 + np.random.randint(max(1, cols // 2))
    top, left = np.random.randint(rows - height + 1), np.random.randint(cols - width + 1)
    size = _mark(chosen, members, top, top + height, left, left + width, cols)
    return size, np.random.randint(rows), np.random.randint(cols)


@compiled
def _mark(chosen, members, top, bottom, left, right, cols):
    size = 0
    for row in range(top, bottom):
        for col in range(left, right):
            chosen[row * cols + col] = True
            members[size] = row * cols + col
            size += 1
    return size


@compiled
def _segment(flat, home, bond, scores, chosen, members, rows, cols):
    """Gather the cells that hang together with one by pairs of log-odds above `bond`."""
    chosen[home] = True
    members[0] = home
    size, done = 1, 0
    while done < size:
        cell = members[done]
        done += 1
        row, col = cell // cols, cell % cols
        for direction in range(4):
            if direction == 0 and col < cols - 1:
                other, value = cell + 1, scores[0, flat[cell], flat[cell + 1]]
            elif direction == 1 and row < rows - 1:
                other, value = cell + cols, scores[1, flat[cell], flat[cell + cols]]
            elif direction == 2 and col > 0:
                other, value = cell - 1, scores[0, flat[cell - 1], flat[cell]]
            elif direction == 3 and row > 0:
                other, value = cell - cols, scores[1, flat[cell - cols], flat[cell]]
            else:
                continue
            if flat[other] >= 0 and not chosen[other] and value > bond:
                chosen[other] = True
                members[size] = other
                size += 1
    return size


@compiled
def _goal(cell, shift_row, shift_col, rows, cols):
    return (cell // cols + shift_row) % rows * cols + (cell % cols + shift_col) % cols


@compiled
def _touch(chosen, members, size, shift_row, shift_col, changed, touched, rows, cols):
    """List the cells whose content a shift changes: the chosen ones and their goals."""
    count = 0
    for k in range(size):
        for cell in (members[k], _goal(members[k], shift_row, shift_col, rows, cols)):
            if not changed[cell]:
                changed[cell] = True
                touched[count] = cell
                count += 1
    return count


@compiled
def _shift(flat, chosen, members, size, shift_row, shift_col, moved, rows, cols):
    """Carry the chosen cells' content to their goals; what lay there takes the cells that became free."""
    back_row, back_col = rows - shift_row, cols - shift_col
    for k in range(size):
        moved[members[k]] = False
    for k in range(size):
        # Follow each chain of shifts from its first cell: the one whose predecessor stays.
        if chosen[_goal(members[k], back_row, back_col, rows, cols)]:
            continue
        cell, carried = members[k], flat[members[k]]
        while chosen[cell]:
            moved[cell] = True
            ahead = _goal(cell, shift_row, shift_col, rows, cols)
            flat[ahead], carried = carried, flat[ahead]
            cell = ahead
        flat[members[k]] = carried
    for k in range(size):
        # What is left are rings: rows or columns that are chosen all the way round the torus.
        if moved[members[k]]:
            continue
        cell, carried = members[k], flat[members[k]]
        while not moved[cell]:
            moved[cell] = True
            cell = _goal(cell, shift_row, shift_col, rows, cols)
            flat[cell], carried = carried, flat[cell]


@compiled
def _energy_around(flat, touched, count, changed, scores, unary, rows, cols):
    """Add up all scores that involve a touched cell, each pair once."""
    energy = 0.0
    for k in range(count):
        cell = touched[k]
        patch, row, col = flat[cell], cell // cols, cell % cols
        if patch >= 0:
            energy += unary[patch, cell]
        if col < cols - 1:
            energy += scores[0, patch, flat[cell + 1]]
        if row < rows - 1:
            energy += scores[1, patch, flat[cell + cols]]
        if col > 0 and not changed[cell - 1]:
            energy += scores[0, flat[cell - 1], patch]
        if row > 0 and not changed[cell - cols]:
            energy += scores[1, flat[cell - cols], patch]
    return energy
