"""Patches that leaked from gradients: cut, joined, and compared with the true ones as a set."""

import numpy as np
import torch

from ..trained.set_transformer import split_batch

RECOVERED_DB = 30.0
"""A patch that comes back with this PSNR or more looks like the true one."""

_LIMIT_DB = 60.0


def split(images: np.ndarray, patch_size: int) -> np.ndarray:
    """Cut images into the patches of all of them: uint8 (patches, patch_size**2 * channels).

    Example:
        >>> split(np.zeros((2, 8, 8, 3), np.uint8), 4).shape
        (8, 48)
    """
    return split_batch(images, patch_size).flatten(0, 1).flatten(1).numpy()


def join(patches: torch.Tensor, shape: tuple[int, int, int], patch_size: int) -> torch.Tensor:
    """Lay out patches as a convolution over patches sees them.

    Args:
        patches: (images * rows * cols, channels * patch_size**2), channels first as in the weights.
        shape: images, rows and columns of patches.
        patch_size: in pixels.

    Returns:
        (images, channels, rows * patch_size, cols * patch_size).

    Example:
        >>> join(torch.zeros(8, 48), (2, 2, 2), 4).shape
        torch.Size([2, 3, 8, 8])
    """
    tiled = patches.reshape(*shape, -1, patch_size, patch_size).permute(0, 3, 1, 4, 2, 5)
    return tiled.reshape(shape[0], -1, shape[1] * patch_size, shape[2] * patch_size)


def leak_scores(found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Compare two sets of patches; each true patch is given the found one that serves best over all.

    Args:
        found: (patches, pixels), 0 to 255.
        truth: of the same shape.

    Returns:
        patch_psnr (dB over all pixels, 60 at most), recovered and in_place (shares of patches with 30 dB or
        more after the matching, and as they stand).

    Example:
        >>> truth = np.array([[0.0, 0.0], [200.0, 200.0]])
        >>> leak_scores(truth[::-1], truth)
        {'patch_psnr': 60.0, 'recovered': 1.0, 'in_place': 0.0}
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    errors = cdist(truth.astype(np.float64), found.astype(np.float64), "sqeuclidean") / truth.shape[1]
    rows, columns = linear_sum_assignment(errors)
    matched = errors[rows, columns]
    good = 255.0**2 / 10 ** (RECOVERED_DB / 10)
    floor = 255.0**2 / 10 ** (_LIMIT_DB / 10)
    return {
        "patch_psnr": float(10 * np.log10(255.0**2 / max(floor, matched.mean()))),
        "recovered": float((matched <= good).mean()),
        "in_place": float((errors.diagonal() <= good).mean()),
    }
