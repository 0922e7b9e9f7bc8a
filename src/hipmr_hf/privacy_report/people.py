"""An audit in people's terms: faces, words, scenes in what is published and in what attackers made."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..recognisers.base import EXTRA, FACE_LIBRARIES, WORD_LIBRARIES, is_there
from ..recognisers.evidence import Evidence, FaceEvidence, SceneEvidence, WordEvidence
from .records import ORDER, PEOPLE, PICTURE, AttackRecord

if TYPE_CHECKING:
    from .bench import Bench

Judge = Callable[[Sequence[np.ndarray]], dict[str, Evidence]]
NOT_INSTALLED = f'pip install "hipmr-hf[{EXTRA}]" looks for them'
NO_BACKBONE = "no backbone was named by whose features to compare; --backbone names its folder"
PLAIN, AS_IT_IS = "the plain picture", "the encrypted picture as it is"
_MEASURES = {"faces": "faces_identified", "words": "words_read", "scenes": "scene_retrieved"}
_TITLES = {
    "faces": "faces, recognised by a network that never saw an encrypted one",
    "words": "words, read by a network that never saw an encrypted page",
    "scenes": "scenes, compared by a pre-trained backbone",
}
_KNOWS = {
    "faces": "the place of each face, and {} plain faces, one of which it is",
    "words": "nothing",
    "scenes": "{} candidate photographs, one of which it is",
}


@dataclasses.dataclass(frozen=True, eq=False)
class PeoplesTerms:
    """What recognises, for a whole audit.

    Args:
        finder, describer: of faces; None where the extra is not installed.
        reader: of words; None where the extra is not installed.
        scenes: a `SceneDescriber`; None where no backbone was named.
        seed: of the random orders in which chance is looked for.
    """

    finder: Any = None
    describer: Any = None
    reader: Any = None
    scenes: Any = None
    seed: int = 0

    @classmethod
    def here(cls, backbone: str | Path | None, seed: int) -> PeoplesTerms:
        """Make the recognisers that are installed here.

        Raises:
            FileNotFoundError, ValueError, MissingExtraError: as `SceneDescriber`.
        """
        made: dict[str, Any] = {"seed": seed}
        if backbone is not None:
            from ..recognisers.scenes import SceneDescriber

            made["scenes"] = SceneDescriber(backbone)
        if is_there(*FACE_LIBRARIES):
            from ..recognisers.faces import FaceDescriber, FaceFinder

            made |= {"finder": FaceFinder(), "describer": FaceDescriber()}
        if is_there(*WORD_LIBRARIES):
            from ..recognisers.words import WordReader

            made["reader"] = WordReader()
        return cls(**made)

    def recognise(
        self, bench: Bench, records: Sequence[AttackRecord]
    ) -> tuple[list[AttackRecord], dict[str, str]]:
        """Look at the encrypted pictures, and at all that attackers made of them.

        Args:
            bench: the setting under audit.
            records: of the attackers that restore pictures.

        Returns:
            A record for faces, words and scenes each, and reasons for what was not looked for.
        """
        versions = _versions(bench, records)
        found, left_out = [], {}
        for kind, make in (("faces", self._faces), ("words", self._words), ("scenes", self._scenes)):
            started, made = time.process_time(), make(bench)
            if isinstance(made, str):
                left_out[kind] = made
                continue
            judge, known = made
            looked = {name: judge(pictures) for name, pictures in versions.items()}
            seconds = time.process_time() - started
            found.append(_record(kind, looked, known, seconds))
        return found, left_out

    def _faces(self, bench: Bench) -> tuple[Judge, int] | str:
        if self.finder is None:
            return NOT_INSTALLED
        candidates = list(bench.candidates)
        boxes = [max(found, key=lambda box: box.width, default=None) for found in self.finder(candidates)]
        if not any(boxes[: len(bench.plain)]):
            return "no face was found in the plain pictures"
        shown = [number for number, box in enumerate(boxes) if box is not None]
        gallery = self.describer(
            [candidates[number] for number in shown], [boxes[number] for number in shown]
        )
        judge = FaceEvidence(
            candidates[: len(bench.plain)],
            self.finder,
            self.describer,
            gallery=gallery,
            gallery_people=shown,
            seed=self.seed,
        )
        return judge, len(shown)

    def _words(self, bench: Bench) -> tuple[Judge, int] | str:
        if self.reader is None:
            return NOT_INSTALLED
        judge = WordEvidence(list(bench.plain), self.reader)
        if not judge.with_something:
            return "no word of four letters or more was read in the plain pictures"
        return judge, 0

    def _scenes(self, bench: Bench) -> tuple[Judge, int] | str:
        if self.scenes is None:
            return NO_BACKBONE
        return SceneEvidence(list(bench.candidates), self.scenes), len(bench.candidates)


def _versions(bench: Bench, records: Sequence[AttackRecord]) -> dict[str, Sequence[np.ndarray]]:
    """The plain pictures, the encrypted ones, and those of every attacker that restored all of them."""
    versions: dict[str, Sequence[np.ndarray]] = {
        PLAIN: list(bench.plain),
        AS_IT_IS: list(bench.sample.images),
    }
    for record in records:
        if record.kind in (ORDER, PICTURE) and len(record.pictures) == len(bench.plain):
            versions[f"after {record.title}"] = record.pictures
    return versions


def _record(kind: str, looked: dict[str, dict[str, Evidence]], known: int, seconds: float) -> AttackRecord:
    """Tell the most that any version but the plain one gives away, and beside it every version."""
    made = {name: evidence for name, evidence in looked.items() if name != PLAIN}
    names = list(looked[PLAIN])
    worst = {name: max(made, key=lambda version: made[version][name].share) for name in names}
    most = worst[_MEASURES[kind]]
    return AttackRecord(
        attack=kind,
        title=_TITLES[kind],
        kind=PEOPLE,
        knows=_KNOWS[kind].format(known),
        measure=_MEASURES[kind],
        scores={name: made[worst[name]][name].values for name in names},
        chance={name: made[worst[name]][name].chance for name in names},
        baselines={
            version: {name: evidence.share for name, evidence in looked[version].items()}
            for version in looked
        },
        cpu_seconds=seconds / max(1, looked[PLAIN][names[0]].n * len(looked)),
        notes=[f"Most was recognised in this: {most}."],
    )
