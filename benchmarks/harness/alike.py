"""What attackers that turn pieces found, where patches that are equal in some turn count as one another."""

from collections import Counter

import numpy as np

from hipmr_hf.attacks.jigsaw_whole.turns import AFTER, FLIP_COLUMNS, FLIP_ROWS, INVERSE, TRANSPOSE, turned
from hipmr_hf.encryption.patches import NUM_SYMMETRIES
from hipmr_hf.metrics.alike_patches import pairs_of_kinds, share_alike
from hipmr_hf.metrics.turned_order import true_neighbours

_DRAWS = 20


class Kinds:
    """Which patches of a picture are equal, in all turns.

    Args:
        pieces: uint8 (num_patches, size, size, channels) as encrypted.
        shape: rows and columns of the grid.
    """

    def __init__(self, pieces: np.ndarray, shape: tuple[int, int]):
        looks = turned(pieces).reshape(NUM_SYMMETRIES * len(pieces), -1)
        _, first, number = np.unique(looks, axis=0, return_index=True, return_inverse=True)
        self.shape, self.count = shape, len(pieces)
        self.under = number.reshape(len(pieces), NUM_SYMMETRIES)
        """int (num_patches, 8): the kind of each patch under each turn."""
        patch, turn = np.divmod(first, NUM_SYMMETRIES)
        # What each kind becomes under each turn: (8, kinds).
        self._become = np.stack([self.under[patch, AFTER[symmetry][turn]] for symmetry in range(8)])
        self.unturned = self.under.min(axis=1)
        """int (num_patches,): the same for patches that are equal under some turn."""

    def pairs(self, positions: np.ndarray, turns: np.ndarray) -> Counter:
        """Count pairs of neighbours of a layout, whose patches were turned so, whichever way a pair lies."""
        kinds = self.under[np.arange(self.count), turns]
        found: Counter = Counter()
        for (way, one, other), times in pairs_of_kinds(kinds, positions, self.shape).items():
            found[self._lying(way, one, other)] += times
        return found

    def _lying(self, way: str, one: int, other: int) -> tuple[int, int]:
        """The same pair turned so that it lies; of the four ways to lie, always the same."""
        become = self._become
        if way == "below":
            one, other = become[TRANSPOSE][one], become[TRANSPOSE][other]
        ways = []
        for flip in (0, FLIP_ROWS):
            left, right = become[flip][one], become[flip][other]
            ways += [(left, right), (become[FLIP_COLUMNS][right], become[FLIP_COLUMNS][left])]
        left, right = min(ways)
        return int(left), int(right)


def neighbours_alike(
    kinds: Kinds, found: tuple[np.ndarray, np.ndarray], truth: tuple[np.ndarray, np.ndarray]
) -> tuple[float, float]:
    """Share of true neighbours put back, side and turn, and what random layouts give.

    Args:
        kinds: of the picture's patches.
        found: the cell of each patch, and the turn that the attacker applies to it.
        truth: its true cell, and the turn that the encryption applied.
    """
    true = kinds.pairs(truth[0], INVERSE[truth[1]])
    rng = np.random.default_rng(0)
    drawn = [
        share_alike(kinds.pairs(rng.permutation(kinds.count), rng.integers(0, 8, kinds.count)), true)
        for _ in range(_DRAWS)
    ]
    return share_alike(kinds.pairs(*found), true), float(np.mean(drawn))


def partners_alike(kinds: Kinds, scores: np.ndarray, positions: np.ndarray) -> tuple[float, float]:
    """Share of patches whose best-scored partner, or its equal, truly lies beside them, or their equals.

    Args:
        kinds: of the picture's patches.
        scores: float (num_patches, num_patches), higher for likelier neighbours; the diagonal is not read.
        positions: int (num_patches,), the true cell of each patch.

    Returns:
        The share, and that of partners picked at random.
    """
    same = kinds.unturned[:, None] == kinds.unturned
    beside = same.astype(int) @ true_neighbours(positions, kinds.shape) @ same > 0
    others = ~np.eye(kinds.count, dtype=bool)
    best = np.where(others, scores, -np.inf).argmax(axis=1)
    return float(beside[np.arange(kinds.count), best].mean()), float(beside[others].mean())
