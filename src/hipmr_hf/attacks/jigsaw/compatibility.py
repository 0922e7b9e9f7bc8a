"""How badly two patches fit side by side: dissimilarities of their borders, without any learning.

Each function takes two stacks of patches, float (num_patches, height, width, channels), and returns
(num_patches, num_patches): entry [i, j] is the cost of patch j standing to the right of patch i. For "j
below i" the patches are transposed first (`dissimilarities` does both). Rotation is not considered (type-1
puzzles).

Sources: Pomeranz, Shemesh, Ben-Shahar, "A fully automated greedy square jigsaw puzzle solver", CVPR 2011
(prediction-based L_p^q in LAB); Gallagher, "Jigsaw puzzles with pieces of unknown orientation", CVPR 2012
(MGC).
"""

from collections.abc import Callable

import numpy as np

from ...errors import InputValueError
from .colour import to_lab, to_luma_weighted

POWER = 0.3
"""p of L_p^q (Pomeranz et al. 2011, section 3.2); their q only rescales, which the calibration does here."""


def _row_by_row(lefts: np.ndarray, cost: Callable[[int], np.ndarray]) -> np.ndarray:
    # One left patch at a time keeps memory at (num_patches, height, channels).
    return np.stack([cost(i) for i in range(len(lefts))]).astype(np.float32)


def _lp(differences: np.ndarray) -> np.ndarray:
    return np.power(np.abs(differences), np.float32(POWER)).mean(axis=(-2, -1))


def prediction(lefts: np.ndarray, rights: np.ndarray) -> np.ndarray:
    """Cost by extrapolating each border linearly by one pixel, L_(3/10) (Pomeranz et al. 2011).

    Example:
        >>> ramp = np.arange(8, dtype=np.float32).reshape(1, 1, 8, 1).repeat(2, 1)
        >>> pieces = np.concatenate([ramp[:, :, :4], ramp[:, :, 4:]])
        >>> float(prediction(pieces, pieces)[0, 1])
        0.0
    """
    left_next = 2 * lefts[:, :, -1] - lefts[:, :, -2]
    right_next = 2 * rights[:, :, 0] - rights[:, :, 1]
    last, first = lefts[:, :, -1], rights[:, :, 0]
    return _row_by_row(lefts, lambda i: _lp(left_next[i] - first) + _lp(right_next - last[i]))


def border(lefts: np.ndarray, rights: np.ndarray) -> np.ndarray:
    """Cost by comparing the two border columns as they are, L_(3/10): steadier over a gap."""
    last, first = lefts[:, :, -1], rights[:, :, 0]
    return _row_by_row(lefts, lambda i: _lp(last[i] - first))


def offset_removed(lefts: np.ndarray, rights: np.ndarray) -> np.ndarray:
    """Cost of extrapolated borders after their mean difference is taken away, per channel.

    Brightness jitter and mean removal shift a whole patch; a constant shift does not change this cost.
    """
    left_next = 1.5 * lefts[:, :, -1] - 0.5 * lefts[:, :, -2]
    right_next = 1.5 * rights[:, :, 0] - 0.5 * rights[:, :, 1]
    left_next = left_next - left_next.mean(axis=1, keepdims=True)
    right_next = right_next - right_next.mean(axis=1, keepdims=True)
    return _row_by_row(lefts, lambda i: _lp(left_next[i] - right_next))


def correlation(lefts: np.ndarray, rights: np.ndarray) -> np.ndarray:
    """Cost 1 - r, r the correlation of the two border profiles: blind to brightness and contrast."""
    last = _profile(0.75 * lefts[:, :, -1] + 0.25 * lefts[:, :, -2])
    first = _profile(0.75 * rights[:, :, 0] + 0.25 * rights[:, :, 1])
    return np.clip(1 - last @ first.T, 0, 2).astype(np.float32)


def _profile(column: np.ndarray) -> np.ndarray:
    column = column - column.mean(axis=1, keepdims=True)
    length = np.sqrt(np.square(column).sum(axis=(1, 2), keepdims=True))
    return (column / (length + 1e-3)).reshape(len(column), -1)


def mahalanobis_gradient(lefts: np.ndarray, rights: np.ndarray) -> np.ndarray:
    """Mahalanobis gradient compatibility (MGC; Gallagher 2012, section 3), both ways added up.

    The step over the border is measured in units of the steps that the patch itself makes towards it.
    """
    last, first = lefts[:, :, -1], rights[:, :, 0]
    from_left = _one_sided_mgc(last, last - lefts[:, :, -2], first)
    from_right = _one_sided_mgc(first, first - rights[:, :, 1], last)
    return from_left + from_right.T


def _one_sided_mgc(edges: np.ndarray, gradients: np.ndarray, others: np.ndarray) -> np.ndarray:
    mean = gradients.mean(axis=1, keepdims=True)
    centred = gradients - mean
    covariance = np.einsum("npc,npd->ncd", centred, centred) / max(1, edges.shape[1] - 1)
    # Gallagher adds nine small dummy gradients for the same reason: flat borders have no covariance.
    covariance += np.eye(edges.shape[2], dtype=np.float32)
    whitening = np.linalg.cholesky(np.linalg.inv(covariance.astype(np.float64))).astype(np.float32)
    expected = edges + mean
    return _row_by_row(edges, lambda i: np.square((others - expected[i]) @ whitening[i]).mean(axis=(1, 2)))


def slanted(lefts: np.ndarray, rights: np.ndarray, *, max_shift: int = 3) -> np.ndarray:
    """Cost of the smoothed borders under the best shift along them: a line that crosses a gap moves on.

    Args:
        lefts: patches on the left.
        rights: patches on the right.
        max_shift: pixels up or down that a slanted line may have moved.
    """
    height = lefts.shape[1]
    last, first = (_smooth(column) for column in (lefts[:, :, -1], rights[:, :, 0]))
    shifts = [s for s in range(-max_shift, max_shift + 1) if abs(s) < height // 2]

    def cost(i: int) -> np.ndarray:
        costs = []
        for s in shifts:
            a, b = slice(max(0, s), height + min(0, s)), slice(max(0, -s), height + min(0, -s))
            costs.append(np.sqrt(np.abs(last[i, a] - first[:, b])).mean(axis=(1, 2)) + 0.02 * abs(s))
        return np.min(costs, axis=0)

    return _row_by_row(lefts, cost)


def _smooth(column: np.ndarray) -> np.ndarray:
    padded = np.pad(column, ((0, 0), (1, 1), (0, 0)), mode="edge")
    return 0.25 * padded[:, :-2] + 0.5 * padded[:, 1:-1] + 0.25 * padded[:, 2:]


def strip_colour(lefts: np.ndarray, rights: np.ndarray) -> np.ndarray:
    """Cost by the mean colour of the outer quarter of each patch: what is left when fine detail is lost."""
    depth = max(1, lefts.shape[2] // 4)
    last, first = lefts[:, :, -depth:].mean(axis=(1, 2)), rights[:, :, :depth].mean(axis=(1, 2))
    return _row_by_row(lefts, lambda i: np.sqrt(np.square(last[i] - first).sum(axis=1)))


def patch_statistics(lefts: np.ndarray, rights: np.ndarray) -> np.ndarray:
    """Cost by the mean and the spread of colour over whole patches: blind to where a pixel stands."""
    last, first = (
        np.concatenate([pieces.mean(axis=(1, 2)), pieces.std(axis=(1, 2))], axis=1)
        for pieces in (lefts, rights)
    )
    return _row_by_row(lefts, lambda i: np.sqrt(np.square(last[i] - first).sum(axis=1)))


def _to_float(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32)


DISSIMILARITIES: dict[str, tuple[Callable, Callable]] = {
    "prediction": (to_lab, prediction),
    "border": (to_lab, border),
    "mgc": (_to_float, mahalanobis_gradient),
    "luma": (to_luma_weighted, prediction),
    "offset": (to_lab, offset_removed),
    "correlation": (to_luma_weighted, correlation),
    "slanted": (to_lab, slanted),
    "strip": (to_lab, strip_colour),
    "statistics": (to_lab, patch_statistics),
    "luma_border": (to_luma_weighted, border),
    "luma_mgc": (to_luma_weighted, mahalanobis_gradient),
}
"""Name -> (colour space, dissimilarity)."""

ALL_COLOURS = tuple(name for name in DISSIMILARITIES if not name.startswith("luma_"))
"""What is compared where every pixel kept its own colour; the rest is for JPEG with subsampled chroma."""


def dissimilarities(pieces: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Compute several dissimilarities in both directions.

    Args:
        pieces: uint8 (num_patches, size, size, channels), size at least 2.
        names: keys of DISSIMILARITIES.

    Returns:
        float32 (len(names), 2, num_patches, num_patches): [c, 0, i, j] for j right of i, [c, 1, i, j] for j
        below i; at least 0. Pairs of a patch with itself are computed like any other.

    Raises:
        ValueError: an unknown name, or patches of fewer than 2 pixels.

    Example:
        >>> dissimilarities(np.zeros((3, 4, 4, 3), np.uint8), ("border", "mgc")).shape
        (2, 2, 3, 3)
    """
    unknown = sorted(set(names) - set(DISSIMILARITIES))
    if unknown:
        raise InputValueError(f"names: got {unknown}, expected some of {sorted(DISSIMILARITIES)}.")
    if pieces.shape[1] < 2:
        raise InputValueError("pieces: got patches of 1 pixel, expected 2 or more: a border needs two.")
    spaces = {space: space(pieces) for space in {DISSIMILARITIES[name][0] for name in names}}
    result = np.empty((len(names), 2, len(pieces), len(pieces)), np.float32)
    for index, name in enumerate(names):
        space, cost = DISSIMILARITIES[name]
        upright = spaces[space]
        lying = np.ascontiguousarray(upright.swapaxes(1, 2))
        result[index] = cost(upright, upright), cost(lying, lying)
    return result
