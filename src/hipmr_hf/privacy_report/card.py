"""Tell a dataset card what an audit with the dataset's own settings found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..encryption.base import Encryption
from ..errors import InputValueError, MissingFileError
from ..files import write_whole
from ..hub.audit_section import AuditRow
from ..hub.card_renewal import with_audit
from ..layout import CARD_FILE, SETTINGS_FILE
from .grade import said, share
from .records import CONTROL, PICTURE, AttackRecord
from .rendering import effort_in_words, reasons

_PEOPLES_TERMS = ("faces", "words", "scenes")

if TYPE_CHECKING:
    from .results import AuditReport, SettingsAudit


def settings_of_card(folder: str | Path) -> Encryption:
    """Read the settings of an encrypted dataset whose card is to tell of the audit.

    Raises:
        FileNotFoundError: the folder has no settings, or no card.
    """
    if not Path(folder).is_dir():
        raise MissingFileError(f"card: there is no folder {folder}; name one that `hipmr encrypt` wrote.")
    for name in (SETTINGS_FILE, CARD_FILE):
        if not (Path(folder) / name).is_file():
            raise MissingFileError(
                f"card: there is no {name} in {folder}; name the folder that `hipmr encrypt` wrote."
            )
    return Encryption.from_pretrained(folder)


def update_card(report: AuditReport, folder: str | Path) -> Path:
    """Write the summary of a valid audit into the card of a dataset with one of the audited settings.

    Args:
        report: from `privacy_report`.
        folder: as `hipmr encrypt` writes it.

    Returns:
        The path of the card.

    Raises:
        ValueError: no audited setting is the dataset's, the audit is invalid or measured nothing, or the card
            has no part of ours.
        FileNotFoundError: the folder has no settings, or no card.
    """
    encryption = settings_of_card(folder)
    audit = next((audit for audit in report.settings if audit.asked == encryption), None)
    if audit is None:
        names = "; ".join(audit.name for audit in report.settings)
        raise InputValueError(
            f"card: the dataset in {folder} has {encryption}, and the audit looked at {names}."
        )
    if not report.measured or not report.valid:
        raise InputValueError("card: the audit measured nothing that can be told; its report says why.")
    path = Path(folder) / CARD_FILE
    text = with_audit(path.read_text(encoding="utf-8"), card_rows(audit), summary(report, audit))
    return write_whole(path, text)


def card_rows(audit: SettingsAudit) -> list[AuditRow]:
    """One row for each attacker that measured something; checks of the audit itself are left out."""
    return [_row(record) for record in audit.records if record.scores and record.kind != CONTROL]


def summary(report: AuditReport, audit: SettingsAudit) -> str:
    """The grade, its reason, and how it was found."""
    trained = "" if report.effort.training_seconds else " No attacker was trained, and those find more."
    unseen = not_looked_for(audit)
    unseen = f" Not looked for: {unseen}." if unseen else ""
    return (
        f"**Grade {audit.grade.letter}** (A to F; F: the picture is back, or plain to see). "
        f"{audit.grade.reason} Found by `hipmr audit --effort {report.effort.name}` on "
        f"{report.sample['attacked']} plain images, {report.created[:10]}; "
        f"lower bounds of what leaks.{trained}{unseen}"
    )


def not_looked_for(audit: SettingsAudit) -> str:
    """Tell which of faces, words and scenes were not looked for, and why; empty if all were."""
    return reasons({name: audit.left_out[name] for name in _PEOPLES_TERMS if name in audit.left_out})


def _row(record: AttackRecord) -> AuditRow:
    picture = record.kind == PICTURE
    chance = f"{record.by_chance:.2f}" if picture else share(record.by_chance)
    told = f"{record.title} (knows {record.knows}; n = {record.n}; {effort_in_words(record.to_dict())})"
    return AuditRow(told, said(record), chance)
