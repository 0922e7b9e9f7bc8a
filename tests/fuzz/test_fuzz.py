"""Damaged files give what was asked for or a documented error: a small fuzz, and what the large one found."""

import mmap
import random
import time

import pytest

from fuzz import fuzz, mutations, pictures
from hipmr_hf import MixingUp, RandomShuffling
from hipmr_hf.dataset.unfinished import place_of, unfinished_folder
from hipmr_hf.encryption import Encryption, Sides
from hipmr_hf.layout import SETTINGS_FILE


@pytest.mark.parametrize(
    ("name", "cases"),
    [
        ("read_image", 900),
        ("foreign_parts", 400),
        ("encryption_config.json", 400),
        ("key file", 300),
        ("notes of a run", 200),
        ("nonce and key", 300),
    ],
)
def test_damaged_files_give_what_was_asked_for_or_a_documented_error(name, cases):
    outcome = fuzz.fuzz(name, fuzz.targets()[name], range(cases))
    assert outcome.cases == cases
    assert outcome.findings == [] and outcome.quotes_on_stderr == 0
    assert 0 < outcome.counts["refused"] < cases  # the damage is neither harmless nor too much


def fuzz_a_fault(monkeypatch, fault):
    """Fuzz something that has a fault at case 3 of 6."""
    monkeypatch.setattr(fuzz, "CASE_SECONDS", 0.2)

    def check(case: int) -> str:
        if case == 3:
            fault()
        return "read"

    cases = iter(range(6))
    target = fuzz.Target(lambda chance: next(cases), check, "ValueError", 1.0)
    return fuzz.fuzz("faulty", lambda: target, range(6))


def _busy() -> None:
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (lambda: {}["missing"], "KeyError"),
        (lambda: __import__("ctypes").string_at(0), "ended the process"),
        (lambda: time.sleep(60), "hung"),
        (_busy, "took 0.3 seconds"),
        (lambda: bytearray(300 * 2**20), "took 300 MiB"),
    ],
    ids=["error", "crash", "hang", "slow", "large"],
)
def test_a_fault_is_found_and_the_other_cases_still_run(monkeypatch, fault, problem):
    if problem == "hung":
        monkeypatch.setattr(fuzz, "HANGING_SECONDS", 2.0)
    outcome = fuzz_a_fault(monkeypatch, fault)
    assert {finding["case"] for finding in outcome.findings} == {3}
    assert any(problem in finding["problem"] for finding in outcome.findings)


def test_what_the_parent_has_mapped_does_not_count(monkeypatch):
    """The tests' own process maps gigabytes by the time that it comes here."""
    with mmap.mmap(-1, 5 * 2**30):
        outcome = fuzz_a_fault(monkeypatch, lambda: bytearray(300 * 2**20))
    assert any("took 300 MiB" in finding["problem"] for finding in outcome.findings)


def test_a_case_can_be_had_again_from_its_number():
    first, again = (pictures.DamagedPictures(("PNG",))(random.Random("0/read_image/7")) for _ in range(2))
    assert first == again


def test_mutated_pngs_come_past_their_check_sums():
    file = pictures.valid_files()["PNG"][4]
    wrong = bytearray(file)
    wrong[41] ^= 0xFF
    assert mutations.mend_sums(bytes(wrong)) != bytes(wrong)
    assert mutations.mend_sums(file) == file


# What the fuzz found.


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 5000, '{"format_version": ' + "[" * 950 + "]" * 950]
)
def test_settings_nested_too_deeply_are_refused(tmp_path, text):
    (tmp_path / SETTINGS_FILE).write_text(text)
    with pytest.raises((TypeError, ValueError), match=r"not valid JSON|format_version"):
        Encryption.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomShuffling(image_size=10**400, patch_size=1),
        lambda: RandomShuffling(image_size=10**9, patch_size=1, drop_ratio=0.5),
        lambda: MixingUp(patch_size=10**400, sub_patch_grid=2),
        lambda: MixingUp(image_size=Sides(shorter=10**400)),
        lambda: Sides(shorter=800, longer=10**400),
    ],
)
def test_sizes_that_no_image_has_are_refused(make):
    with pytest.raises(ValueError, match="<= 65535"):
        make()


def test_the_largest_settings_answer_at_once():
    settings = RandomShuffling(image_size=(362, 362), patch_size=1, drop_ratio=0.3)
    begun = time.process_time()
    assert settings.encrypted_size[0] * settings.encrypted_size[1] == settings.num_patches
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("text", ["", "[]", "3", "null", "[" * 100_000, "\x00", '"john"'])
def test_damaged_notes_of_a_run_are_refused_and_its_rows_kept(tmp_path, text):
    folder = place_of(tmp_path / "out")
    folder.mkdir()
    (folder / "job.json").write_text(text)
    (folder / "00000000.parquet").touch()
    with (
        pytest.raises(ValueError, match=r"job\.json is damaged.*start anew"),
        unfinished_folder(tmp_path / "out", {"release": "1"}),
    ):
        raise AssertionError("the run went on")
    assert (folder / "00000000.parquet").exists()
