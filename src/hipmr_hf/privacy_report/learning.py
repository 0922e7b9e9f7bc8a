"""Whether attackers can be trained in an audit, and how: on the images that are not attacked, for a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bench import Bench

_MIN_IMAGES = 4


def cannot_train(bench: Bench) -> str | None:
    """Tell why no attacker can be trained, or None."""
    if not bench.effort.training_seconds:
        return f"{bench.effort.name} effort trains no attacker"
    if len(bench.attacker_images) < _MIN_IMAGES:
        return "there are no other images to learn from; give a folder of such (--attacker-images)"
    return None


def train_on(
    bench: Bench,
    train: Callable[..., Any],
    *,
    aligned: bool = False,
    progress: Callable[[float, str], None] | None = None,
) -> Any:
    """Train an attacker for the time that the effort gives, on the images that are not attacked."""
    from ..attacks.trained.training_crops import TrainingCrops

    crops = TrainingCrops(bench.attacker_images, bench.plain.shape[1:3], aligned=aligned, seed=bench.seed)
    seconds = bench.effort.training_seconds
    told = progress or bench.inside
    return train(bench.encryption, crops, cpu_seconds=seconds, seed=bench.seed, progress=told)
