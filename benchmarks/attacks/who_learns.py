"""Who can learn what under the default preset: the audit's table, filled with what is stored.

    python benchmarks/attacks/who_learns.py

Measures nothing. Takes the preset's figures (`src/hipmr_hf/hub/preset_figures.json`, which `presets.py`
collects), those of membership (`membership.py`) and how many photographs are found among candidates
(`linkage.py`), and lets `who_can_learn_what` make the table of an audit of them, into docs/audit.md. What no
benchmark has measured is told as such.
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.attacks.linkage_table import MARK as LINKED
from benchmarks.attacks.presets import LINKED_ROWS
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import tell
from benchmarks.harness.results_file import load_results, stored
from benchmarks.harness.tables import table
from hipmr_hf import Encryption
from hipmr_hf.encryption.preset_table import DEFAULT_PRESET
from hipmr_hf.hub.preset_figures import figures_of
from hipmr_hf.privacy_report.assets import ASSETS, who_can_learn_what
from hipmr_hf.privacy_report.people import PLAIN
from hipmr_hf.privacy_report.records import LINK, ORDER, PEOPLE, AttackRecord

MARK = "assets"
# Figure of the preset: (kind, score, who found it)
ATTACKERS = {
    "adjacent": (ORDER, "adjacent", "the worst attacker"),
    "faces": (PEOPLE, "faces_identified", "a face recogniser"),
    "words": (PEOPLE, "words_read", "a reader of words"),
    "person": (LINK, "top1", "one of 40 people, by five labelled encrypted pictures of each"),
}


def record_of(name: str) -> AttackRecord:
    """Make the record that an audit would have of a preset's figure."""
    figure, (kind, measure, title) = figures_of(DEFAULT_PRESET)[name], ATTACKERS[name]
    beside = {word: float(number) for word, number in re.findall(r"(\w+) ([\d.]+)", figure.beside)}
    baselines = {PLAIN: {measure: beside["plain"]}} if "plain" in beside else {}
    scores, chance = {measure: [figure.value]}, {measure: beside["chance"]}
    note = figure.beside.rpartition("; ")[0]
    title = f"{title} ({note})" if note else title
    return AttackRecord(name, title, kind, "", measure, scores, chance, baselines)


def photographs_found() -> dict:
    """What `linkage.py` stored of the preset: which plain photograph an encrypted one shows."""
    (found,) = [
        one
        for one in load_results(stored(LINKED), "linked")
        if one["task"] == "same picture" and LINKED_ROWS.get(one["setting"]) == DEFAULT_PRESET
    ]
    return found


def record_of_photographs(found: dict) -> AttackRecord:
    """Make the record that an audit would have of finding the photograph."""
    title, knows = f"finding the photograph among {found['gallery']} candidates", "the candidates"
    scores, chance = {"top1": [found["top1"]]}, {"top1": found["chance"]}
    return AttackRecord("same_picture", title, LINK, knows, "top1", scores, chance)


def rendered() -> str:
    """The table, and below it what each figure was measured on and by which command."""
    found, figures = photographs_found(), figures_of(DEFAULT_PRESET)
    photographs = record_of_photographs(found)
    records = [*(record_of(name) for name in ATTACKERS), photographs]
    rows = who_can_learn_what(Encryption.from_preset(DEFAULT_PRESET), records)
    cells = [[row["holder"], *(row[asset] for asset in ASSETS)] for row in rows]
    measured = {ATTACKERS[name][2]: (figures[name].measured_on, figures[name].command) for name in ATTACKERS}
    asked = f"{found['queries']} photographs of 224 pixels"
    measured[photographs.title] = asked, load_results(stored(LINKED), "command")
    sources = [f"- {title}: {pictures} (`{command}`)" for title, (pictures, command) in measured.items()]
    return "\n".join([table(["holder", *ASSETS], cells), "", *sources])


def main() -> None:
    script_parser(__doc__).parse_args()
    print(rendered())
    tell(MARK, rendered())


if __name__ == "__main__":
    main()
