"""Which attackers an audit has, and running those that apply."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import gradients, linking, solving, tones, trained, turned, untrained
from .records import AttackRecord

if TYPE_CHECKING:
    from .bench import Bench

Records = AttackRecord | list[AttackRecord]


@dataclasses.dataclass(frozen=True)
class Attacker:
    """One attacker of the suite.

    Args:
        name: as in reports.
        title: what a bar calls it.
        run: attacks a bench.
        why_not: tells why it does not apply, or None.
    """

    name: str
    title: str
    run: Callable[[Bench], Records]
    why_not: Callable[[Bench], str | None] = lambda bench: None


ATTACKERS = (
    Attacker("look", "looking at it", untrained.look),
    Attacker("jigsaw", "jigsaw solver", untrained.jigsaw, turned.cannot_solve_upright),
    Attacker("turned", "fitted pair scores", turned.turned, turned.cannot_fit),
    Attacker("whole", "solver that turns pieces", turned.whole, turned.cannot_be_whole),
    Attacker("neighbour", "neighbour network", trained.neighbour, trained.cannot_train_on_puzzles),
    Attacker("position", "position network", trained.position, trained.cannot_train_on_places),
    Attacker("reconstruction", "drawing transformer", trained.reconstruction, trained.cannot_train),
    Attacker("mixing_inversion", "inversion", untrained.mixing_inversion, untrained.cannot_invert),
    Attacker("mixing_decoder", "trained decoder", trained.mixing_decoder, trained.cannot_train_on_mixtures),
    Attacker("tones", "dealing tones back", tones.tones, tones.cannot_deal_back),
    Attacker(
        "shared_permutation", "many images added up", untrained.shared_permutation, solving.cannot_solve
    ),
    Attacker("same_picture", "finding the photograph", linking.same_picture),
    Attacker("same_subject", "finding the subject", linking.same_subject, linking.no_labels),
    Attacker("gradient_leakage", "reading gradients", gradients.gradient_leakage, gradients.cannot_recover),
)


def run_suite(
    bench: Bench, started: Callable[[str], None] = lambda title: None
) -> tuple[list[AttackRecord], dict[str, str]]:
    """Run every attacker that applies.

    Args:
        bench: the setting under audit.
        started: called with the title of each attacker before it begins, also of those that are left out.

    Returns:
        The records, and for attackers that were left out the reason.
    """
    records: list[AttackRecord] = []
    left_out: dict[str, str] = {}
    for attacker in ATTACKERS:
        started(attacker.title)
        reason = attacker.why_not(bench)
        if reason is not None:
            left_out[attacker.name] = reason
            continue
        found = attacker.run(bench)
        records += found if isinstance(found, list) else [found]
    return records, left_out
