"""Attackers that learn from other images of the kind, trained anew for every setting."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from ..attacks.base import split_mosaic
from .learning import cannot_train, train_on
from .records import PICTURE, AttackRecord, record_of
from .solving import cannot_solve, order_record, solver

if TYPE_CHECKING:
    from .bench import Bench

_FEW_IMAGES = 50


def cannot_train_on_puzzles(bench: Bench) -> str | None:
    """Tell why no attacker of the patch order can be trained, or None."""
    return cannot_solve(bench) or cannot_train(bench)


def cannot_train_on_places(bench: Bench) -> str | None:
    """Tell why no attacker can learn places, or None."""
    return cannot_train(bench) if bench.shuffled else "patches stand in their places"


def cannot_train_on_mixtures(bench: Bench) -> str | None:
    """Tell why no decoder of mixed-up images can be trained, or None."""
    return "patches are shuffled" if bench.shuffled else cannot_train(bench)


def neighbour(bench: Bench) -> AttackRecord:
    """Learn which patches are neighbours, and let the solver use it."""
    from ..attacks.trained.neighbour import train_neighbour

    attacker = train_on(bench, train_neighbour)
    results = [attacker(image, truth) for image, truth in _puzzles(bench)]
    return order_record(bench, results, **_told(bench, attacker, "neighbour", "a trained neighbour network"))


def position(bench: Bench) -> list[AttackRecord]:
    """Learn where patches use to stand; alone, and as a hint for the solver."""
    from ..attacks.trained.position import train_position

    attacker, size = train_on(bench, train_position, aligned=True), bench.encryption.encrypted_patch_size
    alone = [attacker(image, truth) for image, truth in _puzzles(bench)]
    told = _told(bench, attacker, "position", "a trained position network")
    records = [order_record(bench, alone, measure="direct", **told)]
    if cannot_solve(bench):
        return records
    hints = [attacker.log_probabilities(split_mosaic(image, size)) for image in bench.sample.images]
    hinted = [
        solver(bench)(image, truth, unary=hint)
        for (image, truth), hint in zip(_puzzles(bench), hints, strict=True)
    ]
    told = _told(bench, attacker, "jigsaw_position", "the jigsaw solver with the position network's hints")
    return [*records, order_record(bench, hinted, **told)]


def reconstruction(bench: Bench) -> AttackRecord:
    """Learn to draw the picture from the set of encrypted patches."""
    from ..attacks.trained.reconstruction import train_reconstruction

    return _drawn(bench, train_on(bench, train_reconstruction), "reconstruction", "a trained transformer")


def mixing_decoder(bench: Bench) -> AttackRecord:
    """Learn to undo mixing-up."""
    from ..attacks.mixing.decoder import train_mixing_decoder

    return _drawn(bench, train_on(bench, train_mixing_decoder), "mixing_decoder", "a trained decoder")


def _drawn(bench: Bench, attacker: Any, name: str, title: str) -> AttackRecord:
    results = [attacker(image, plain) for image, plain in zip(bench.sample.images, bench.plain, strict=True)]
    told = _told(bench, attacker, name, title)
    return record_of(results, bench.plain, bench.others, kind=PICTURE, measure="likeness", **told)


def _puzzles(bench: Bench) -> itertools.chain:
    return zip(bench.sample.images, bench.sample.positions, strict=True)


def _told(bench: Bench, attacker: Any, name: str, title: str) -> dict[str, Any]:
    count = len(bench.attacker_images)
    notes = []
    if count < _FEW_IMAGES:
        notes.append(f"It learned from {count} images only; with more it would find more.")
    return {
        "attack": name,
        "title": title,
        "knows": f"the settings, and {count} other images to learn from",
        "effort": {**attacker.effort, "curve": list(attacker.curve)},
        "notes": notes,
    }
