"""Every cell of the table of holders and assets is measured, by design, or said not to be measured."""

import json
import re

import pytest

from benchmarks.attacks import who_learns
from benchmarks.attacks.membership_table import figures
from benchmarks.harness import pages
from benchmarks.harness.results_file import load_results, stored
from hipmr_hf import MixingUp, RandomShuffling
from hipmr_hf.privacy_report.assets import ASSETS, FIGURES, who_can_learn_what
from hipmr_hf.privacy_report.records import LINK, ORDER, PICTURE, AttackRecord

RECORDS = [
    AttackRecord("jigsaw", "a solver", ORDER, "", "neighbour", {"neighbour": [0.9]}, {"neighbour": 0.005}),
    AttackRecord("same_picture", "a comparison", LINK, "", "top1", {"top1": [1.0]}, {"top1": 0.1}),
    AttackRecord("faces", "a face detector", PICTURE, "", "found", {"found": [0.4]}, {"found": 0.0}),
]


@pytest.mark.parametrize("encryption", [RandomShuffling(), RandomShuffling(sub_patch_grid=2), MixingUp()])
@pytest.mark.parametrize("records", [[], RECORDS])
def test_every_cell_says_where_it_comes_from(encryption, records):
    rows = who_can_learn_what(encryption, records)
    assert [row["holder"] for row in rows] == ["public", "builder", "server", "client", "key holder"]
    for row in rows:
        assert list(row) == ["holder", *ASSETS]
        for asset in ASSETS:
            assert row[asset].startswith(("measured", "by design: ", "not measured")), row[asset]


def test_figures_are_the_audits_own():
    public, *_ = who_can_learn_what(RandomShuffling(), RECORDS)
    assert "90%" in public["scene"] and "a solver" in public["scene"]
    assert "a face detector" in public["faces"] and public["words"] == "not measured"
    assert "100%" in public["identity"] and "in the dataset" in public["membership"]


def test_every_way_of_linking_is_told_the_strongest_first():
    people = AttackRecord("people", "by others", LINK, "", "top1", {"top1": [0.5]}, {"top1": 0.1})
    told = who_can_learn_what(RandomShuffling(), [people, *RECORDS])[0]["identity"]
    assert re.fullmatch(r"measured: a comparison: 100% [^;]+; by others: 50% [^;]+", told)


def test_the_page_of_the_default_preset_leaves_no_cell_unmeasured():
    head, _, *rows = [line for line in pages.told(who_learns.MARK).splitlines() if line.startswith("|")]
    assert head == f"| holder | {' | '.join(ASSETS)} |" and len(rows) == 5
    for row in rows:
        holder, *cells = row.strip("| ").split(" | ")
        assert len(cells) == len(ASSETS)
        for cell in cells:
            assert re.match(r"by design: \w|measured.*: [^:]*\d%", cell), (holder, cell)
            assert "not measured" not in cell, (holder, cell)
    public = dict(zip(ASSETS, rows[0].strip("| ").split(" | ")[1:], strict=True))
    found = who_learns.photographs_found()
    assert f"among {found['gallery']} candidates: {found['top1']:.0%} found first" in public["membership"]


def test_a_key_opens_what_the_settings_did_not_destroy():
    def key_holder(encryption):
        return who_can_learn_what(encryption, RECORDS)[-1]["scene"]

    assert key_holder(RandomShuffling()) == "by design: every picture, whole"
    assert "stays destroyed" in key_holder(RandomShuffling(interval=2))
    assert "there is no key" in key_holder(MixingUp())


def test_membership_is_what_the_benchmark_measured_with_and_without_privacy():
    records = load_results(stored("membership"), "records")
    told = json.loads(FIGURES.read_text())
    assert told == figures(records)
    assert {(one["setting"], one["epsilon"] is None) for one in told} == {
        (one["setting"], one["privacy"] == "none") for one in records
    }
    server = who_can_learn_what(RandomShuffling(), [])[2]["membership"]
    assert "under RS: no privacy 3.4%, area 0.64, epsilon 8 0.6%, area 0.52" in server
    assert all(f"under {one['setting']}: " in server for one in told)
