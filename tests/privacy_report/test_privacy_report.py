"""The audit measures what attackers get back, says when it cannot, and writes nothing that names anybody."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hipmr_hf import MixingUp, RandomShuffling
from hipmr_hf.encryption.recognisable import size_rule
from hipmr_hf.privacy_report import FULL, QUICK, Effort, encrypted_report, privacy_report
from hipmr_hf.privacy_report.bench import BLIND_IMAGES, at_fixed_size, described, effort_of
from hipmr_hf.privacy_report.controls import easy_settings, run_controls
from hipmr_hf.privacy_report.grade import largest_leak, level, said
from hipmr_hf.privacy_report.holders import advice
from hipmr_hf.privacy_report.pictures import contact_sheet
from hipmr_hf.privacy_report.records import LINK, ORDER, AttackRecord
from hipmr_hf.privacy_report.sample import draw_sample
from hipmr_hf.privacy_report.sweep import sweep

EASY = RandomShuffling(image_size=112, patch_size=28)
HARD = RandomShuffling(
    image_size=112, patch_size=14, sub_patch_grid=2, sub_patch_symmetries=True, patch_normalization=True
)
MIXED = MixingUp(image_size=112, patch_size=16)
TINY = dataclasses.replace(QUICK, images=3, rounds=1, steps=1000, smoothing_steps=20, shared_images=4)
FORBIDDEN = re.compile(r"\b(secure|securely|anonymous|confidential|intractable)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    """Eight crops of real photographs, four of each."""
    from sklearn.datasets import load_sample_image

    rng = np.random.default_rng(0)
    china, flower = (load_sample_image(name) for name in ("china.jpg", "flower.jpg"))
    corners = [(rng.integers(0, 427 - 224), rng.integers(0, 640 - 224)) for _ in range(8)]
    return [
        np.ascontiguousarray((china, flower)[i % 2][y : y + 224, x : x + 224])
        for i, (y, x) in enumerate(corners)
    ]


@pytest.fixture(scope="module")
def report(photos):
    """One audit of three settings, from easy to hard, that several tests look at."""
    return privacy_report(photos, [EASY, HARD, MIXED], labels=[0, 1] * 4, effort=TINY)


def records(report, number: int) -> dict:
    return {record.attack: record for record in report.settings[number].records}


# What is measured


def test_the_positive_control_holds_on_photographs(report):
    easy, noise = report.controls
    assert report.valid and easy.passed and noise.passed
    assert easy.neighbour > 0.95 and noise.neighbour < 0.3 and easy.n == 3


def test_easy_settings_get_the_worst_grade_and_hard_ones_a_better(report):
    easy, hard, mixed = (audit.grade.letter for audit in report.settings)
    assert easy == "F" and mixed in "EF" and hard in "CD"


def test_every_attacker_stands_beside_its_chance_effort_and_number(report):
    for audit in report.settings:
        for record in audit.records:
            assert record.n >= 1 and record.measure in record.scores, record.attack
            assert np.isfinite(record.by_chance), record.attack
            assert record.cpu_seconds >= 0 and record.knows
    assert records(report, 0)["jigsaw"].search_limited is not None


def test_quick_effort_says_which_attackers_it_left_out(report):
    left_out = report.settings[0].left_out
    assert "trains no attacker" in left_out["neighbour"]
    assert "in their places" in report.settings[2].left_out["jigsaw"]


def test_one_permutation_for_all_falls_and_fresh_ones_tell_nothing(report):
    found = records(report, 0)
    assert found["shared_permutation"].value > 0.9
    assert found["fresh_permutations"].value < 0.4  # 24 pairs, chance .07


def test_candidates_are_found_and_subjects_are_asked_for(report):
    found = records(report, 0)
    assert found["same_picture"].value == 1 and found["same_picture"].by_chance == pytest.approx(1 / 8)
    assert found["same_subject"].n == 4 and found["same_subject"].by_chance == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("found", "chance", "is_linked"),
    [(1.0, 0.5, True), (0.7, 0.5, False), (0.05, 0.02, True), (0.04, 0.02, False)],
)
def test_two_subjects_that_are_told_apart_are_linked_though_guessing_finds_half(found, chance, is_linked):
    record = AttackRecord("same_subject", "linking", LINK, "", "top1", {"top1": [found]}, {"top1": chance})
    assert (level(record) > 0) == is_linked
    assert said(record).endswith("linked" if is_linked else "no more than twice what guessing finds")


def test_linking_counts_as_the_largest_leak_where_it_is():
    solved, linked = (
        AttackRecord(kind, kind, kind, "", "score", {"score": [value]}, {"score": 0.01})
        for kind, value in ((ORDER, 0.3), (LINK, 0.92))
    )
    assert largest_leak([solved, linked]) is linked
    nothing = AttackRecord("jigsaw", "", ORDER, "", "score", {"score": [0.01]}, {"score": 0.01})
    assert largest_leak([nothing]) is None


@pytest.mark.parametrize("letter", [*"ABCDEF", "invalid", None])
@pytest.mark.parametrize("encryption", [EASY, HARD, MIXED], ids=["easy", "hard", "mixed"])
def test_every_grade_gives_advice(encryption, letter):
    said = advice(encryption, letter)
    assert said.endswith(".") and len(said.split()) > 8
    if encryption is EASY and letter in ("C", "D", "E", "F", None):
        assert "--preset classification" in said


def test_flat_images_make_the_audit_invalid():
    flat = [np.full((112, 112, 3), level, np.uint8) for level in (10, 90, 200)]

    report = privacy_report(flat, EASY, effort=TINY)

    assert not report.valid and not report.controls[0].passed
    assert report.settings[0].grade.letter == "invalid"
    assert "invalid" in json.dumps(report.to_dict())


def test_the_seed_repeats_the_sample_and_never_a_permutation(photos):
    effort = dataclasses.replace(TINY, images=2)
    samples = [draw_sample(photos, None, None, effort=effort, seed=seed) for seed in (1, 1, 2)]
    first, again, other = (np.stack(sample.attacked) for sample in samples)
    assert (first == again).all() and (first != other).any()
    sheets = [privacy_report(photos[:2], EASY, effort=effort).settings[0].sheet for _ in range(2)]
    assert (sheets[0] != sheets[1]).any()  # the encrypted images in them differ


def test_pictures_with_several_classes_share_a_label_if_they_share_all(photos):
    labels = [[2, 0], [0, 2], [0], []] * (len(photos) // 4 + 1)
    sample = draw_sample(photos, labels[: len(photos)], None, effort=FULL, seed=0)
    assert len(np.unique(sample.labels)) == len({str(sorted(one)) for one in labels[: len(photos)]})


def test_attacked_images_are_never_learned_from(photos):
    sample = draw_sample(photos, None, None, effort=FULL, seed=0)
    attacked = {image.tobytes() for image in sample.attacked}
    assert len(attacked) == 4 and not attacked & {image.tobytes() for image in sample.attacker_images}


def test_images_without_plain_originals_are_attacked_and_not_measured(photos):
    shuffled = [EASY(photo) for photo in photos[:2]]

    report = encrypted_report(shuffled, EASY, effort=TINY)

    (audit,) = report.settings
    assert not report.measured and audit.grade is None and audit.sentences == []
    assert audit.records[0].scores == {} and len(audit.records[0].pictures) == 2
    assert audit.to_dict()["size_rule"] == size_rule(EASY)
    assert len(audit.records[0].effort["log_odds_of_the_layouts"]) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": []}, "images: got 0, expected 2 or more"),
        ({"labels": [1]}, "labels: got 1, expected one for each"),
        ({"effort": "heroic"}, "effort: got 'heroic', expected 'quick' or 'full'"),
        ({"num_images": 0}, "num_images: got 0"),
        ({"settings": []}, "settings: got none"),
    ],
)
def test_bad_input_is_told_before_any_work(photos, change, message):
    with pytest.raises(ValueError, match=message):
        privacy_report(**{"images": photos, "settings": EASY, "effort": TINY, **change})


def test_images_smaller_than_an_easy_patch_can_be_controlled():
    """Encryption enlarges them, so the audit has to take them too."""
    images = list(np.random.default_rng(0).integers(0, 256, (2, 20, 24, 3), dtype=np.uint8))
    effort = dataclasses.replace(TINY, images=2, steps=10)

    controls = run_controls(RandomShuffling(image_size=224, patch_size=16), images, effort=effort, seed=0)

    assert {control.n for control in controls} == {2}


def test_every_encrypted_image_that_is_attacked_is_drawn(photos):
    report = encrypted_report([MIXED(photo) for photo in photos], MIXED, effort=QUICK)

    (audit,) = report.settings
    assert audit.records[0].n == report.sample["attacked"] == BLIND_IMAGES
    one = encrypted_report([MIXED(photos[0])], MIXED, effort=QUICK).settings[0].sheet
    title = 2 * len(one) - len(contact_sheet(["a"], [[photos[0]]] * 2, [[""]] * 2))
    assert len(audit.sheet) == BLIND_IMAGES * len(one) - (BLIND_IMAGES - 1) * title


# What is written


def test_rows_of_a_contact_sheet_are_as_high_as_their_pictures():
    wide, high = np.zeros((50, 100, 3), np.uint8), np.zeros((100, 50, 3), np.uint8)
    heights = [
        len(contact_sheet(["a", "b"], [[picture, wide]], [["", ""]])) for picture in (wide, high, high[:50])
    ]
    assert heights[1] == heights[2] == heights[0] + 128


def test_attackers_that_were_left_out_for_one_reason_stand_together(folder):
    assert (
        "neighbour, position, reconstruction (quick effort trains no attacker)"
        in (folder / "report.md").read_text()
    )


@pytest.fixture(scope="module")
def folder(report, tmp_path_factory) -> Path:
    return report.save(tmp_path_factory.mktemp("audit") / "report")


def test_a_report_is_complete(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "contact_sheet_1.png",
        "contact_sheet_2.png",
        "contact_sheet_3.png",
        "report.html",
        "report.json",
        "report.md",
    ]
    values = json.loads((folder / "report.json").read_text())
    assert values["effort"]["name"] == "quick" and values["seed"] == 0 and values["versions"]["numpy"]
    assert values["settings"][0]["settings"] == EASY.to_dict() and set(values["thresholds"]) == set("ABCDEF")


def test_markdown_and_page_tell_the_same(folder):
    text, page = ((folder / f"report.{kind}").read_text() for kind in ("md", "html"))
    for words in ("patch 28", "chance", "Controls", "search cut short", "the picture is back", "Versions"):
        assert words in text and words in page, words
    assert not FORBIDDEN.search(text) and not FORBIDDEN.search(page)
    assert "**Grade F.** A jigsaw solver" in text
    assert "Grades go from A to F" in text and "(A to F; F: the picture is back)" in page
    assert "largest leak of all: " in text and "Largest leak:" in page


def test_every_setting_is_told_how_large_faces_and_letters_must_be(report, folder):
    """Also where no recogniser is installed, or found no face and no word, as in these photographs."""
    text, page = ((folder / f"report.{kind}").read_text() for kind in ("md", "html"))
    values = json.loads((folder / "report.json").read_text())
    for audit, told in zip(report.settings, values["settings"], strict=True):
        assert told["size_rule"] == audit.size_rule == size_rule(audit.encryption)
        assert f"**How large faces and letters must be.** {audit.size_rule}\n" in text
        assert f"must be.</strong> {audit.size_rule}</p>" in page
    assert text.count("How large faces") == page.count("How large faces") == len(report.settings)
    assert "a face is found from about 5 patches in width" in report.settings[2].size_rule


def test_the_page_needs_nothing_from_elsewhere(folder):
    page = (folder / "report.html").read_text()
    addresses = re.findall(r"""(?:src|href)=["']([^"']{1,30})""", page)
    assert addresses and all(
        address.startswith(("data:image/png;base64,", "#setting-", "#grades")) for address in addresses
    )
    assert not re.search(r"https?://|@import|url\(|<script", page)
    assert 'name="viewport"' in page and "prefers-color-scheme: dark" in page
    assert page.count("<table") == page.count("</table>") and page.count("<img") == 3


def test_pictures_and_places_stay_out_of_what_may_be_published(folder):
    for name in ("report.json", "report.md"):
        text = (folder / name).read_text()
        assert "base64" not in text and str(folder) not in text and str(Path.home()) not in text
        assert not re.search(r"(^|[\s\"'(])/[a-z]+/", text)


def test_plain_pictures_can_be_read_by_their_owner_alone(folder):
    assert folder.stat().st_mode & 0o077 == 0


def test_what_is_there_is_never_written_over(report, folder):
    with pytest.raises(FileExistsError, match="not an empty folder"):
        report.save(folder)


def test_a_write_that_fails_leaves_nothing(report, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("hipmr_hf.files.put_in_place", fail)
    with pytest.raises(OSError, match="No space"):
        report.save(tmp_path / "report")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_audit_leaves_nothing_half_written(tmp_path):
    code = (
        "import numpy as np\n"
        "from hipmr_hf import RandomShuffling\n"
        "from hipmr_hf.privacy_report import privacy_report\n"
        "images = list(np.random.default_rng(0).integers(0, 256, (9, 224, 224, 3), dtype=np.uint8))\n"
        "print('begun', flush=True)\n"
        f"privacy_report(images, RandomShuffling()).save({str(tmp_path / 'report')!r})\n"
    )
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert run.stdout.readline() == b"begun\n"
    time.sleep(1)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert list(tmp_path.iterdir()) == []


# Settings


def test_own_sizes_are_brought_to_one_and_told():
    images = [np.zeros((300, 400, 3), np.uint8)] * 2
    fixed = at_fixed_size(MixingUp(patch_size=16), images)
    assert fixed.image_size == (224, 288) and at_fixed_size(EASY, images) is EASY


def test_easy_puzzles_fit_every_size():
    for size in (8, 24, 32, 64, 96, 224, (64, 128), 448):
        settings = easy_settings(MixingUp(image_size=size, patch_size=4))
        rows = settings.image_size // settings.patch_size
        assert 3 <= rows <= 8, size


def test_a_sweep_names_every_setting_differently():
    names = [described(settings) for settings in sweep(image_size=64, patch_size=8)]
    assert len(set(names)) == len(names) == 8


def test_efforts_differ_in_everything_that_costs():
    for field in dataclasses.fields(Effort):
        if field.name != "name" and field.name != "rounds":
            assert getattr(QUICK, field.name) < getattr(FULL, field.name), field.name
    assert effort_of("full", 100).candidates == 100


# Trained attackers


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "seconds", "attackers"),
    [
        (
            RandomShuffling(image_size=48, patch_size=16),
            0.2,
            {"neighbour", "position", "jigsaw_position", "reconstruction"},
        ),
        # The decoder spends the first seconds of its time on making itself ready.
        (MixingUp(image_size=48, patch_size=16), 6.0, {"reconstruction", "mixing_decoder"}),
    ],
    ids=["shuffled", "mixed"],
)
def test_a_full_audit_trains_every_attacker_and_keeps_its_curve(photos, settings, seconds, attackers):
    small = {"images": 2, "candidates": 4, "rounds": 1, "steps": 200, "smoothing_steps": 5}
    effort = dataclasses.replace(FULL, **small, shared_images=3, training_seconds=seconds, gradient_steps=0)

    report = privacy_report(photos, settings, effort=effort)

    found = records(report, 0)
    assert attackers <= set(found)
    for record in (found[name] for name in attackers):
        assert record.effort["source_images"] == 6 and record.effort["curve"], record.attack
        assert "other images" in record.knows and "6 images only" in record.notes[0]
    json.dumps(report.to_dict(), allow_nan=False)


# Turned patches


def test_turned_patches_are_attacked_by_scores_that_were_fitted_on_the_other_images(report):
    easy, hard = (records(report, number)["turned"] for number in (0, 1))
    assert easy.kind == ORDER and easy.measure == "adjacent" and "5 other images" in easy.knows
    assert easy.by_chance == pytest.approx(0.2)  # 16 patches: 48 of 240 ordered pairs touch
    assert easy.value > 2 * easy.by_chance and hard.n == 3


def test_too_few_other_images_to_fit_on_are_told(photos):
    audit = privacy_report(photos[:5], HARD, effort=TINY).settings[0]
    assert "fewer than 4 images" in audit.left_out["turned"]
