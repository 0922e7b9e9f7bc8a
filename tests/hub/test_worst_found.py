"""What cards tell of the worst attacker is the most that any benchmark stored."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.attacks import frontier, turned, whole
from benchmarks.attacks import worst_found as collecting
from hipmr_hf import Encryption, MixingUp, RandomShuffling
from hipmr_hf.encryption.preset_table import PRESETS
from hipmr_hf.hub.limits import what_is_not_protected, what_leaves_less
from hipmr_hf.hub.worst_found import EXACTLY, LESS, MORE, PLACE, Found, Knobs, knobs_of, measured, worst_found

APART = {"sub_patch_symmetries": True, "shuffle_tones": True}
NORMALIZED = {"sub_patch_symmetries": True, "patch_normalization": True}


def encryption_of(knobs: Knobs, strategy: str) -> Encryption:
    more = {"interval": knobs.interval, "drop_ratio": knobs.drop} if strategy == "rs" else {}
    return {"rs": RandomShuffling, "mi": MixingUp}[strategy](
        sub_patch_grid=knobs.grid,
        sub_patch_symmetries=knobs.symmetries,
        patch_normalization=knobs.normalization,
        shuffle_tones=knobs.tones_apart,
        **more,
    )


def test_the_file_holds_the_most_of_all_that_is_stored():
    assert PLACE.read_text() == collecting.written(collecting.collected())
    assert json.loads(PLACE.read_text())["command"] == collecting.COMMAND


@pytest.mark.parametrize("part", ["put_together", "drawn"])
def test_no_stored_attacker_found_more_than_cards_tell(part):
    everything = [*collecting.never_turning(), *collecting.turning()]
    stored = everything if part == "put_together" else list(collecting.drawing())
    assert {by for _, by, *_ in stored} >= (
        {"solver", "trained", "turned"} if len(stored) > 20 else {"drawn"}
    )
    for encryption, _, shares, _ in stored:
        if encryption.patch_size == 16:
            assert sum(shares) / len(shares) <= worst_found(encryption).found.share + 1e-5, encryption


@pytest.mark.parametrize("row", frontier.ROWS, ids=lambda row: row.name)
def test_cards_and_the_table_beside_accuracy_tell_the_same(row):
    results = frontier.stored_results()
    found = frontier.drawn(row, results) or (
        frontier.never_turning(row, results) + frontier.turning(row, results)
    )
    encryption = {**turned.SETTINGS, **whole.SETTINGS, **collecting.DRAWN}[row.setting]
    assert worst_found(encryption).found.share == pytest.approx(max(found), abs=1e-5)


@pytest.mark.parametrize(
    ("encryption", "said"),
    [
        (RandomShuffling(), "A jigsaw solver puts back all of the neighbouring patches (chance .005): the"),
        (
            RandomShuffling(sub_patch_grid=2),
            "A jigsaw solver that was trained for the settings puts back .36",
        ),
        (RandomShuffling(interval=4), "trained for the settings puts back .34 of"),
        (RandomShuffling(interval=2), "trained for the settings puts back .69 of"),
        (RandomShuffling(sub_patch_grid=2, patch_normalization=True), "puts back .15 of"),
        (RandomShuffling(sub_patch_grid=2, **NORMALIZED), "so that .12 of the pairs side by side"),
        (
            RandomShuffling(sub_patch_symmetries=True),
            "12 photographs of 224 pixels, measured with the preset",
        ),
        (RandomShuffling(interval=4, drop_ratio=0.5), "fitted to the settings puts back .36 of"),
        (RandomShuffling(patch_normalization=True), "so that .88 of the pairs"),
        (RandomShuffling(drop_ratio=0.5, sub_patch_symmetries=True), "the next weaker settings"),
        (MixingUp(), "has a likeness of .94 (1: the picture; another photograph: .34; 12 photographs"),
        (MixingUp(sub_patch_symmetries=True), "has a likeness of .89 ("),
        (MixingUp(patch_normalization=True), "has a likeness of .74 ("),
        (MixingUp(**NORMALIZED), "has a likeness of .47 ("),
        (MixingUp(**APART), "has a likeness of .37 ("),
        (MixingUp(shuffle_tones=True), "has a likeness of .94 ("),
    ],
    ids=str,
)
def test_the_first_sentence_tells_the_figure(encryption, said):
    assert said in what_is_not_protected(encryption)[0]


@pytest.mark.parametrize("strategy", ["rs", "mi"])
def test_the_sentence_tells_the_share_of_every_setting_that_was_measured(strategy):
    for knobs, own in measured("put_together" if strategy == "rs" else "drawn").items():
        encryption = encryption_of(knobs, strategy)
        assert knobs_of(encryption) == knobs
        worst = worst_found(encryption)
        assert worst.found.share >= own.share and worst.measured_with in (EXACTLY, MORE)
        shown = "all" if worst.found.share >= 0.995 else f"{worst.found.share:.2f}"[1:]
        assert f" {shown} " in what_is_not_protected(encryption)[0]


@given(
    interval=st.sampled_from([0, 4, 8]),
    grid=st.sampled_from([1, 2, 4]),
    symmetries=st.booleans(),
    tones=st.sampled_from([{}, {"shuffle_tones": True}, {"patch_normalization": True}]),
    drop=st.sampled_from([0.0, 0.25, 0.5]),
)
def test_every_setting_is_told_a_figure_and_more_hiding_never_a_larger_one(
    interval, grid, symmetries, tones, drop
):
    def told(**knobs) -> float:
        return worst_found(RandomShuffling(**{**settings, **knobs})).found.share

    settings = {"interval": interval, "sub_patch_grid": grid, "sub_patch_symmetries": symmetries}
    settings |= {"drop_ratio": drop, **tones}
    assert 0.019 < told() <= 1
    assert told(sub_patch_symmetries=True) <= told(sub_patch_symmetries=False)
    assert told(sub_patch_grid=4) <= told(sub_patch_grid=2) <= told(sub_patch_grid=1)


@pytest.mark.parametrize("size", [64, 224, 384])
@pytest.mark.parametrize("name", PRESETS)
def test_presets_were_measured_at_every_size(name, size):
    assert worst_found(Encryption.from_preset(name, size)).measured_with == EXACTLY


def test_settings_that_nobody_measured_are_told_what_weaker_ones_leave():
    plain, apart = worst_found(MixingUp()), worst_found(MixingUp(shuffle_tones=True))
    assert (apart.found, apart.measured_with) == (plain.found, LESS)
    coarse = worst_found(MixingUp(sub_patch_grid=4, **NORMALIZED))
    assert (coarse.found, coarse.measured_with) == (worst_found(MixingUp(**NORMALIZED)).found, LESS)


def test_of_two_rows_the_larger_mean_is_kept_and_of_equal_ones_that_of_more_photographs():
    def row(by: str, *shares: float) -> tuple:
        return RandomShuffling(), by, list(shares), [0.005] * len(shares)

    found = collecting.worst([row("solver", 0.5, 0.7), row("trained", 0.9), row("fitted", 0.9, 0.9)])
    assert found == {Knobs(): Found(0.9, 0.005, 2, "fitted")}
    assert collecting.worst([(RandomShuffling(patch_size=8), "solver", [1.0], [0.0])]) == {}


def test_the_preset_that_leaves_less_is_told_with_its_figure():
    assert what_leaves_less(MixingUp()) == "--preset dense (likeness .37 of what an attacker draws)"
    assert "(.03 of the pairs" in what_leaves_less(RandomShuffling())
