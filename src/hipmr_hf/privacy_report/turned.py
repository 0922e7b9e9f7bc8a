"""The attackers that reckon with turned patches, whole or mixed, fitted anew for every setting."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ..recognisers.evidence import best_turned
from .learning import cannot_train, train_on
from .records import ORDER, AttackRecord, record_of
from .sample import FITTED_ON, LEAST_TO_LEARN_FROM, TOO_FEW_TO_FIT_ON, to_learn_from
from .solving import cannot_solve, perfect_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from ..attacks.base import AttackResult
    from ..attacks.trained.turned_pairs import TurnedPairs
    from .bench import Bench

_FEW_IMAGES = 40
_SHOWN = "Its pictures are shown the way up that looks most like the plain ones; shares need no such help."


def cannot_fit(bench: Bench) -> str | None:
    """Tell why there is nothing to solve or to fit on, or None."""
    if reason := cannot_solve(bench):
        return reason
    if not bench.effort.boosting_trees:
        return f"{bench.effort.name} effort fits no attacker"
    if len(_others(bench)) < LEAST_TO_LEARN_FROM:
        return TOO_FEW_TO_FIT_ON
    return None


def cannot_solve_upright(bench: Bench) -> str | None:
    """Tell why the solver that turns no piece has nothing to say, or None."""
    fitted = cannot_fit(bench) is None
    if fitted and bench.encryption.sub_patch_symmetries and not bench.effort.training_seconds:
        return "it turns no piece; at quick effort those do that reckon with turns"
    return cannot_solve(bench)


def turned(bench: Bench) -> AttackRecord:
    """Fit pair scores on images that are not attacked, then put the attacked ones together by them."""
    from ..attacks.jigsaw_turned.attacker import fit_turned

    others, learned = _others(bench)[:FITTED_ON], _learned(bench)
    attacker = fit_turned(
        bench.encryption,
        [bench.encryption.prepare(image) for image in others],
        trees=bench.effort.boosting_trees,
        learned=learned,
        seed=bench.seed,
        progress=lambda share, text: bench.inside((1 + share) / 4, text),
    )
    results = []
    for number, (image, truth) in enumerate(zip(bench.sample.images, bench.sample.positions, strict=True)):
        bench.inside(0.5 + number / len(bench.plain) / 2, "")
        results.append(attacker(image, truth))
    notes = [_SHOWN]
    if len(others) < _FEW_IMAGES:
        notes.append(f"It was fitted on {len(others)} images only; on more it would find more.")
    if learned:
        seconds, count = learned.effort["cpu_seconds"], learned.effort["source_images"]
        notes.append(f"A network helps it that learned for {seconds:.0f} seconds from {count} images.")
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


def _learned(bench: Bench) -> TurnedPairs | None:
    """Train a network that scores pairs as well, where the effort trains any."""
    if cannot_train(bench):
        return None
    from ..attacks.trained.turned_pairs import train_turned_pairs

    return train_on(bench, train_turned_pairs, progress=lambda share, text: bench.inside(share / 4, text))


def cannot_be_whole(bench: Bench) -> str | None:
    """Tell why no patch is a whole turned piece, or why there is nothing to fit on, or None."""
    if reason := cannot_fit(bench):
        return reason
    from ..attacks.jigsaw_whole import attacker

    return attacker.cannot_be_whole(bench.encryption)


def whole(bench: Bench) -> AttackRecord:
    """Fit how borders of turned patches are weighed, then put the patches together, position and turn."""
    from ..attacks.jigsaw_whole.attacker import fit_whole

    others, effort = _others(bench)[: bench.effort.side_images], bench.effort
    attacker = fit_whole(
        bench.encryption,
        [bench.encryption.prepare(image) for image in others],
        trees=0,
        seed=bench.seed,
        progress=lambda share, text: bench.inside(share / 4, text),
        rounds=effort.rounds,
        steps=effort.steps,
    )
    results = []
    for number, image in enumerate(bench.sample.images):
        bench.inside(0.25 + 0.75 * number / len(bench.plain), "")
        results.append(attacker(image, bench.sample.positions[number], bench.sample.turns[number]))
    return record_of(
        _way_up(results, bench),
        bench.plain,
        bench.others,
        attack="whole",
        title="a jigsaw solver that turns the pieces",
        kind=ORDER,
        knows=f"the settings, and {len(others)} other images to learn from",
        measure="neighbour_turned",
        baselines=perfect_order(bench),
        notes=[_SHOWN],
    )


def _way_up(results: Sequence[AttackResult], bench: Bench) -> list[AttackResult]:
    """Turn each picture as a whole: it is found up to a symmetry, and nobody who looks at it minds."""
    return [
        dataclasses.replace(result, reconstruction=best_turned(result.reconstruction, plain))
        for result, plain in zip(results, bench.plain, strict=True)
    ]


def _others(bench: Bench) -> Sequence[np.ndarray]:
    return to_learn_from(bench.attacker_images, list(bench.candidates), len(bench.plain))
