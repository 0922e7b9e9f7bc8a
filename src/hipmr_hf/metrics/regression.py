"""Errors of predicted numbers."""

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputValueError


def regression_scores(predictions: ArrayLike, references: ArrayLike) -> dict[str, float]:
    """Tell how far predicted numbers are from the true ones; means over the numbers of a picture.

    Args:
        predictions: (num_images,) or (num_images, num_numbers), in the numbers' own unit.
        references: the true ones, as many.

    Returns:
        mse, the mean squared error; mae, the mean absolute error; and r2, the share of the variance that is
        explained: 1 at best, 0 for whoever always says the mean, below 0 for worse. Where all true numbers
        are the same, r2 is 1 if they are met, else 0.

    Raises:
        ValueError: other shapes, no images, or a prediction that is not a number.

    Example:
        >>> regression_scores([2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0])
        {'mse': 0.375, 'mae': 0.5, 'r2': 0.9486081370449679}
    """
    found, truth = (np.asarray(values, dtype=np.float64) for values in (predictions, references))
    if found.ndim not in (1, 2) or found.size != truth.size or len(found) != len(truth) or not found.size:
        raise InputValueError(
            f"predictions: got shape {found.shape} for references of shape {truth.shape}, expected as many "
            "numbers for each of one image or more."
        )
    found, truth = found.reshape(len(found), -1), truth.reshape(len(truth), -1)
    lost = int((~np.isfinite(found)).any(axis=1).sum())
    if lost:
        raise InputValueError(
            f"predictions: {lost} of {len(found)} images got no number (NaN or infinity); the model has "
            "diverged: train it anew with a lower learning rate, or take an earlier checkpoint."
        )
    errors = ((found - truth) ** 2).sum(axis=0)
    spread = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    explained = 1 - errors / np.where(spread > 0, spread, 1.0)
    r2 = np.where(spread > 0, explained, (errors == 0).astype(float))
    return {
        "mse": float(((found - truth) ** 2).mean()),
        "mae": float(np.abs(found - truth).mean()),
        "r2": float(r2.mean()),
    }
