"""Attackers that learned nothing about the owner's kind of images: the eye, the solver, the inversion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..attacks.base import split_mosaic
from .records import (
    CONTROL,
    PICTURE,
    AttackRecord,
    by_name,
    means,
    picture_chance,
    picture_scores,
    record_of,
)
from .solving import order_record, solver

if TYPE_CHECKING:
    from .bench import Bench


def look(bench: Bench) -> AttackRecord:
    """No attack at all: the encrypted image, as large as the plain one."""
    looks = [
        picture_scores(image, plain) for image, plain in zip(bench.sample.images, bench.plain, strict=True)
    ]
    return AttackRecord(
        attack="look",
        title="looking at the encrypted image",
        kind=PICTURE,
        knows="nothing",
        measure="likeness",
        scores=by_name(looks),
        chance=picture_chance(bench.plain, bench.others),
    )


def jigsaw(bench: Bench) -> AttackRecord:
    """Put patches together by their borders."""
    attack, results = solver(bench), []
    for number, (image, truth) in enumerate(zip(bench.sample.images, bench.sample.positions, strict=True)):
        bench.inside(number / len(bench.plain), "")
        results.append(attack(image, truth))
    return order_record(
        bench, results, attack="jigsaw", title="a jigsaw solver, handcrafted", knows="the settings alone"
    )


def cannot_invert(bench: Bench) -> str | None:
    """Tell why there is no known linear map to invert, or None."""
    if bench.shuffled:
        return "patches are shuffled"
    encryption = bench.encryption
    if encryption.shuffle_tones:
        return "with tones apart the mean is no known linear map of the image"
    if encryption.sub_patch_symmetries or encryption.patch_normalization:
        return "with symmetries or normalization the mean is no known linear map of the image"
    return None


def mixing_inversion(bench: Bench) -> AttackRecord:
    """Undo mixing-up under a smoothness prior, beside the tiled image."""
    from ..attacks.mixing.inversion import invert_mixing

    results, tiles = [], []
    for number, (image, plain) in enumerate(zip(bench.sample.images, bench.plain, strict=True)):
        bench.inside(number / len(bench.plain), "")
        results.append(invert_mixing(image, bench.encryption, plain, steps=bench.effort.smoothing_steps))
        tile = invert_mixing(image, bench.encryption, steps=0).reconstruction
        tiles.append(picture_scores(tile, plain))
    return record_of(
        results,
        bench.plain,
        bench.others,
        attack="mixing_inversion",
        title="inversion under a smoothness prior",
        kind=PICTURE,
        knows="the settings alone",
        measure="likeness",
        baselines={"each mixed patch repeated": means(tiles)},
    )


_SHARED = {
    "attack": "shared_permutation",
    "title": "adding up many images, one permutation for all (a mistake made on purpose)",
    "knows": "{} images under one permutation",
}
_FRESH = {
    "attack": "fresh_permutations",
    "title": "adding up many images, a fresh permutation each (what the encryption does)",
    "knows": "{} other images, each under its own permutation",
}


def shared_permutation(bench: Bench) -> list[AttackRecord]:
    """Check the key design: one permutation for many images must fall, fresh ones must tell nothing."""
    from ..attacks.base import encrypt_with_truth

    images = bench.candidates[: bench.effort.shared_images]
    return [
        _shared(bench, encrypt_with_truth(bench.encryption, images, share_permutation=True), shared=True),
        _shared(bench, encrypt_with_truth(bench.encryption, images), shared=False),
    ]


def _shared(bench: Bench, sample: Any, *, shared: bool) -> AttackRecord:
    """Add up the evidence of all other images about the order of the first one."""
    import time

    from ..attacks.jigsaw.shared_permutation import combined_scores

    attack, started = solver(bench), time.process_time()
    scores = combined_scores(attack, sample.images if shared else sample.images[1:])
    pieces = split_mosaic(sample.images[0], bench.encryption.encrypted_patch_size)
    result = attack.assemble(pieces, scores, sample.positions[0], started=started)
    told = _SHARED if shared else _FRESH
    return record_of(
        [result],
        bench.candidates[:1],
        bench.others[:1],
        kind=CONTROL,
        knows=told["knows"].format(len(sample.images) - (not shared)),
        measure="neighbour",
        effort={**result.effort, "images": len(sample.images)},
        **{name: told[name] for name in ("attack", "title")},
    )
