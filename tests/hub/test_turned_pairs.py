"""What cards tell of attackers that turn pieces is what the benchmark measured."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.attacks import jigsaw, whole
from benchmarks.attacks.turned import SETTINGS
from benchmarks.harness.results_file import load_results, stored
from hipmr_hf import Encryption, MixingUp, RandomShuffling
from hipmr_hf.encryption.preset_table import PRESETS
from hipmr_hf.hub.limits import what_is_not_protected
from hipmr_hf.hub.turned_pairs import CHANCE, PAIRS, Knobs, pairs_put_together


def test_every_figure_is_the_largest_that_was_measured():
    most: dict[tuple, float] = {}
    runs = load_results(stored("turned"))["runs"] + load_results(stored("whole")).get("runs", [])
    for run in runs:
        one = {**whole.SETTINGS, **SETTINGS}[run["setting"]]
        knobs = Knobs(
            one.interval,
            one.sub_patch_grid,
            one.sub_patch_symmetries,
            one.patch_normalization,
            one.shuffle_tones,
        )
        found = float(np.mean([image["adjacent"] for image in run["images"]]))
        most[knobs] = max(most.get(knobs, 0.0), found)
    assert most.keys() == PAIRS.keys()
    # Where pieces come as they were, a solver that never turns one may find more.
    solved = load_results(stored("jigsaw_attack"), "settings")
    for name, one in jigsaw.SETTINGS.items():
        unturned = isinstance(one, RandomShuffling) and not (one.sub_patch_symmetries or one.drop_ratio)
        if unturned and one.patch_size == 16 and not one.patch_normalization:
            knobs = Knobs(one.interval, one.sub_patch_grid)
            neighbours = float(np.mean([run["scores"]["neighbour"] for run in solved[name]]))
            if knobs in most:
                most[knobs] = max(most[knobs], neighbours)
    # What is put together although pieces were turned can be put together where they were not.
    for knobs in most:
        hiding_more = [
            share for other, share in most.items() if all(a <= b for a, b in zip(knobs, other, strict=True))
        ]
        most[knobs] = max(hiding_more)
    for knobs, share in PAIRS.items():
        assert share == pytest.approx(most[knobs], abs=0.0051), knobs


@given(
    interval=st.sampled_from([0, 4, 8]),
    grid=st.sampled_from([1, 2, 4]),
    symmetries=st.booleans(),
    tones=st.sampled_from([{}, {"shuffle_tones": True}, {"patch_normalization": True}]),
    drop=st.sampled_from([0.0, 0.5]),
)
def test_every_setting_is_told_a_figure_and_more_hiding_never_a_larger_one(
    interval, grid, symmetries, tones, drop
):
    def told(**knobs) -> float:
        return pairs_put_together(RandomShuffling(**{**settings, **knobs}))[0]

    settings = {"interval": interval, "sub_patch_grid": grid, "sub_patch_symmetries": symmetries}
    settings |= {"drop_ratio": drop, **tones}
    assert CHANCE < told() <= PAIRS[Knobs()]
    assert told(sub_patch_symmetries=True) <= told(sub_patch_symmetries=False)
    assert told(sub_patch_grid=4) <= told(sub_patch_grid=2) <= told(sub_patch_grid=1)


@pytest.mark.parametrize("size", [64, 224, 384])
@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset.strategy == "rs"])
def test_presets_were_measured_at_every_size(name, size):
    assert pairs_put_together(Encryption.from_preset(name, size))[1]


def test_cards_tell_the_worst_attacker():
    symmetries = RandomShuffling(sub_patch_symmetries=True)
    assert "so that all of the pairs" in what_is_not_protected(symmetries)[0]
    assert "the preset reversible" in what_is_not_protected(symmetries)[0]
    hardened = RandomShuffling(sub_patch_grid=2, sub_patch_symmetries=True, patch_normalization=True)
    assert "so that .12 of the pairs" in what_is_not_protected(hardened)[0]
    assert (
        "the next weaker settings"
        in what_is_not_protected(RandomShuffling(drop_ratio=0.5, sub_patch_symmetries=True))[0]
    )
    assert "puts back .33 of" in what_is_not_protected(RandomShuffling(sub_patch_grid=2))[0]
    assert "Patches keep their places" in what_is_not_protected(MixingUp())[0]
