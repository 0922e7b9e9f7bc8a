"""Pictures that are easy to put together: slow waves, another for every seed."""

import numpy as np


def smooth(seed: int, side: int) -> np.ndarray:
    """Slow waves in three colours: uint8 (side, side, 3)."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:side, :side] / side
    waves = [
        rng.normal(size=3)
        * np.sin(6 * (rows * rng.normal() + cols * rng.normal()) + 6 * rng.random())[..., None]
        for _ in range(6)
    ]
    return (128 + 30 * np.sum(waves, axis=0)).clip(0, 255).astype(np.uint8)
