"""The result of an audit, setting by setting, and as plain values."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..encryption.recognisable import size_rule
from .assets import who_can_learn_what
from .bench import Effort, described
from .grade import THRESHOLDS, WAY, Grade, largest_leak, level, passed, sentence, withstood
from .holders import advice, known, who_can_do_what
from .records import AttackRecord, plain_json
from .versions import versions

if TYPE_CHECKING:
    from ..encryption.base import Encryption
    from .controls import Control
    from .membership import MembershipRecord

FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True, eq=False)
class SettingsAudit:
    """What an audit found for one setting.

    Args:
        encryption: the setting as it was attacked.
        asked: the setting as it was given; it differs where images keep their own size.
        records: of every attacker that ran.
        left_out: the reason, by the name of each attacker that did not.
        grade: None where nothing was measured.
        sheet: uint8 (height, width, 3), the contact sheet.
        cpu_seconds: processor time of this setting, trainings included.
        membership: what was found of the checkpoints that were audited with it.
    """

    encryption: Encryption
    asked: Encryption
    records: Sequence[AttackRecord]
    left_out: dict[str, str]
    grade: Grade | None
    sheet: np.ndarray
    cpu_seconds: float
    membership: Sequence[MembershipRecord] = ()

    @property
    def name(self) -> str:
        """The setting in words."""
        return described(self.encryption)

    @property
    def sentences(self) -> list[str]:
        """One for each attacker that measured something."""
        return [sentence(record) for record in self.records if record.scores]

    @property
    def largest_leak(self) -> str | None:
        """What the attacker that got furthest found, linking included; None if nobody beat guessing."""
        record = largest_leak(self.records)
        return None if record is None else sentence(record)

    @property
    def advice(self) -> str:
        """What to do now."""
        return advice(self.asked, None if self.grade is None else self.grade.letter)

    @property
    def known(self) -> str:
        """What was measured on photographs under such settings."""
        return known(self.asked)

    @property
    def size_rule(self) -> str:
        """How large faces and letters must be to be recognised, whether or not anybody looked for them."""
        return size_rule(self.encryption)

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values, without pictures."""
        return {
            "name": self.name,
            "settings": self.asked.to_dict(),
            "audited_settings": self.encryption.to_dict(),
            "grade": None if self.grade is None else dataclasses.asdict(self.grade),
            "attackers": [record.to_dict() | {"level": level(record)} for record in self.records],
            "left_out": dict(self.left_out),
            "sentences": self.sentences,
            "largest_leak": self.largest_leak,
            "advice": self.advice,
            "known": self.known,
            "size_rule": self.size_rule,
            "who_can_do_what": who_can_do_what(self.encryption, self.records),
            "who_can_learn_what": who_can_learn_what(self.encryption, self.records, self.membership),
            "cpu_seconds": self.cpu_seconds,
        }


@dataclasses.dataclass(frozen=True, eq=False)
class AuditReport:
    """The result of an audit, without names, paths or keys; pictures are in the contact sheets alone.

    Args:
        settings: what was found, setting by setting.
        controls: the audit's own checks; empty where nothing was measured.
        sample: counts and words about the images.
        effort: how hard the attackers tried.
        seed: of samples, searches and trainings.
        measured: False for images whose plain originals were not at hand.
        created: date and time, UTC.
        wall_seconds, cpu_seconds: of the whole audit.
    """

    settings: Sequence[SettingsAudit]
    controls: Sequence[Control]
    sample: dict[str, Any]
    effort: Effort
    seed: int
    measured: bool
    created: str
    wall_seconds: float
    cpu_seconds: float

    @property
    def valid(self) -> bool:
        """Whether the audit's own checks came out as expected."""
        return passed(self.controls)

    @property
    def hard(self) -> bool:
        """Whether images of this kind withstood the solver even in easy puzzles: it tells too little."""
        return withstood(self.controls)

    def with_membership(self, records: Sequence[MembershipRecord]) -> AuditReport:
        """Add what was found of trained checkpoints to the report, and to its table of holders."""
        audits = [dataclasses.replace(audit, membership=tuple(records)) for audit in self.settings]
        return dataclasses.replace(self, settings=audits)

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values: what `report.json` holds."""
        values = {
            "format_version": FORMAT_VERSION,
            "created": self.created,
            "versions": versions(),
            "measured": self.measured,
            "valid": self.valid,
            "hard": self.hard,
            "effort": dataclasses.asdict(self.effort),
            "seed": self.seed,
            "sample": self.sample,
            "controls": [control.to_dict() for control in self.controls],
            "thresholds": THRESHOLDS,
            "way": WAY,
            "settings": [audit.to_dict() for audit in self.settings],
            "membership": [record.to_dict() for record in self.settings[0].membership],
            "wall_seconds": self.wall_seconds,
            "cpu_seconds": self.cpu_seconds,
        }
        return plain_json(values)

    def save(self, folder: str | Path) -> Path:
        """Write `report.json`, `report.md`, `report.html` and the contact sheets, all of them or none.

        The folder can be read by its owner alone, because its pictures show plain images.

        Args:
            folder: a folder that does not exist yet, or is empty.

        Returns:
            The folder.

        Raises:
            FileExistsError: there is something already.
        """
        from .saving import save_report

        return save_report(self, Path(folder))
