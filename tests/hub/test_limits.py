"""What cards say about limits is what the benchmarks measured, and the pages show the same."""

import pytest

from benchmarks.attacks import linkage_table
from benchmarks.harness import pages
from benchmarks.harness.results_file import load_results, stored
from hipmr_hf.encryption import Encryption, MixingUp, RandomShuffling
from hipmr_hf.encryption.preset_table import PRESETS
from hipmr_hf.encryption.recognisable import size_rule
from hipmr_hf.hub import limits
from hipmr_hf.hub.preset_figures import figures_of

MIXED = {"sub_patch_grid": 2, "sub_patch_symmetries": True, "patch_normalization": True}


@pytest.fixture
def linkage():
    return load_results(stored("linkage"))


def test_linked_crops_are_those_that_were_measured(linkage):
    found = {(one["task"], one["setting"]): one["top1"] for one in linkage["linked"]}
    for row, told in limits.LINKED.items():
        measured = [found[f"same scene, overlap {overlap}", row] for overlap in ("0.5", "0")]
        assert told[1:] == pytest.approx(measured, abs=0.0051), row


def test_as_many_candidates_are_told_as_were_found_under_every_setting(linkage):
    rows = {one["setting"]: one for one in linkage["linked"] if one["task"] == "same picture"}

    assert rows.keys() == limits.LINKED.keys()
    for name, row in rows.items():
        assert row["queries"] == limits.CANDIDATES
        assert limits.LINKED[name].photographs == round(row["top1"] * row["queries"]), name


def test_reusing_a_permutation_was_fatal_and_fresh_ones_were_chance(linkage):
    """The positive control of the key design, as published."""
    many = [one for one in linkage["shared_permutation"] if one["images"] == 100]
    for one in many:
        hardened = "normalization" in one["setting"]
        if one["shared"]:
            assert one["neighbour"] > (4 * one["chance"] if hardened else 0.95), one["setting"]
        else:
            assert one["neighbour"] < one["chance"] + 0.03, one["setting"]


def test_the_page_shows_the_measured_linkage(linkage):
    assert pages.told("linkage") == linkage_table.rendered(linkage)


@pytest.mark.parametrize(
    ("encryption", "row"),
    [
        (RandomShuffling(), "RS"),
        (RandomShuffling(interval=2), "RS, interval of a quarter patch"),
        (RandomShuffling(interval=4, drop_ratio=0.5), "RS, drop .5"),
        (RandomShuffling(sub_patch_grid=2), "RS+MI"),
        (RandomShuffling(**MIXED), "RS+MI, symmetries, normalization"),
        (RandomShuffling(patch_normalization=True), "RS+MI, symmetries, normalization"),
        (MixingUp(), "MI"),
        (MixingUp(**MIXED), "MI, symmetries, normalization"),
        (RandomShuffling(sub_patch_symmetries=True), "RS, symmetries"),
        (MixingUp(sub_patch_symmetries=True, shuffle_tones=True), "MI, symmetries, tones apart"),
        (Encryption.from_preset("strongest"), "RS+MI, grid 4, symmetries, normalization"),
        (
            Encryption.from_preset("classification", 64),
            "RS+MI, interval of half a patch, symmetries, tones apart",
        ),
    ],
    ids=str,
)
def test_cards_tell_the_linkage_of_settings_like_theirs(encryption, row):
    said = limits.what_is_not_protected(encryption)
    sentence = next(one for one in said if one.startswith("Pictures of one scene can be linked"))

    assert limits._linkage_row(encryption) == row
    assert all(f"{limits._share(found)} " in sentence for found in limits.LINKED[row][1:])
    assert any(f"{limits.LINKED[row].photographs} of {limits.CANDIDATES} were found" in one for one in said)


@pytest.mark.parametrize("name", PRESETS)
def test_cards_tell_what_is_recognised_and_how_large_it_must_be(name):
    encryption = Encryption.from_preset(name)
    said = " ".join(limits.what_is_not_protected(encryption))

    for kind in ("faces", "words", "scenes"):
        assert f"{figures_of(name)[kind].said} of the {kind} (" in said
    assert size_rule(encryption) in said


def test_cards_of_other_settings_say_that_recognition_was_not_measured():
    said = " ".join(limits.what_is_not_protected(RandomShuffling(interval=2)))

    assert "was not measured for these settings; `hipmr audit` looks. A patch shows whatever fits" in said


@pytest.mark.parametrize(
    ("encryption", "less"),
    [
        (RandomShuffling(), "--preset classification ("),
        (RandomShuffling(**MIXED), "--preset classification ("),
        (MixingUp(), "--preset dense ("),
    ],
)
def test_weaker_settings_name_the_preset_that_leaves_less(encryption, less):
    assert limits.what_leaves_less(encryption).startswith(less)


@pytest.mark.parametrize(
    "encryption", [*map(Encryption.from_preset, ("classification", "dense", "strongest")), MixingUp(**MIXED)]
)
def test_settings_as_strong_as_a_preset_know_none_that_leave_less(encryption):
    assert limits.what_leaves_less(encryption) is None
