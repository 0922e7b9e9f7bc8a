"""Who can do what, with the figures that an audit measured, and which settings leave them less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..hub.limits import what_is_not_protected, what_leaves_less
from .grade import level, said
from .records import ORDER, PICTURE, AttackRecord

if TYPE_CHECKING:
    from ..encryption.base import Encryption

_NOT_MEASURED = "not measured in this audit"


def who_can_do_what(encryption: Encryption, records: Sequence[AttackRecord]) -> list[dict[str, str]]:
    """List what comes back by what an attacker holds.

    Args:
        encryption: the setting.
        records: of the audit.

    Returns:
        Rows with the texts "holds" and "gets".

    Example:
        >>> from hipmr_hf import RandomShuffling
        >>> who_can_do_what(RandomShuffling(), [])[0]
        {'holds': 'one encrypted image, and the settings', 'gets': 'not measured in this audit'}
    """
    shuffled = encryption.strategy == "rs"
    trained = [record for record in _restoring(records) if "learn" in record.knows]
    alone = [record for record in _restoring(records) if "learn" not in record.knows]
    by_name = {record.attack: record for record in records}
    rows = [
        ("one encrypted image, and the settings", _strongest(alone)),
        ("other images of the kind, to train an attacker on", _strongest(trained)),
        ("pairs of plain and encrypted images", _pairs(shuffled)),
        ("a candidate photograph", _one(by_name.get("same_picture"))),
        ("encrypted images of known subjects", _one(by_name.get("same_subject"))),
        ("gradients of a training step", _one(by_name.get("gradient_leakage"))),
        ("the trained model", f"{_NOT_MEASURED}; only training with differential privacy limits it"),
    ]
    if shuffled:
        control = by_name.get("shared_permutation")
        gets = f"{_one(control)}; this encryption draws a fresh one for every image"
        rows.insert(2, ("many images under one permutation", gets))
        rows.append(("the key, where one was used", _key(encryption)))
    return [{"holds": holds, "gets": gets} for holds, gets in rows]


def advice(encryption: Encryption, letter: str | None) -> str:
    """Say what to do after a grade.

    Args:
        encryption: the setting.
        letter: its grade, "A" to "F"; None where nothing was measured.

    Example:
        >>> from hipmr_hf import RandomShuffling
        >>> advice(RandomShuffling(), "F")[:38]
        'To leave less: --preset classification'
        >>> advice(RandomShuffling(), "B")[:34]
        'To keep images from being linked: '
    """
    if letter == "A":
        return "Nothing more to do but to try stronger attackers: --effort full, and --attacker-images."
    if letter == "B":
        return "To keep images from being linked: let nobody have them who has photographs to compare with."
    if letter == "invalid":
        return "Audit images with content: the solver cannot put together flat or noisy ones."
    less = what_leaves_less(encryption)
    if less is not None:
        return f"To leave less: {less}; audit that too, or eight settings at once with --sweep."
    return "No setting was measured to leave less; give these images to those alone who may see the pictures."


def known(encryption: Encryption) -> str:
    """Say what was measured on photographs under such settings, where an audit cannot measure."""
    return what_is_not_protected(encryption)[0]


def _restoring(records: Sequence[AttackRecord]) -> list[AttackRecord]:
    return [record for record in records if record.kind in (ORDER, PICTURE) and record.scores]


def _strongest(records: Sequence[AttackRecord]) -> str:
    if not records:
        return _NOT_MEASURED
    strongest = max(records, key=lambda record: (level(record), record.kind == ORDER, record.value))
    return f"{strongest.title}: {said(strongest)}"


def _one(record: AttackRecord | None) -> str:
    return _NOT_MEASURED if record is None else said(record)


def _pairs(shuffled: bool) -> str:
    if shuffled:
        return "the order of those images only, since every image has an order of its own"
    return "material to train a decoder on; whoever knows the settings can make as many as they like"


def _key(encryption: Encryption) -> str:
    tones_kept = not (encryption.patch_normalization or encryption.shuffle_tones)
    if tones_kept and not (encryption.interval or encryption.drop_ratio) and encryption.sub_patch_grid == 1:
        return "every picture, whole"
    return "the order of all patches; what the settings destroyed stays destroyed"
