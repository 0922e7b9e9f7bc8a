"""The attacker of tones that were dealt out: how many it deals back, and what it draws by them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from .records import PICTURE, TONES, AttackRecord, by_name, means, picture_scores, record_of
from .sample import FITTED_ON, LEAST_TO_LEARN_FROM, TOO_FEW_TO_FIT_ON, to_learn_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from ..attacks.tones.attacker import TonesAttacker, TonesResult
    from .bench import Bench

_FEW_IMAGES = 40


def cannot_deal_back(bench: Bench) -> str | None:
    """Tell why there are no tones to deal back, or nothing to learn from, or None."""
    if not bench.encryption.shuffle_tones:
        return "no tones are dealt out"
    if bench.encryption.encrypted_patch_size < 2:
        return "encrypted patches are one pixel wide and have no texture"
    return TOO_FEW_TO_FIT_ON if len(_others(bench)) < LEAST_TO_LEARN_FROM else None


def tones(bench: Bench) -> list[AttackRecord]:
    """Learn on images that are not attacked which tones go with which textures, then deal them back.

    Returns:
        A record of the tones, and where patches keep their places one of the pictures drawn by them.
    """
    from ..attacks.tones.attacker import fit_tones

    others = _others(bench)
    attacker = fit_tones(
        bench.encryption,
        [bench.encryption.prepare(image) for image in others],
        progress=lambda share, text: bench.inside(share / 2, text),
    )
    results = []
    for number, (image, holders) in enumerate(
        zip(bench.sample.images, bench.sample.tone_holders, strict=True)
    ):
        bench.inside(0.5 + number / len(bench.plain) / 2, "")
        results.append(attacker(image, holders))
    few = [f"It was fitted on {len(others)} images only; on more it would find more."]
    told = {
        "knows": f"the settings, and {len(others)} other images to learn from",
        "effort": dict(attacker.effort),
        "notes": few if len(others) < _FEW_IMAGES else [],
    }
    found = AttackRecord(
        attack="tones",
        title="dealing tones back to their textures",
        kind=TONES,
        measure="dealt_back",
        scores=by_name([result.scores for result in results]),
        chance=means([result.chance for result in results]),
        cpu_seconds=means([{"seconds": result.cpu_seconds} for result in results])["seconds"],
        **told,
    )
    return [found] if bench.shuffled else [found, _drawn(bench, attacker, results, told)]


def _drawn(bench: Bench, attacker: TonesAttacker, results: Sequence[TonesResult], told: dict) -> AttackRecord:
    """Gather the pictures, beside what all tones in their places would show."""
    perfect = [
        picture_scores(attacker.drawn(image, holders), plain)
        for image, holders, plain in zip(
            bench.sample.images, bench.sample.tone_holders, bench.plain, strict=True
        )
    ]
    return record_of(
        [dataclasses.replace(result, scores={}, chance={}) for result in results],
        bench.plain,
        bench.others,
        attack="tones_drawn",
        title="the picture drawn by tones that were dealt back",
        kind=PICTURE,
        measure="likeness",
        baselines={"all tones in their places": means(perfect)},
        **told,
    )


def _others(bench: Bench) -> Sequence[np.ndarray]:
    return to_learn_from(bench.attacker_images, list(bench.candidates), len(bench.plain))[:FITTED_ON]
