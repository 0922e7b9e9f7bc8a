"""The presets at several sizes: each was met by the attacker that fits it."""

import pytest

from benchmarks.attacks import sizes, sizes_attackers
from benchmarks.harness.results_file import load_results, stored
from hipmr_hf.encryption.preset_table import PRESETS

FITTING = {
    "classification": "turned",
    "dense": "decoder",
    "strongest": "turned",
    "reversible": "whole",
    "paper-rs": "solver",
    "paper-mi": "decoder",
}


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_meets_the_attacker_that_fits_at_every_size(preset):
    runs = [run for run in load_results(stored(sizes.MARK), "runs") if run["preset"] == preset]
    assert sorted(run["size"] for run in runs) == list(sizes.SIZES)
    for run in runs:
        assert run["attacker"] == FITTING[preset]
        assert [one["image"] for one in run["images"]] == list(range(4, 16))


def test_a_decoder_is_trained_as_long_at_every_size():
    runs = [run for run in load_results(stored(sizes.MARK), "runs") if run["attacker"] == "decoder"]
    seconds = [run["training"]["cpu_seconds"] for run in runs]
    assert seconds == pytest.approx([sizes_attackers.TRAINING] * len(runs), rel=0.05)


def test_a_table_without_decoders_has_no_second_part():
    image = {"adjacent": 0.5, "chance": 0.1, "cpu_seconds": 1.0}
    run = {"preset": "paper-rs", "size": 64, "patches": 64, "attacker": "solver", "fitting_seconds": 0.0}
    told = sizes.rendered([{**run, "images": [image] * 2}])
    assert "| `paper-rs` | 64 | 64 | solver | - | 0.500 ± 0.000 | 0.100 | 0 + 1.0 |" in told
    assert "another photograph" not in told
