"""Documents are audited like photographs; turned pieces are turned back; one chart shows all leaks."""

import dataclasses
import re

import numpy as np
import pytest

from hipmr_hf import MixingUp, RandomShuffling
from hipmr_hf.privacy_report import QUICK, privacy_report
from hipmr_hf.privacy_report.bench import set_up
from hipmr_hf.privacy_report.chart import leak_chart
from hipmr_hf.privacy_report.controls import Control, run_controls
from hipmr_hf.privacy_report.grade import grade, largest_leak, level, passed, withstood
from hipmr_hf.privacy_report.linking import same_subject
from hipmr_hf.privacy_report.records import ORDER, PICTURE, TONES, AttackRecord
from hipmr_hf.privacy_report.tones import cannot_deal_back

TINY = dataclasses.replace(QUICK, images=2, rounds=1, steps=1000, smoothing_steps=20, shared_images=3)
EASY = RandomShuffling(image_size=112, patch_size=28)
TURNED = RandomShuffling(image_size=112, patch_size=28, sub_patch_symmetries=True)


def page(seed: int) -> np.ndarray:
    """A sheet of paper with lines of letters that stand far apart: most borders are white."""
    rng = np.random.default_rng(seed)
    sheet = np.full((112, 112, 3), 255, np.uint8)
    for top in range(10, 100, 28):
        for left in range(8, 100, 28):
            sheet[top : top + 8, left : left + 8] = rng.integers(0, 2, (8, 8, 1)) * 255
    return sheet


def ramp(seed: int) -> np.ndarray:
    """A picture that is easy to put together: every place has a colour of its own."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:112, :112]
    waves = [np.sin(rows * a + cols * b) for a, b in rng.uniform(0.005, 0.03, (3, 2))]
    noise = rng.normal(0, 1, (112, 112, 3))
    return (128 + 90 * np.stack(waves, axis=-1) + noise).clip(0, 255).astype(np.uint8)


def strangers(seed: int) -> np.ndarray:
    """Sixteen pieces of sixteen pictures: each has something in it, and no border tells of the next."""
    pieces = [ramp(100 * seed + k)[:28, :28] for k in range(16)]
    return np.concatenate([np.concatenate(pieces[4 * row : 4 * row + 4], axis=1) for row in range(4)])


def test_documents_do_not_make_an_audit_invalid():
    controls = run_controls(
        EASY, [page(1), page(2)], effort=TINY, seed=0, others=[page(k) for k in range(3, 8)]
    )

    assert passed(controls)
    assert withstood(controls) or controls[0].passed
    assert controls[1].name == "puzzles of noise" and controls[1].passed


def test_images_that_the_solver_cannot_do_are_told_and_photographs_show_that_it_works():
    controls = run_controls(EASY, [strangers(1), strangers(2)], effort=TINY, seed=0)

    assert not controls[0].passed and not controls[0].counts
    assert controls[-1].name == "easy puzzles of photographs" and controls[-1].passed
    assert passed(controls) and withstood(controls)


@pytest.mark.parametrize("kind", ["flat", "noise"])
def test_flat_images_and_noise_still_make_it_invalid(kind):
    flat = [np.full((112, 112, 3), level, np.uint8) for level in (10, 90)]
    noise = list(np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), dtype=np.uint8))

    controls = run_controls(EASY, flat if kind == "flat" else noise, effort=TINY, seed=0)

    assert not passed(controls) and not withstood(controls)


def test_no_better_grade_than_c_where_easy_puzzles_withstand():
    full = dataclasses.replace(TINY, training_seconds=1.0)
    record = privacy_report([ramp(1), ramp(2)], EASY, effort=TINY).settings[0].records[0]
    weak = dataclasses.replace(record, scores={"likeness": [0.1]}, chance={"likeness": 0.1})

    assert grade([weak], full, valid=True).letter == "A"
    assert grade([weak], full, valid=True, hard=True).letter == "C"


@pytest.fixture(scope="module")
def report():
    return privacy_report([ramp(seed) for seed in range(8)], TURNED, effort=TINY)


def test_whole_turned_patches_are_put_together_and_shown(report):
    (audit,) = report.settings
    found = {record.attack: record for record in audit.records}

    assert found["whole"].value > 0.8 and found["whole"].by_chance < 0.02
    assert len(found["whole"].pictures) == 2 and found["whole"].mean("likeness") > 0.8
    assert audit.grade.letter == "F" and "turns no piece" in audit.left_out["jigsaw"]


def test_mixed_patches_are_no_pieces_to_turn():
    mixed = dataclasses.replace(TURNED, sub_patch_grid=2)
    audit = privacy_report([ramp(seed) for seed in range(7)], mixed, effort=TINY).settings[0]
    assert "mixed" in audit.left_out["whole"]


def test_the_chart_shows_every_attacker_of_every_setting_largest_leak_first(report):
    values = report.to_dict()

    chart = leak_chart([*values["settings"], *values["settings"]])

    records = [record for record in values["settings"][0]["attackers"] if record["kind"] != "control"]
    assert chart.count('class="found"') == 2 * len(records) and chart.count(report.settings[0].name) == 2
    assert chart.startswith("<svg") and "http" not in chart
    ranked = sorted(records, key=_way, reverse=True)
    shown = [chart.index(f'">{record["title"][:1].upper()}{record["title"][1:50]}') for record in ranked]
    assert shown == sorted(shown)


def test_the_page_leads_with_the_largest_leak_the_scale_and_the_chart(report, tmp_path):
    text = (report.save(tmp_path / "report") / "report.html").read_text()
    lead = text[: text.index("<h2")]
    assert "largest leak" in lead and report.settings[0].largest_leak in lead
    assert report.settings[0].advice in lead and "Grades go from A" in lead and "<svg" in lead


def test_pictures_of_another_source_are_fitted_on_at_quick_effort_too():
    audit = privacy_report(
        [ramp(1), ramp(2)], TURNED, attacker_images=[ramp(k) for k in range(3, 8)], effort=TINY
    )
    found = {record.attack: record for record in audit.settings[0].records}
    assert "5 other images" in found["turned"].knows and "5 other images" in found["whole"].knows


def test_controls_that_do_not_count_cannot_spoil_an_audit():
    control = Control("easy", "RS", 1, 0.1, 0.0, "more than 95%", passed=False)
    assert not passed([control]) and passed([dataclasses.replace(control, counts=False)])


def _way(record: dict) -> float:
    found, chance = record["scores"][record["measure"]]["mean"], record["chance"][record["measure"]]
    return (found - chance) / (1 - chance)


def grains(rng: np.random.Generator, labels: np.ndarray) -> list[np.ndarray]:
    """Pictures of any colour, whose label is how coarse their grain is."""
    pictures = []
    for label in labels:
        width = 2**label
        grain = np.kron(rng.normal(size=(64 // width, 64 // width, 1)), np.ones((width, width, 3)))
        pictures.append((rng.uniform(60, 200, 3) + 16 * grain).clip(0, 255).astype(np.uint8))
    return pictures


def test_subjects_are_learned_where_several_pictures_of_each_are_known():
    """The nearest picture is one of like colours; what is learned sees the grain, which is the subject."""
    rng, labels = np.random.default_rng(0), np.repeat(np.arange(4), 12)
    effort = dataclasses.replace(TINY, candidates=len(labels))
    shuffled = RandomShuffling(image_size=64, patch_size=16)

    def asked(labels: np.ndarray, told: np.ndarray) -> AttackRecord:
        return same_subject(set_up(shuffled, grains(rng, labels), told, [], effort=effort, seed=0))

    learned, dealt, few = (
        asked(labels, labels),
        asked(labels, rng.permutation(labels)),
        asked(labels[::6], labels[::6]),
    )

    assert learned.value > 0.9 and "learned from" in learned.notes[0]
    nearest = float(re.search(r"nearest known image (\d+)%", learned.notes[0])[1]) / 100
    assert nearest < 0.6 and learned.by_chance == pytest.approx(0.25)
    assert dealt.value < 0.6 and "nothing was learned" in few.notes[0]


DEALT = {"image_size": 112, "patch_size": 14, "sub_patch_symmetries": True, "shuffle_tones": True}


@pytest.fixture(scope="module")
def dealt_out():
    """One audit of three settings whose tones are dealt out."""
    settings = [
        RandomShuffling(**{**DEALT, "sub_patch_symmetries": False}),
        RandomShuffling(**DEALT, sub_patch_grid=2, interval=2),
        MixingUp(**DEALT),
    ]
    return privacy_report([ramp(seed) for seed in range(10)], settings, effort=TINY)


def test_tones_are_dealt_back_beside_chance_in_records_chart_and_json(dealt_out, tmp_path):
    whole, mixed, in_place = (
        {record.attack: record for record in audit.records} for audit in dealt_out.settings
    )
    for found in (whole, mixed, in_place):
        assert found["tones"].n == 2 and 0 < found["tones"].by_chance < 0.1
        assert "8 other images" in found["tones"].knows and "8 images only" in found["tones"].notes[0]
    assert whole["tones"].value > 4 * whole["tones"].by_chance and level(whole["tones"])
    assert "tones_drawn" not in whole and len(in_place["tones_drawn"].pictures) == 2
    drawn = in_place["tones_drawn"]
    assert drawn.kind == PICTURE and drawn.baselines["all tones in their places"]["likeness"] > drawn.value

    values = dealt_out.to_dict()["settings"]
    assert leak_chart(values).count("Dealing tones back to their textures</text>") == 3
    assert [one["attack"] for one in values[2]["attackers"]].count("tones_drawn") == 1
    text = (dealt_out.save(tmp_path / "report") / "report.md").read_text()
    assert "tones dealt back" in text and "of the tones dealt back (chance" in text


def test_tones_dealt_back_more_often_than_by_chance_keep_settings_from_the_best_grade():
    full = dataclasses.replace(TINY, training_seconds=1.0)
    weak = AttackRecord("j", "a solver", ORDER, "", "neighbour", {"neighbour": [0.0]}, {"neighbour": 0.01})
    told = [
        AttackRecord("t", "dealing", TONES, "", "dealt_back", {"dealt_back": [found]}, {"dealt_back": 0.01})
        for found in (0.03, 0.015)
    ]
    assert [grade([weak, one], full, valid=True).letter for one in told] == ["B", "A"]
    assert largest_leak([weak, told[0]]) is told[0]


def test_settings_without_dealt_tones_name_the_attacker_as_left_out(report):
    assert report.settings[0].left_out["tones"] == "no tones are dealt out"


def test_patches_of_one_pixel_and_too_few_images_are_told():
    images = [ramp(seed) for seed in range(5)]
    one_pixel = RandomShuffling(image_size=112, patch_size=14, sub_patch_grid=14, shuffle_tones=True)
    bench = set_up(one_pixel, images * 2, None, [], effort=TINY, seed=0)
    assert "one pixel wide" in cannot_deal_back(bench)
    few = set_up(MixingUp(**DEALT), images, None, [], effort=TINY, seed=0)
    assert "fewer than 4 images" in cannot_deal_back(few)
