"""The search for settings that hold: what is swept, and that the page tells what was measured."""

from benchmarks.attacks import settings_sweep, settings_table
from benchmarks.harness import pages
from benchmarks.harness.results_file import load_results, stored
from hipmr_hf.attacks.jigsaw_whole.attacker import cannot_be_whole


def setting(handcrafted, trained=None, *, chance=0.01, **knobs):
    """A record of the sweep with one top-1 for each of two photographs."""

    def record(found):
        scores = [{"pair_top1": one, "neighbour": chance} for one in found]
        return {
            "runs": [{"scores": one, "chance": {"pair_top1": chance, "neighbour": chance}} for one in scores]
        }

    plain = {"patch_size": 16, "interval": 0, "drop_ratio": 0.0, "sub_patch_grid": 1}
    plain |= {"sub_patch_symmetries": False, "patch_normalization": False}
    made = {"knobs": plain | knobs, "pixels": 16, "kept": 1.0, "handcrafted": record(handcrafted)}
    if trained is not None:
        made["trained"] = record(trained) | {"effort": {"cpu_seconds": 60.0}}
    return made


def test_every_swept_setting_is_valid_and_comes_once():
    made = [settings_sweep.parse_setting(name) for name in settings_sweep.sweep()]

    assert len(made) == len(set(made)) > 50
    assert {one.patch_size for one in made} == {8, 14, 16, 28, 32}
    assert {one.interval for one in made} == {0, 2, 4, 8}
    assert {one.drop_ratio for one in made} == {0.0, 0.25, 0.5, 0.75}
    assert {one.sub_patch_grid for one in made} == {1, 2, 4}


def test_a_setting_holds_only_if_the_trained_attacker_fails_too():
    swept = {"a": setting([0.011, 0.012]), "b": setting([0.011, 0.012], [0.05, 0.07], interval=4)}

    assert "**In none of them" in settings_table.verdict(swept)
    assert "patch 16, interval 4: 6.0 times chance" in settings_table.verdict(swept)

    swept["c"] = setting([0.011, 0.012], [0.012, 0.013], interval=8)

    assert "**patch 16, interval 8 (1.2)**" in settings_table.verdict(swept)


def test_the_table_puts_what_leaks_least_first():
    swept = {"open": setting([0.9, 0.8]), "closed": setting([0.02, 0.03], interval=8)}

    rows = settings_table.sweep_table(swept).splitlines()[2:]

    assert [row.split(" | ")[0] for row in rows] == ["| patch 16, interval 8", "| patch 16"]
    assert rows[1].split(" | ")[4] == "0.850 ± 0.050"


def turning(partner, adjacent):
    """What an attacker that turns pieces found in two photographs."""
    scores = {"partner": partner, "adjacent": adjacent}
    return {"runs": [{"scores": scores, "chance": {"partner": 0.02, "adjacent": 0.02}}] * 2}


def test_where_pieces_are_turned_those_that_turn_them_have_to_fail_too():
    mixed = {"sub_patch_symmetries": True, "sub_patch_grid": 2}
    swept = {"a": setting([0.011, 0.012], [0.012, 0.013], **mixed)}
    assert "No network has been trained yet" in settings_table.verdict(swept)

    swept["a"]["turned"] = turning(0.2, 0.1)
    assert "symmetries: 10.0 times chance" in settings_table.verdict(swept)


def test_whole_turned_patches_meet_both_and_the_worse_is_told():
    swept = {"a": setting([0.011, 0.012], [0.012, 0.013], sub_patch_symmetries=True)}
    swept["a"]["turned"] = turning(0.2, 0.02)
    assert "No network has been trained yet" in settings_table.verdict(swept)

    swept["a"]["whole"] = turning(0.1, 0.9)
    assert "symmetries: 45.0 times chance" in settings_table.verdict(swept)
    row = settings_table.sweep_table(swept).splitlines()[-1]
    assert "| 0.200 ± 0.000 | 0.900 ± 0.000 | 45.0 |" in row


def test_every_setting_with_symmetries_was_attacked_by_all_that_can_turn_its_pieces():
    swept = load_results(stored("settings_sweep"), "settings")
    assert list(swept) == settings_sweep.sweep()
    for name, one in swept.items():
        encryption = settings_sweep.parse_setting(name)
        whole = cannot_be_whole(encryption) is None
        assert ("turned" in one, "whole" in one) == (encryption.sub_patch_symmetries, whole), name
        assert set(settings_table.turning_asked(one["knobs"])) == one.keys() & set(settings_table.TURNING)


def test_the_page_shows_the_measured_sweep():
    swept = load_results(stored("settings_sweep"), "settings")

    assert pages.told("settings_sweep") == settings_table.rendered(swept)
