"""What a user of NumPy would write who knows no library for it: patches shuffled by hand."""

import numpy as np


def shuffle_patches(image: np.ndarray, patch: int, generator: np.random.Generator) -> np.ndarray:
    """Shuffle the patches of a square image with NumPy's weak generator: (height, width, 3)."""
    side = image.shape[0]
    grid = side // patch
    tiled = image.reshape(grid, patch, grid, patch, 3).swapaxes(1, 2).reshape(grid * grid, patch, patch, 3)
    tiled = tiled[generator.permutation(grid * grid)].reshape(grid, grid, patch, patch, 3)
    return tiled.swapaxes(1, 2).reshape(side, side, 3)
