"""Improve a layout of turned patches by simulated annealing.

The energy of a layout is the sum of log-odds over neighbouring cells. A move carries patches to cells
and turns them: one patch beside another under the turn that fits there, a whole segment carried so, a
patch turned where it lies, or a band of the frame rolled. What stood in the way goes to cells that became
free.
"""

import numpy as np

from ..jigsaw.compiled import compiled
from .joining import padded
from .turns import AFTER, INVERSE, STEPS

CANDIDATES = 8
"""Best neighbours of a turned patch on each side that moves choose from."""


def layout_energy(grid: np.ndarray, right: np.ndarray, below: np.ndarray) -> float:
    """Add up the log-odds of a layout.

    Args:
        grid: int (rows, cols), the turned patch in each cell, -1 for none.
        right: (8 * num_patches, 8 * num_patches) log-odds of standing to the right; `below` as well.

    Example:
        >>> scores = np.zeros((16, 16)); scores[8, 3] = 2.0
        >>> layout_energy(np.array([[8, 3, -1]]), scores, scores)
        2.0
    """
    right, below = padded(right), padded(below)
    energy = right[grid[:, :-1], grid[:, 1:]].sum(dtype=np.float64)
    return float(energy + below[grid[:-1], grid[1:]].sum(dtype=np.float64))


def anneal_turned(
    grid: np.ndarray,
    right: np.ndarray,
    below: np.ndarray,
    *,
    steps: int,
    seed: int,
    hot: float,
    cold: float = 0.15,
) -> np.ndarray:
    """Search for a layout of higher energy.

    Args:
        grid: int (rows, cols), the layout to start from; not changed.
        right, below: float32 (8 * num_patches, 8 * num_patches) log-odds.
        steps: moves to try.
        seed: of the search; the same seed gives the same layout.
        hot, cold: temperatures at the start and at the end, in log-odds.

    Returns:
        int64 (rows, cols), the best layout seen.
    """
    best = grid.astype(np.int64)
    wanted = min(CANDIDATES, len(right) - 8)
    views = right, below, right.T, below.T
    candidates = np.stack([np.argpartition(-view, wanted - 1, axis=1)[:, :wanted] for view in views])
    ranked = [
        np.take_along_axis(
            some, np.argsort(-np.take_along_axis(view, some, axis=1), axis=1, kind="stable"), axis=1
        )
        for view, some in zip(views, candidates, strict=True)
    ]
    _anneal(
        best, padded(right), padded(below), np.stack(ranked), steps, seed, hot, cold, (AFTER, INVERSE, STEPS)
    )
    return best


@compiled
def _anneal(best, right, below, candidates, steps, seed, hot, cold, turns):
    np.random.seed(seed)
    rows, cols = best.shape
    flat = best.copy().ravel()
    where = np.full((len(right) - 1) // 8, -1, np.int64)
    for cell in range(flat.size):
        if flat[cell] >= 0:
            where[flat[cell] // 8] = cell
    chosen, target = np.zeros(flat.size, np.bool_), np.zeros(flat.size, np.bool_)
    lists = np.zeros((5, flat.size), np.int64)
    members, goals, patches, touched, saved = lists[0], lists[1], lists[2], lists[3], lists[4]
    energy = highest = 0.0
    cooling = (cold / hot) ** (1.0 / max(1, steps))
    temperature = hot
    for _ in range(steps):
        temperature *= cooling
        size = _propose(
            flat, where, right, below, candidates, chosen, members, goals, patches, rows, cols, turns
        )
        if size == 0:
            continue
        count = _touch(flat, chosen, target, members, goals, size, touched, saved)
        before = _energy_around(flat, touched, count, chosen, right, below, rows, cols)
        _move(flat, target, members, goals, patches, size, saved, count)
        gain = _energy_around(flat, touched, count, chosen, right, below, rows, cols) - before
        if gain >= 0 or np.random.random() < np.exp(gain / temperature):
            energy += gain
            for k in range(count):
                if flat[touched[k]] >= 0:
                    where[flat[touched[k]] // 8] = touched[k]
            if energy > highest + 1e-3:
                highest = energy
                best[:] = flat.reshape(rows, cols)
        else:
            for k in range(count):
                flat[touched[k]] = saved[k]
        for k in range(count):
            chosen[touched[k]] = False
        for k in range(size):
            target[goals[k]] = False


@compiled
def _touch(flat, chosen, target, members, goals, size, touched, saved):
    """Gather the cells that a move changes: its members, which are `chosen` already, and their goals."""
    for k in range(size):
        target[goals[k]] = True
        touched[k] = members[k]
    count = size
    for k in range(size):
        if not chosen[goals[k]]:
            touched[count] = goals[k]
            count += 1
    for k in range(count):
        saved[k] = flat[touched[k]]
        chosen[touched[k]] = True
    return count


@compiled
def _move(flat, target, members, goals, patches, size, saved, count):
    """Carry patches to their goals; what lay there goes to cells that are left."""
    freed = 0
    for k in range(size, count):
        while target[members[freed]]:
            freed += 1
        flat[members[freed]] = saved[k]
        freed += 1
    for k in range(size):
        flat[goals[k]] = patches[k]


@compiled
def _propose(flat, where, right, below, candidates, chosen, members, goals, patches, rows, cols, turns):
    """Choose cells, where they go, and what their patches are turned to; 0 for nothing."""
    after, inverse, directions = turns
    kind = np.random.random()
    if kind < 0.04:  # a patch is turned where it lies
        cell = where[np.random.randint(len(where))]
        chosen[cell] = True
        members[0], goals[0] = cell, cell
        patches[0] = flat[cell] // 8 * 8 + np.random.randint(8)
        return 1
    if kind < 0.08:
        return _roll(flat, chosen, members, goals, patches, rows, cols)
    home = where[np.random.randint(len(where))]
    side = np.random.randint(4)
    row = home // cols + (0, 1, 0, -1)[side]
    col = home % cols + (1, 0, -1, 0)[side]
    if row < 0 or row >= rows or col < 0 or col >= cols:
        return 0
    # Squaring prefers the better candidates.
    wanted = candidates[side, flat[home], int(np.random.random() ** 2 * candidates.shape[2])]
    start, goal = where[wanted // 8], row * cols + col
    if flat[goal] == wanted:
        return 0
    if kind < 0.5:
        if start == home:
            return 0
        chosen[start] = True
        members[0], goals[0], patches[0] = start, goal, wanted
        return 1
    size = _segment(flat, start, 6.0 * np.random.random() - 1.0, right, below, chosen, members, rows, cols)
    turn = after[wanted % 8, inverse[flat[start] % 8]]
    fits = not chosen[home]
    for k in range(size):
        step_row, step_col = members[k] // cols - start // cols, members[k] % cols - start % cols
        to_row = row + directions[turn, 0, 0] * step_row + directions[turn, 0, 1] * step_col
        to_col = col + directions[turn, 1, 0] * step_row + directions[turn, 1, 1] * step_col
        if to_row < 0 or to_row >= rows or to_col < 0 or to_col >= cols or to_row * cols + to_col == home:
            fits = False
            break
        goals[k] = to_row * cols + to_col
        patches[k] = flat[members[k]] // 8 * 8 + after[turn, flat[members[k]] % 8]
    if not fits:
        for k in range(size):
            chosen[members[k]] = False
        return 0
    return size


@compiled
def _roll(flat, chosen, members, goals, patches, rows, cols):
    """Roll all of the frame, or a band of rows or columns, by one cell."""
    top, bottom, left, right = 0, rows, 0, cols
    lying = np.random.random() < 0.5
    if np.random.random() < 0.5:
        if lying:
            top = np.random.randint(rows)
            bottom = top + 1 + np.random.randint(rows - top)
        else:
            left = np.random.randint(cols)
            right = left + 1 + np.random.randint(cols - left)
    back = np.random.random() < 0.5
    size = 0
    for row in range(top, bottom):
        for col in range(left, right):
            cell = row * cols + col
            step = (cols - 1 if lying else rows - 1) if back else 1
            goal = row * cols + (col + step) % cols if lying else (row + step) % rows * cols + col
            chosen[cell] = True
            members[size], goals[size], patches[size] = cell, goal, flat[cell]
            size += 1
    return size


@compiled
def _segment(flat, home, bond, right, below, chosen, members, rows, cols):
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
                other, value = cell + 1, right[flat[cell], flat[cell + 1]]
            elif direction == 1 and row < rows - 1:
                other, value = cell + cols, below[flat[cell], flat[cell + cols]]
            elif direction == 2 and col > 0:
                other, value = cell - 1, right[flat[cell - 1], flat[cell]]
            elif direction == 3 and row > 0:
                other, value = cell - cols, below[flat[cell - cols], flat[cell]]
            else:
                continue
            if flat[other] >= 0 and not chosen[other] and value > bond:
                chosen[other] = True
                members[size] = other
                size += 1
    return size


@compiled
def _energy_around(flat, touched, count, changed, right, below, rows, cols):
    """Add up all scores that involve a touched cell, each pair once."""
    energy = 0.0
    for k in range(count):
        cell = touched[k]
        patch, row, col = flat[cell], cell // cols, cell % cols
        if col < cols - 1:
            energy += right[patch, flat[cell + 1]]
        if row < rows - 1:
            energy += below[patch, flat[cell + cols]]
        if col > 0 and not changed[cell - 1]:
            energy += right[flat[cell - 1], patch]
        if row > 0 and not changed[cell - cols]:
            energy += below[flat[cell - cols], patch]
    return energy
