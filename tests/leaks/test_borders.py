"""The measure of a picture's patch borders, added up in whole numbers."""

import numpy as np
import pytest

from hipmr_hf.leaks.borders import border_ratio


def as_described(pixels: np.ndarray, patch_size: int) -> float:
    values = pixels.astype(np.float64)
    steps = np.concatenate(
        [np.abs(np.diff(values, axis=0)).mean(axis=(1, 2)), np.abs(np.diff(values, axis=1)).mean(axis=(0, 2))]
    )
    at_border = np.concatenate([np.arange(1, side) for side in pixels.shape[:2]]) % patch_size == 0
    return steps[at_border].mean() / steps[~at_border].mean()


@pytest.mark.parametrize("shape", [(64, 96, 3), (33, 40, 1)])
def test_it_is_the_steps_at_borders_beside_those_within(shape):
    walk = np.random.default_rng(0).integers(-9, 10, shape).cumsum(axis=0).cumsum(axis=1)
    pixels = np.abs(walk % 510 - 255).astype(np.uint8)
    assert border_ratio(pixels, 8) == pytest.approx(as_described(pixels, 8), rel=1e-9)
