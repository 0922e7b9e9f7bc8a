"""How badly turned patches fit side by side, every one of all eight turns with every other.

The costs are those of `jigsaw.compatibility`, over pairs of turned patches, and one more that takes away the
mean and the contrast of each border, for patches that lost theirs (Gallagher, "Jigsaw puzzles with pieces of
unknown orientation", CVPR 2012, for turns; Pomeranz et al., CVPR 2011, for extrapolated borders).
"""

from __future__ import annotations

import numpy as np

from ..jigsaw.colour import to_lab
from ..jigsaw.compiled import compiled_sums
from ..jigsaw_turned.descriptors import WHOLE, restored, to_opponent
from .turns import turned, upper_half

NAMES = ("prediction", "border", "mgc", "offset", "affine", "correlation", "slanted", "strip")
_SHIFTS = 3


def directed_costs(pieces: np.ndarray, left: str) -> np.ndarray:
    """Compute all costs of one puzzle.

    Args:
        pieces: uint8 (num_patches, size, size, channels), size at least 2.
        left: what the settings leave of a patch, as in `jigsaw_turned.descriptors.restored`.

    Returns:
        float32 (len(NAMES), 4 * num_patches, 8 * num_patches): [c, a, w] for turned patch w to the right of
        number a of `turns.upper_half`.

    Example:
        >>> directed_costs(np.zeros((3, 4, 4, 3), np.uint8), "whole").shape
        (8, 12, 24)
    """
    values = to_lab(pieces) if left == WHOLE else to_opponent(restored(pieces, left))
    ways = turned(np.ascontiguousarray(values, np.float32))
    lefts = ways[upper_half(len(ways))]
    last, before = lefts[:, :, -1], lefts[:, :, -2]  # (4 * num_patches, size, channels)
    first, after = ways[:, :, 0], ways[:, :, 1]
    beyond, ahead = 1.5 * last - 0.5 * before, 1.5 * first - 0.5 * after
    return np.stack(
        [
            _root(2 * last - before, first) + _root(last, 2 * first - after),
            _root(last, first),
            _gradients(last, before, first, after),
            _root(_centred(beyond), _centred(ahead)),
            _root(10 * _standardised(beyond), 10 * _standardised(ahead)),
            _correlation(0.75 * last + 0.25 * before, 0.75 * first + 0.25 * after),
            _slanted(_smooth(last), _smooth(first)),
            _strips(lefts, ways),
        ]
    )


def _root(lasts: np.ndarray, firsts: np.ndarray) -> np.ndarray:
    """Mean fourth root of differences: near the 3/10 of Pomeranz et al., and two square roots are quick."""
    out = np.empty((len(lasts), len(firsts)), np.float32)
    _fourth_roots(_flat(lasts), _flat(firsts), out)
    return out


def _slanted(lasts: np.ndarray, firsts: np.ndarray) -> np.ndarray:
    """The best cost over shifts along the border: a line that crosses a gap moves on."""
    size, best = lasts.shape[1], None
    for shift in range(-_SHIFTS, _SHIFTS + 1):
        if abs(shift) >= size // 2:
            continue
        a, b = slice(max(0, shift), size + min(0, shift)), slice(max(0, -shift), size + min(0, -shift))
        cost = _root(lasts[:, a], firsts[:, b]) * np.float32(1 + 0.01 * abs(shift))
        best = cost if best is None else np.minimum(best, cost)
    return best


def _gradients(last: np.ndarray, before: np.ndarray, first: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Mahalanobis gradient compatibility of both sides (MGC; Gallagher 2012), multiplied out."""
    forth = _one_sided(last, last - before, first)
    back = _one_sided(first, first - after, last)
    return np.sqrt(np.maximum(forth + back.T, 0))


def _one_sided(edges: np.ndarray, steps: np.ndarray, others: np.ndarray) -> np.ndarray:
    length, channels = edges.shape[1:]
    mean = steps.mean(axis=1, keepdims=True)
    covariance = np.einsum("npc,npd->ncd", steps - mean, steps - mean) / max(1, length - 1)
    whitening = np.linalg.inv(covariance + np.eye(channels)).astype(np.float32)
    expected = edges + mean
    weighted = np.einsum("npc,ncd->npd", expected, whitening)
    squares = np.einsum("npc,npd->ncd", others, others).reshape(len(others), -1)
    crossed = _flat(weighted) @ _flat(others).T
    own = (weighted * expected).sum(axis=(1, 2))
    return (own[:, None] - 2 * crossed + whitening.reshape(len(edges), -1) @ squares.T) / length


def _correlation(lasts: np.ndarray, firsts: np.ndarray) -> np.ndarray:
    profiles = []
    for column in (lasts, firsts):
        centred = _centred(column)
        length = np.sqrt(np.square(centred).sum(axis=(1, 2), keepdims=True))
        profiles.append(_flat(centred / (length + 1e-3)))
    return np.clip(1 - profiles[0] @ profiles[1].T, 0, 2)


def _strips(lefts: np.ndarray, ways: np.ndarray) -> np.ndarray:
    """Distance of the mean colours of the outer quarters."""
    depth = max(1, ways.shape[2] // 4)
    a, b = lefts[:, :, -depth:].mean(axis=(1, 2)), ways[:, :, :depth].mean(axis=(1, 2))
    squared = np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None] - 2 * a @ b.T
    return np.sqrt(np.maximum(squared, 0))


def _centred(column: np.ndarray) -> np.ndarray:
    return column - column.mean(axis=1, keepdims=True)


def _standardised(column: np.ndarray) -> np.ndarray:
    return _centred(column) / (column.std(axis=1, keepdims=True) + 2)


def _smooth(column: np.ndarray) -> np.ndarray:
    padded = np.pad(column, ((0, 0), (1, 1), (0, 0)), mode="edge")
    return 0.25 * padded[:, :-2] + 0.5 * padded[:, 1:-1] + 0.25 * padded[:, 2:]


def _flat(column: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(column.reshape(len(column), -1), dtype=np.float32)


@compiled_sums
def _fourth_roots(lasts, firsts, out):
    length = lasts.shape[1]
    scale = np.float32(1 / length)
    for i in range(len(lasts)):
        for j in range(len(firsts)):
            total = np.float32(0)
            for k in range(length):
                total += np.sqrt(np.sqrt(np.abs(lasts[i, k] - firsts[j, k])))
            out[i, j] = total * scale
