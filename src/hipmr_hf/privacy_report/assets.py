"""Who can learn what: holders by what is worth protecting, each cell measured, by design, or not measured.

Membership is measured where the audit was given a checkpoint and its shadow models. Else the cell has what
`benchmarks/attacks/membership.py` measured once on EuroSAT, under the settings that it names. All other
figures are the audit's own.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .grade import level, said
from .records import GRADIENT, LINK, ORDER, PICTURE, AttackRecord

if TYPE_CHECKING:
    from ..encryption.base import Encryption
    from .membership import MembershipRecord

ASSETS = ("scene", "faces", "words", "identity", "membership", "labels")
NOT_MEASURED = "not measured"
FIGURES = Path(__file__).parent / "membership_figures.json"
"""Of the benchmark, for each setting and training: share of members found at 1 % false positives and area
under the curve, by LiRA (offline) with four shadow models that know the published rows."""


def who_can_learn_what(
    encryption: Encryption, records: Sequence[AttackRecord], membership: Sequence[MembershipRecord] = ()
) -> list[dict[str, str]]:
    """List for each holder what it can learn of each asset.

    The public holds the published encrypted dataset; the builder that, and all of a training; the server a
    model, and the encrypted images that it is asked about; the client its own pictures and the model; the key
    holder the dataset and the key.

    Args:
        encryption: the setting.
        records: of the audit.
        membership: of the checkpoints that were audited.

    Returns:
        Rows with the texts "holder" and those of `ASSETS`: "measured: ...", "by design: ..." or "not
        measured".

    Example:
        >>> from hipmr_hf import RandomShuffling
        >>> rows = who_can_learn_what(RandomShuffling(), [])
        >>> [row["holder"] for row in rows]
        ['public', 'builder', 'server', 'client', 'key holder']
        >>> rows[0]["labels"]
        'by design: labels and kept columns are published as they are'
    """
    images = {
        "scene": _strongest(records, ORDER, PICTURE),
        "faces": _named(records, "face"),
        "words": _named(records, "word", "text"),
        "identity": _linked(records),
    }
    training = {**images, "scene": _either(images["scene"], _strongest(records, GRADIENT))}
    rows = [
        ("public", images | {"membership": _in_the_dataset(records), "labels": _PUBLISHED}),
        ("builder", training | {"membership": _KNOWS_ITS_ROWS, "labels": _PUBLISHED}),
        ("server", images | {"membership": _membership(membership), "labels": _ANSWERS}),
        ("client", _client(membership)),
        ("key holder", _key_holder(encryption, images)),
    ]
    return [{"holder": holder, **{asset: cells[asset] for asset in ASSETS}} for holder, cells in rows]


_PUBLISHED = "by design: labels and kept columns are published as they are"
_KNOWS_ITS_ROWS = "by design: it knows which rows it trains on"
_ANSWERS = "by design: it sees its own answers"
_OWN = (
    "by design: it is handed no pictures but its own; of what a model tells of others', membership alone was "
    "measured"
)


def _client(membership: Sequence[MembershipRecord]) -> dict[str, str]:
    return {
        **dict.fromkeys(("scene", "faces", "words", "identity"), _OWN),
        "membership": _membership(membership),
        "labels": "by design: the names of the classes, and the answers that it gets",
    }


def _key_holder(encryption: Encryption, images: dict[str, str]) -> dict[str, str]:
    same = {"membership": _KNOWS_ITS_ROWS.replace("trains on", "decrypts"), "labels": _PUBLISHED}
    if encryption.strategy != "rs":
        return {**images, **same, "scene": f"by design: there is no key, so as the public. {images['scene']}"}
    tones_kept = not (encryption.patch_normalization or encryption.shuffle_tones)
    whole = encryption.sub_patch_grid == 1 and not (encryption.interval or encryption.drop_ratio)
    gets = (
        "by design: every picture, whole"
        if tones_kept and whole
        else "by design: the order of all patches; what the settings destroyed stays destroyed"
    )
    return {**dict.fromkeys(("scene", "faces", "words", "identity"), gets), **same}


def _in_the_dataset(records: Sequence[AttackRecord]) -> str:
    """Whoever holds a candidate photograph asks whether it is in the published dataset."""
    found = [record for record in records if record.attack == "same_picture" and record.scores]
    if not found:
        return NOT_MEASURED
    return f"measured: whether a candidate is in the dataset, by {found[0].title}: {said(found[0])}"


def _membership(membership: Sequence[MembershipRecord]) -> str:
    if membership:
        return f"measured: {'; '.join(record.sentence for record in membership)}"
    return (
        "measured on EuroSAT, not in this audit (docs/attacks.md; LiRA, lower bounds: members found at 1% "
        "false positives; area, chance 0.50; without an interval between patches unless a preset is named): "
        f"{_measured_once()}"
    )


@functools.cache
def _measured_once() -> str:
    """Say the benchmark's figures, setting by setting, trained without and with differential privacy."""
    told: dict[str, list[str]] = {}
    for one in json.loads(FIGURES.read_text(encoding="utf-8")):
        training = "no privacy" if one["epsilon"] is None else f"epsilon {one['epsilon']:.0f}"
        found = f"{training} {one['found']:.1%}, area {one['area']:.2f}"
        told.setdefault(one["setting"], []).append(found)
    return "; ".join(f"under {setting}: {', '.join(found)}" for setting, found in told.items())


def _strongest(records: Sequence[AttackRecord], *kinds: str) -> str:
    found = [record for record in records if record.kind in kinds and record.scores]
    if not found:
        return NOT_MEASURED
    best = max(found, key=lambda record: (level(record), record.value))
    return f"measured: {best.title}: {said(best)}"


def _linked(records: Sequence[AttackRecord]) -> str:
    """What each found who links: by the photograph itself, or by other encrypted pictures of its subject."""
    found = [record for record in records if record.kind == LINK and record.scores]
    found.sort(key=lambda record: (level(record), record.value), reverse=True)
    told = "; ".join(f"{record.title}: {said(record)}" for record in found)
    return f"measured: {told}" if told else NOT_MEASURED


def _named(records: Sequence[AttackRecord], *words: str) -> str:
    """What an attacker found whose name has one of these words, where an audit looks for such things."""
    found = [record for record in records if record.scores and any(word in record.attack for word in words)]
    return f"measured: {found[0].title}: {said(found[0])}" if found else NOT_MEASURED


def _either(first: str, second: str) -> str:
    told = [text for text in (first, second) if text != NOT_MEASURED]
    return "; ".join(dict.fromkeys(told)) if told else NOT_MEASURED
