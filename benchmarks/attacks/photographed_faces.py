"""Whether the people in photographs are found and told apart: encrypted, and put together again.

    python benchmarks/attacks/photographed_faces.py --data_dir ../shared/data

The recognisers and the attackers are those of `recognisers.py`; the photographs are Kodak's, scikit-image's
and COCO's, as far as the finder finds people in them. They are encrypted at 224 pixels in two ways:

- near: a square about each face that is at least 32 pixels wide in its photograph, 2.4 faces wide.
- whole: the centre of the whole photograph, with its faces of at least 16 pixels, a patch.

Each of these people is in one photograph only, so nobody can be known by another picture: identified means
that of the plain faces of all of them the nearest is the same face. Writes
`benchmarks/results/photographed_faces.json` as results come and puts the table into docs/attacks.md. Figures
only; no face is shown.
"""

import argparse
import sys
import time
from itertools import product
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.attacks.photographed_people import (
    People,
    Photographed,
    PhotographedEvidence,
    Pictures,
    found_in_nothing,
)
from benchmarks.attacks.recognisers import SOURCES, told
from benchmarks.attacks.recognisers_table import PLAIN
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import publish
from benchmarks.harness.results_file import load_results, save_results
from benchmarks.harness.tables import table
from hipmr_hf import Encryption
from hipmr_hf.encryption.preset_table import PRESETS
from hipmr_hf.recognisers.evidence import Evidence
from hipmr_hf.recognisers.faces import FaceDescriber, FaceFinder

MARK, AS_IT_IS = "photographed_faces", "as it is"
COMMAND = "python benchmarks/attacks/photographed_faces.py"
KINDS, NOBODY = ("near", "whole", "nobody"), 24
"""What is looked at, and how many photographs without a face; attackers do not put those together."""
COLUMNS = {
    ("near", "at_its_place"): "near: found at its place",
    ("near", "anywhere"): "near: found anywhere",
    ("near", "identified"): "near: identified",
    ("whole", "at_its_place"): "whole: found at its place",
    ("whole", "anywhere"): "whole: found anywhere",
    ("whole", "identified"): "whole: identified",
    ("nobody", "where_there_is_none"): "found where there is none",
}


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(__doc__, results=MARK, only="presets", report="render docs/attacks.md")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS, help="default all")
    return parser.parse_args()


class Seen(NamedTuple):
    """The people, what looks for their faces, and what was found of each kind in plain pictures."""

    people: People
    finder: FaceFinder
    judges: dict[str, PhotographedEvidence]

    def plain(self, kind: str) -> Pictures:
        """The plain pictures of this kind."""
        return self.people.nobody[:NOBODY] if kind == "nobody" else getattr(self.people, kind).pictures

    def judge(self, kind: str, pictures: Pictures) -> dict[str, Evidence]:
        """What is found in versions of them."""
        if kind == "nobody":
            return found_in_nothing(pictures, self.finder)
        return self.judges[kind](pictures)


def measure(args: argparse.Namespace) -> None:
    """Look at every picture that has not been looked at yet."""
    finder, describer = FaceFinder(), FaceDescriber()
    people = People(args.data_dir, finder)
    kinds = {"near": people.near, "whole": people.whole}
    judges = {kind: PhotographedEvidence(plain, finder, describer) for kind, plain in kinds.items()}
    seen = Seen(people, finder, judges)
    results = {"command": COMMAND, "faces": {kind: about(plain) for kind, plain in kinds.items()}}
    save_results(args.results, load_results(args.results) | results)
    for preset, source in [(None, PLAIN), *((preset, source) for source in SOURCES for preset in PRESETS)]:
        if args.only and preset is not None and preset not in args.only:
            continue
        for kind in args.kinds:
            if kind == "nobody" and source not in (PLAIN, AS_IT_IS):
                continue
            results = load_results(args.results)
            looked = results.get("looked", [])
            if (preset, source, kind) not in {(one["preset"], one["source"], one["kind"]) for one in looked}:
                added = [*looked, *look(preset, source, kind, seen)]
                save_results(args.results, results | {"looked": added})


def about(plain: Photographed) -> dict:
    """How many photographs there are, and how wide the faces are, in pixels of the 224."""
    widths = [round(box.width, 1) for boxes in plain.faces for box in boxes]
    return {"photographs": len(plain.pictures), "widths": widths}


def look(preset: str | None, source: str, kind: str, seen: Seen) -> list[dict]:
    started, plain = time.process_time(), seen.plain(kind)
    made = plain
    if preset is not None:
        made = SOURCES[source](Encryption.from_preset(preset), plain, seen.people)
    about = {"preset": preset, "source": source, "kind": kind}
    if made is None:
        return [about]
    found = seen.judge(kind, made)
    seconds = round(time.process_time() - started, 1)
    print(about, {name: counted(evidence.values) for name, evidence in found.items()}, seconds, flush=True)
    return [{**about, **told(name, evidence), "cpu_seconds": seconds} for name, evidence in found.items()]


def counted(values: list[float] | tuple[float, ...]) -> str:
    """Write how many of how many.

    Example:
        >>> counted([1.0, 0.0, 1.0])
        '2 of 3'
    """
    return f"{round(sum(values))} of {len(values)}"


def rendered(results: dict) -> str:
    """A row for each preset and what was made of it, and under it what guessing gives."""
    found = {
        (one["preset"], one["source"], one["kind"], one["measure"]): one
        for one in results.get("looked", [])
        if one.get("measure") is not None
    }
    if not found:
        return "Not measured yet."
    rows = []
    for preset, source in product([None, *PRESETS], [PLAIN, *SOURCES]):
        cells = [found.get((preset, source, *column)) for column in COLUMNS]
        if any(cells):
            shown = [counted(cell["values"]) if cell else "-" for cell in cells]
            rows.append([f"`{preset}`" if preset else "", source, *shown])
    chance = [max(one["chance"] for key, one in found.items() if key[2:] == column) for column in COLUMNS]
    shown = [
        f"{one:.3f}" if column[0] != "nobody" else "" for column, one in zip(COLUMNS, chance, strict=True)
    ]
    return table(["preset", "picture", *COLUMNS.values()], [*rows, ["", "chance", *shown]])


def main() -> None:
    args = parse_arguments()
    if not args.report:
        measure(args)
    publish(MARK, rendered(load_results(args.results)), args.results)


if __name__ == "__main__":
    main()
