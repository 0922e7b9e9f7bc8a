"""What is told of presets is what the benchmarks stored."""

import json

import pytest

from benchmarks.attacks import presets
from benchmarks.harness import pages
from hipmr_hf import Encryption, MixingUp, RandomShuffling
from hipmr_hf.encryption.preset_table import PRESETS
from hipmr_hf.hub import preset_figures

BOTH = {"sub_patch_symmetries": True, "patch_normalization": True}
APART = {"sub_patch_symmetries": True, "shuffle_tones": True}


def test_the_file_and_the_page_hold_what_is_stored():
    figures = presets.collected()
    told = json.loads(preset_figures.PLACE.read_text())
    assert told == {"command": presets.COMMAND, "presets": figures}
    assert pages.told(presets.MARK) == presets.rendered(figures)


def test_every_figure_is_told_with_its_command_and_what_it_was_measured_on():
    for name in PRESETS:
        figures = preset_figures.figures_of(name)
        assert set(figures) <= set(preset_figures.MEASURES) and "linked" in figures
        for measure, figure in figures.items():
            assert 0 <= figure.value <= 1 and figure.command.startswith("python benchmarks/")
            assert (pages.ROOT / figure.command.split()[1]).is_file()
            told = preset_figures.told(name, measure)
            assert figure.said in told and figure.command in told and figure.measured_on in told
    assert preset_figures.told("paper-rs", "weight") == "not measured"


def test_the_worst_of_the_attackers_that_turn_pieces_is_told():
    def run(setting: str, adjacent: float) -> dict:
        images = [{"adjacent": adjacent, "partner": 2 * adjacent, "chance": 0.0187} for _ in range(12)]
        return {"setting": setting, "images": images}

    name = "RS+MI, interval 8, symmetries, tones apart"
    runs = [run(name, 0.051), run(name, 0.058), run(name, 0.04), run("RS+MI", 0.2)]
    found = presets.turned({"command": "python some.py", "runs": runs}, "adjacent")
    assert list(found) == ["classification"]
    figure = preset_figures.Figure(**found["classification"])
    assert figure.told() == ".06 (chance .019; 12 photographs of 224 pixels; python some.py)"
    assert presets.turned({}, "adjacent") == {}


@pytest.mark.parametrize("size", [64, 224, 384])
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_known_at_every_size(name, size):
    assert preset_figures.preset_of(Encryption.from_preset(name, size)) == name


@pytest.mark.parametrize(
    "encryption",
    [RandomShuffling(drop_ratio=0.5), RandomShuffling(sub_patch_grid=2), MixingUp(sub_patch_symmetries=True)],
)
def test_other_settings_are_no_preset(encryption):
    assert preset_figures.preset_of(encryption) is None


def test_a_card_names_a_preset_that_is_strong():
    from hipmr_hf.hub.cards import DatasetFacts, dataset_card

    for name in PRESETS:
        text = dataset_card(DatasetFacts("me/scans", Encryption.from_preset(name), {"train": 3})).text
        assert (f"the preset `{name}`" in text) == (name in ("classification", "dense", "strongest")), name


@pytest.mark.parametrize(
    ("encryption", "preset"),
    [
        (RandomShuffling(), "classification"),
        (RandomShuffling(sub_patch_grid=2, **BOTH), "classification"),
        (RandomShuffling(interval=8, **BOTH), "classification"),
        (RandomShuffling(interval=2, sub_patch_grid=2, **APART), "classification"),
        (RandomShuffling(interval=4, sub_patch_grid=2, **APART), "classification"),
        (RandomShuffling(interval=8, sub_patch_grid=2, **APART), None),
        (RandomShuffling(interval=8, sub_patch_grid=2, **BOTH), None),
        (RandomShuffling(sub_patch_grid=4, **BOTH), None),
        (RandomShuffling(sub_patch_grid=4, shuffle_tones=True), "classification"),
        (MixingUp(), "dense"),
        (MixingUp(shuffle_tones=True), "dense"),
        (MixingUp(**APART), None),
        (MixingUp(**BOTH), None),
    ],
    ids=str,
)
def test_weaker_settings_know_the_preset_that_leaves_less(encryption, preset):
    assert preset_figures.preset_that_leaves_less(encryption) == preset
