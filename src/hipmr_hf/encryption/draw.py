"""The randomness that a batch of images is encrypted with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Draw(NamedTuple):
    """The randomness of one batch."""

    permutations: np.ndarray | None  # (batch, rows * cols)
    turns: np.ndarray | None  # (batch, rows, cols, sub_patch_grid, sub_patch_grid)
    tones: np.ndarray | None  # (batch, rows * cols), a second permutation

    def part(self, images: slice) -> Draw:
        """Return the randomness of some images of the batch."""
        return Draw(*(None if values is None else values[images] for values in self))
