"""The attacker that reckons with turned, mixed and toned patches, fitted anew for every setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .records import ORDER, AttackRecord, record_of
from .solving import cannot_solve, perfect_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .bench import Bench

_MIN_IMAGES, _MOST_IMAGES, _FEW_IMAGES = 4, 60, 40


def cannot_fit(bench: Bench) -> str | None:
    """Tell why there is nothing to solve or to fit on, or None."""
    if reason := cannot_solve(bench):
        return reason
    if not bench.effort.boosting_trees:
        return f"{bench.effort.name} effort fits no attacker"
    if len(_others(bench)) < _MIN_IMAGES:
        return f"fewer than {_MIN_IMAGES} images are left to fit it on; give others (--attacker-images)"
    return None


def turned(bench: Bench) -> AttackRecord:
    """Fit pair scores on images that are not attacked, then put the attacked ones together by them."""
    from ..attacks.jigsaw_turned.attacker import fit_turned

    others = _others(bench)[:_MOST_IMAGES]
    attacker = fit_turned(
        bench.encryption,
        [bench.encryption.prepare(image) for image in others],
        trees=bench.effort.boosting_trees,
        seed=bench.seed,
        progress=lambda share, text: bench.inside(share / 2, text),
    )
    results = []
    for number, (image, truth) in enumerate(zip(bench.sample.images, bench.sample.positions, strict=True)):
        bench.inside(0.5 + number / len(bench.plain) / 2, "")
        results.append(attacker(image, truth))
    notes = ["The picture is put together up to a turn of the whole, which changes no share."]
    if len(others) < _FEW_IMAGES:
        notes.append(f"It was fitted on {len(others)} images only; on more it would find more.")
    return record_of(
        results,
        bench.plain,
        bench.others,
        attack="turned",
        title="pair scores that turning patches does not change, fitted for these settings",
        kind=ORDER,
        knows=f"the settings, and {len(others)} other images to learn from",
        measure="adjacent",
        baselines=perfect_order(bench),
        notes=notes,
    )


def _others(bench: Bench) -> Sequence[np.ndarray]:
    """Images that are not attacked: those set apart for attackers, or else those that are candidates only."""
    if len(bench.attacker_images) >= _MIN_IMAGES:
        return bench.attacker_images
    return list(bench.candidates[len(bench.plain) :])
