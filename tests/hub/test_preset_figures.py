"""What is told of presets is what the benchmarks stored."""

import json

import numpy as np
import pytest

from benchmarks.attacks import presets, presets_order
from benchmarks.harness import pages
from benchmarks.harness.results_file import load_results, stored
from hipmr_hf import Encryption, MixingUp, RandomShuffling
from hipmr_hf.encryption.preset_table import PRESETS
from hipmr_hf.hub import preset_figures
from hipmr_hf.hub.limits import what_is_not_protected

BOTH = {"sub_patch_symmetries": True, "patch_normalization": True}
APART = {"sub_patch_symmetries": True, "shuffle_tones": True}


def test_the_file_and_the_page_hold_what_is_stored():
    written = presets.written()
    assert json.loads(preset_figures.PLACE.read_text()) == written
    assert pages.told(presets.MARK) == presets.rendered(written["presets"])


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


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_was_attacked_at_every_size(name):
    figures = preset_figures.figures_by_size(name)
    assert list(figures) == [64, 224, 384]
    told = preset_figures.told_by_size(name)
    for size, figure in figures.items():
        assert f"{size} pixels {figure.said} ({figure.beside})" in told and figure.command in told
        kept = PRESETS[name].strategy == "mi"
        assert figure.beside.startswith("another photograph" if kept else "chance")
    assert preset_figures.told_by_size("no preset") == "not measured"


@pytest.mark.parametrize("name", PRESETS)
def test_a_short_attack_finds_no_more_than_is_told_of_224_pixels(name):
    figures = preset_figures.figures_of(name)
    most = figures["drawn" if PRESETS[name].strategy == "mi" else "adjacent"]
    short = preset_figures.figures_by_size(name)[224].value
    assert short <= most.value + 0.005  # less than two digits tell


def test_the_worst_of_the_attackers_that_turn_pieces_is_told():
    def run(setting: str, adjacent: float) -> dict:
        images = [{"adjacent": adjacent, "partner": 2 * adjacent, "chance": 0.0187} for _ in range(12)]
        return {"setting": setting, "crops": 48, "images": images}

    name = "RS+MI, interval 8, symmetries, tones apart"
    runs = [run(name, 0.051), run(name, 0.058), run(name, 0.04), run("RS+MI", 0.2)]
    found = presets_order.turned({"command": "python some.py", "runs": runs}, "adjacent")
    assert list(found) == ["classification"]
    figure = preset_figures.Figure(**found["classification"])
    assert figure.told() == ".06 (chance .019; 12 photographs of 224 pixels; python some.py)"
    assert presets_order.turned({}, "adjacent") == {}


def test_one_face_of_eight_is_told_to_be_the_same_portrait_wherever_just_one_is():
    looked = load_results(stored("recognisers"))["looked"]
    rows = [one for one in looked if one.get("measure") == "faces_identified" and one["preset"]]
    right = {(one["preset"], one["source"]): np.flatnonzero(one["values"]).tolist() for one in rows}
    just_one = {key: found for key, found in right.items() if len(found) == 1}
    (portrait,) = {found[0] for found in just_one.values()}
    for name in PRESETS:
        said = "the same portrait under every preset with just one" in preset_figures.told(name, "faces")
        assert said == all(found == [portrait] for key, found in right.items() if key[0] == name), name
    figure = preset_figures.figures_of("classification")["faces"]
    assert figure.beside.startswith("one of 8, as encrypted one of 20, the same") and figure.said == ".12"
    told = " ".join(what_is_not_protected(Encryption.from_preset("classification")))
    assert f".12 of the faces ({figure.beside})" in told
    assert f"({figure.beside.split(';')[0]}): 12% of the faces identified" in pages.told("assets")


def test_a_portrait_is_not_told_to_be_the_same_where_others_are_named():
    def row(preset, source, *values):
        return {"preset": preset, "source": source, "values": values}

    rows = [row(None, "plain", 1, 1), row("a", "as it is", 0, 1), row("b", "as it is", 0, 1)]
    assert presets.same_one(rows, "a").startswith("one of 2")
    assert presets.same_one([*rows, row("b", "solver", 1, 0)], "a") == ""
    assert presets.same_one([*rows, row("a", "solver", 1, 1)], "a") == ""
    assert presets.same_one([*rows, row("a", "solver", 0, 0)], "a") == ""


@pytest.mark.parametrize("measure", ["adjacent", "partner"])
def test_no_stored_attacker_that_turns_pieces_found_more_than_is_told(measure):
    compared = set()
    for mark in ("turned", "whole"):
        for run in load_results(stored(mark))["runs"]:
            preset = presets_order.TURNED_ROWS.get(run["setting"])
            if preset is not None:
                found = sum(image[measure] for image in run["images"]) / len(run["images"])
                assert found <= preset_figures.figures_of(preset)[measure].value + 1e-9, (mark, preset)
                compared.add((mark, preset))
    assert {("turned", "reversible"), ("whole", "reversible")} <= compared


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
