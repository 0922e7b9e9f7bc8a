"""What somebody recognises under each preset: faces, words, scenes, encrypted and put together again.

    python benchmarks/attacks/recognisers.py --data_dir ../shared/data --backbone FOLDER

The recognisers of the extra `recognisers` look at plain pictures, at encrypted ones as they are, and at what
attackers make of them: the jigsaw solver, pair scores that turns do not change and the solver that turns
whole pieces (both fitted for each preset on other pages, portraits and photographs), the inversion of the
paper's mixing-up, and a decoder of what is mixed up, trained on such other pictures.

- faces: portraits, 160 pixels wide in 224, of 20 people; found, and identified among 40 people, of whom the
  attacker holds three other plain pictures each. Figures only; no portrait is shown.
- words: pages typeset in five fonts, letters 12 to 32 pixels high.
- scenes: Kodak's photographs retrieved among all plain candidates by the features of a backbone, such as
  DINOv2-small, whose folder `--backbone` names; without it scenes are left out.

Sizes: under MI and RS, how wide faces and how high letters must be, in patches, to be found and read. Writes
`benchmarks/results/recognisers.json` as results come (a started table is gone on with) and puts the tables
into docs/attacks.md. Attackers that put pictures together do so on fewer pictures, for they take longest.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.attacks.recognised_pictures import PEOPLE, PICTURES, pages, portraits, scenes
from benchmarks.attacks.recognisers_table import MARK, PLAIN, rendered
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import publish
from benchmarks.harness.results_file import load_results, save_results
from hipmr_hf import Encryption, MixingUp, RandomShuffling
from hipmr_hf.encryption.preset_table import PRESETS
from hipmr_hf.recognisers.evidence import Evidence, FaceEvidence, SceneEvidence, WordEvidence, best_turned
from hipmr_hf.recognisers.faces import FaceDescriber, FaceFinder
from hipmr_hf.recognisers.scenes import SceneDescriber
from hipmr_hf.recognisers.words import WordReader

COMMAND = "python benchmarks/attacks/recognisers.py"
ATTACKED, KNOWN = 7, (0, 1, 2)
"""Which picture of each person is under attack, and which ones the attacker holds plain."""
FACES, PAGES, SCENES = 20, 8, 24
SOLVED = {"faces": 8, "words": 4, "scenes": 24}
"""Pictures that attackers put together."""
FITTED_ON, TREES = 8, 50
"""Pages, portraits and photographs, so many of each, that pair scores are fitted on."""
DECODER_SECONDS = 300.0
"""Of a processor, in which a decoder is trained for each preset."""
Pictures = list[np.ndarray]


class Others(Protocol):
    """Whatever has pictures that are not under attack."""

    def to_fit_on(self) -> Pictures:
        """What attackers are fitted on."""
        ...


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(__doc__, results=MARK, only="presets", report="render docs/attacks.md")
    parser.add_argument("--backbone", type=Path, help="folder of a checkpoint of transformers, for scenes")
    parser.add_argument(
        "--skip", nargs="+", default=[], choices=list(SOURCES), help="attackers that are left out"
    )
    return parser.parse_args()


class Sets:
    """The pictures by what is recognised in them, and what looks for it; made when they are first needed."""

    def __init__(self, data_dir: Path, backbone: Path | None) -> None:
        self.faces = portraits(data_dir)
        typeset, photographs = pages(PAGES), scenes(data_dir)
        self.pictures: dict[str, Pictures] = {
            "faces": list(self.faces[ATTACKED::PICTURES][:FACES]),
            "words": typeset.images,
            "scenes": photographs[:SCENES],
        }
        self.words, self.candidates, self._backbone = typeset.words, photographs, backbone
        if backbone is None:
            del self.pictures["scenes"]
        self._judges: dict[str, Callable[[Pictures], dict[str, Evidence]]] = {}
        self._finder, self._describer, self._gallery = FaceFinder(), FaceDescriber(), None

    def judge(self, kind: str, count: int) -> Callable[[Pictures], dict[str, Evidence]]:
        """Whatever looks for this in the first so many pictures."""
        name = f"{kind} {count}"
        if name not in self._judges:
            self._judges[name] = self._made(kind, self.pictures[kind][:count])
        return self._judges[name]

    def _made(self, kind: str, plain: Pictures) -> Callable[[Pictures], dict[str, Evidence]]:
        if kind == "scenes":
            return SceneEvidence(self.candidates, SceneDescriber(self._backbone))
        if kind == "words":
            return WordEvidence(plain, WordReader(), words=self.words[: len(plain)])
        return face_evidence(plain, self._finder, self._describer, *self.gallery())

    def gallery(self) -> tuple[np.ndarray, list[int]]:
        """Descriptors of the plain portraits that the attacker holds, and whom they show."""
        people = [person for person in range(PEOPLE) for _ in KNOWN]
        if self._gallery is None:
            held = [self.faces[person * PICTURES + number] for person in range(PEOPLE) for number in KNOWN]
            self._gallery = self._describer(held, [boxes[0] for boxes in self._finder(held)])
        return self._gallery, people

    def to_fit_on(self) -> Pictures:
        """Pictures that are not under attack, of all three kinds."""
        others = [self.faces[person * PICTURES + 9] for person in range(PEOPLE - FITTED_ON, PEOPLE)]
        return pages(FITTED_ON, seed=1).images + others + self.candidates[-FITTED_ON:]


def face_evidence(
    plain: Pictures, finder: FaceFinder, describer: FaceDescriber, gallery: np.ndarray, known: list[int]
) -> FaceEvidence:
    people = range(len(plain))
    return FaceEvidence(plain, finder, describer, people=people, gallery=gallery, gallery_people=known)


def as_it_is(encryption: Encryption, plain: Pictures, sets: Others) -> Pictures:
    return list(encryption.encrypt_batch(np.stack(plain)))


def solved(encryption: Encryption, plain: Pictures, sets: Others) -> Pictures | None:
    from hipmr_hf.attacks.jigsaw.solver import JigsawAttack

    if encryption.strategy != "rs":
        return None
    attack = JigsawAttack(encryption, rounds=1)
    return [attack(image).reconstruction for image in as_it_is(encryption, plain, sets)]


def inverted(encryption: Encryption, plain: Pictures, sets: Others) -> Pictures | None:
    from hipmr_hf.attacks.mixing.inversion import invert_mixing

    changed = encryption.sub_patch_symmetries or encryption.patch_normalization or encryption.shuffle_tones
    if encryption.strategy == "rs" or changed:
        return None
    images = as_it_is(encryption, plain, sets)
    return [invert_mixing(image, encryption, steps=60).reconstruction for image in images]


def decoded(encryption: Encryption, plain: Pictures, sets: Others) -> Pictures | None:
    from hipmr_hf.attacks.mixing.decoder import train_mixing_decoder
    from hipmr_hf.attacks.trained.training_crops import TrainingCrops

    if encryption.strategy == "rs":
        return None
    key = (train_mixing_decoder.__name__, encryption)
    if key not in _FITTED:
        learned = TrainingCrops(sets.to_fit_on(), plain[0].shape[:2], seed=0)
        _FITTED[key] = train_mixing_decoder(encryption, learned, cpu_seconds=DECODER_SECONDS)
    return [_FITTED[key](image).reconstruction for image in as_it_is(encryption, plain, sets)]


_FITTED: dict[tuple[str, Encryption], Any] = {}


def turned(encryption: Encryption, plain: Pictures, sets: Others) -> Pictures | None:
    from hipmr_hf.attacks.jigsaw_turned.attacker import fit_turned

    if encryption.strategy != "rs" or not encryption.sub_patch_symmetries:
        return None
    return put_together(fit_turned, encryption, plain, sets, trees=TREES)


def whole(encryption: Encryption, plain: Pictures, sets: Others) -> Pictures | None:
    from hipmr_hf.attacks.jigsaw_whole.attacker import cannot_be_whole, fit_whole

    if cannot_be_whole(encryption) is not None:
        return None
    return put_together(fit_whole, encryption, plain, sets, trees=0)


def put_together(
    fit: Callable, encryption: Encryption, plain: Pictures, sets: Others, **options: int
) -> Pictures:
    """Attack pictures by what was fitted on others, once, and turn what comes out the way up."""
    key = (fit.__name__, encryption)
    if key not in _FITTED:
        _FITTED[key] = fit(encryption, sets.to_fit_on(), **options)
    found = [_FITTED[key](image).reconstruction for image in as_it_is(encryption, plain, sets)]
    return [best_turned(*both) for both in zip(found, plain, strict=True)]


SOURCES: dict[str, Callable[[Encryption, Pictures, Others], Pictures | None]] = {
    "as it is": as_it_is,
    "jigsaw solver": solved,
    "inversion": inverted,
    "decoder": decoded,
    "turned pieces": turned,
    "whole turned pieces": whole,
}


def measure(args: argparse.Namespace) -> None:
    """Look at every picture that has not been looked at yet."""
    sets = Sets(args.data_dir, args.backbone)
    plans: list[tuple[str | None, str]] = [(None, PLAIN)]
    plans += [(preset, source) for source in SOURCES if source not in args.skip for preset in PRESETS]
    for preset, source in plans:
        if args.only and preset is not None and preset not in args.only:
            continue
        for kind, plain in sets.pictures.items():
            if (preset, source, kind) not in done(args.results):
                add(args.results, look(preset, source, kind, plain, sets))
    if "sizes" not in load_results(args.results):
        save_results(args.results, load_results(args.results) | {"sizes": sizes(args.data_dir, sets)})


def look(preset: str | None, source: str, kind: str, plain: Pictures, sets: Sets) -> list[dict]:
    started = time.process_time()
    if source not in (PLAIN, "as it is"):
        plain = plain[: SOLVED[kind]]
    made = plain if preset is None else SOURCES[source](Encryption.from_preset(preset), plain, sets)
    about = {"preset": preset, "source": source, "kind": kind}
    if made is None:
        return [about]
    found = sets.judge(kind, len(plain))(made)
    seconds = round(time.process_time() - started, 1)
    print(about, {name: round(evidence.share, 3) for name, evidence in found.items()}, seconds, flush=True)
    return [{**about, **told(name, evidence), "cpu_seconds": seconds} for name, evidence in found.items()]


def told(name: str, evidence: Evidence) -> dict[str, Any]:
    values = [round(value, 4) for value in evidence.values]
    return {"measure": name, "values": values, "chance": round(evidence.chance, 4)}


def sizes(data_dir: Path, sets: Sets) -> list[dict]:
    """How wide faces and how high letters must be: MI with patches of 8, RS with patches of 56."""
    records = []
    for width in (53, 80, 113, 160):
        plain = list(portraits(data_dir, width=width)[ATTACKED::PICTURES][:FACES])
        judge = face_evidence(plain, FaceFinder(), FaceDescriber(), *sets.gallery())
        seen = np.mean([box.width for box in judge._boxes])
        for turns in (False, True):
            encryption = MixingUp(patch_size=8, sub_patch_symmetries=turns)
            found = judge(as_it_is(encryption, plain, sets))
            about = {"settings": "MI, symmetries" if turns else "MI", "size": round(float(seen) / 8, 2)}
            records += [{**about, **told(*one)} for one in found.items()]
    for patches in (1.5, 2, 2.5, 3, 4):
        typeset = pages(4, letters=(round(8 * patches),))
        read = WordEvidence(typeset.images, WordReader(), words=typeset.words)
        for turns in (False, True):
            encryption = MixingUp(patch_size=8, sub_patch_symmetries=turns)
            found = read(as_it_is(encryption, typeset.images, sets))
            about = {"settings": "MI, symmetries" if turns else "MI", "size": patches}
            records += [{**about, **told(*one)} for one in found.items()]
    for height in (8, 10, 14, 19):
        typeset = pages(4, letters=(height,))
        encryption = RandomShuffling(image_size=224, patch_size=56)
        read = WordEvidence(typeset.images, WordReader(), words=typeset.words)
        found = read(as_it_is(encryption, typeset.images, sets))
        about = {"settings": "RS", "size": round(height / 56, 3)}
        records += [{**about, **told(*one)} for one in found.items()]
    return records


def done(path: Path) -> set[tuple[str | None, str, str]]:
    return {(one["preset"], one["source"], one["kind"]) for one in load_results(path).get("looked", [])}


def add(path: Path, records: list[dict]) -> None:
    results = load_results(path)
    looked = [*results.get("looked", []), *records]
    save_results(path, {"command": COMMAND} | results | {"looked": looked})


def main() -> None:
    args = parse_arguments()
    if not args.report:
        measure(args)
    publish(MARK, rendered(load_results(args.results)), args.results)


if __name__ == "__main__":
    main()
