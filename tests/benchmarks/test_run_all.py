"""The benchmarks run at a tiny size and say what they mean; nothing here looks at a time."""

import functools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from datasets import Image, load_dataset

from benchmarks.harness import pages, timing
from benchmarks.speed import accelerator, dataset, memory, run_all, start_up

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory) -> tuple[str, Path]:
    """What a quick run of everything prints, and where its results lie."""
    folder, before = tmp_path_factory.mktemp("results"), pages.page_of("speed").read_text()
    command = [sys.executable, "benchmarks/speed/run_all.py", "--quick", "--results_dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert pages.page_of("speed").read_text() == before
    return done.stdout, folder


@pytest.mark.slow
@pytest.mark.parametrize("topic", run_all.TOPICS)
def test_every_topic_runs_and_leaves_the_page_alone(quick_run, topic):
    printed, folder = quick_run
    stored = json.loads((folder / f"speed_{topic}.json").read_text())
    assert stored["rows"] and {"date", "processor", "python"} <= stored["machine"].keys()
    assert all("skipped" in line or line["rate"][0] <= line["rate"][2] for line in stored["rows"])
    assert all(f"| {line['what']} |" in printed for line in stored["rows"])


def test_the_memory_of_the_command_can_be_measured(tmp_path):
    memory.write_plain(tmp_path / "plain.parquet", 4)
    assert memory.peak_here(tmp_path / "plain.parquet", memory.COMMAND) > 10


def test_the_page_shows_what_was_measured():
    assert pages.told("speed") == run_all.report(run_all.RESULTS)


def test_ratios_come_from_the_same_rounds():
    line = timing.row("it", [1.0, 4.0, 2.0], amount=8, unit="x/s", against=("other", [2.0, 8.0, 4.0]))
    assert line["rate"][1] == 4 and line["ratio"] == [2, 2, 2]


def test_a_missed_aim_is_listed_with_its_reason_and_a_met_one_is_not():
    seconds, other = [2.0], ("other", [1.0])
    missed = timing.row("slow", seconds, amount=1, unit="/s", against=other, aim=0.9, reason="because.")
    met = timing.row("fast", seconds, amount=1, unit="/s", against=other, aim=0.5)
    text = timing.speed_table([missed, met, {"what": "other", "skipped": "not installed"}])
    assert "- **slow**, 0.50 instead of at least 0.9: because." in text
    assert "**fast**" not in text and "not measured: not installed" in text


def test_an_aim_within_the_spread_is_said_to_be_there():
    against = ("other", [0.8, 0.9, 1.0, 1.1])
    line = timing.row("near", [1.0] * 4, amount=1, unit="/s", against=against, aim=0.98)
    assert "- **near**, 0.95 instead of at least 0.98: within the spread of the run" in timing.speed_table(
        [line]
    )


def test_every_function_is_called_in_every_round_and_follows_others_each_time():
    calls, repeats = [], 6
    functions = {name: functools.partial(calls.append, name) for name in "abc"}
    seconds = timing.interleaved(functions, repeats=repeats)
    rounds = ["".join(calls[start : start + 3]) for start in range(0, len(calls), 3)]
    assert [len(values) for values in seconds.values()] == [repeats] * 3
    assert {"".join(sorted(one)) for one in rounds} == {"abc"} and len(set(rounds[1:])) > 2


def test_the_pictures_of_the_dataset_are_all_different():
    """Parquet stores equal ones once, which no encryption leaves."""
    plain = dataset.plain_dataset(40).cast_column("image", Image(decode=False))
    assert len({image["bytes"] for image in plain["image"]}) == 40


@pytest.mark.slow
def test_the_pipeline_without_encryption_stores_the_prepared_photographs(tmp_path):
    plain = dataset.plain_dataset(2)
    settings = dataset.NoEncryption(dataset.SIDE, dataset.PATCH)
    dataset.run(plain, settings, "png", tmp_path)
    stored = load_dataset(str(tmp_path / "0"), split="train", cache_dir=str(tmp_path / "cache"))
    for before, after in zip(plain, stored, strict=True):
        np.testing.assert_array_equal(np.asarray(after["image"]), settings.prepare(before["image"]))


def test_an_aim_may_be_for_the_figure_itself():
    seconds = {name: [1.25] for name in start_up.OTHERS} | {"hipmr encrypt, one picture": [0.75]}
    line = start_up.line("hipmr encrypt, one picture", seconds)
    assert line["ratio"][1] == 0.6  # beside the import of datasets, which no aim is set for
    text = timing.speed_table([line])
    assert f"**hipmr encrypt, one picture**, 0.75 instead of at most 0.6 s: {start_up.REASON}" in text
    assert "Aims not met" not in timing.speed_table([{**line, "rate": [0.5] * 3}])


def test_an_accelerator_is_timed_where_there_is_one(monkeypatch, capsys):
    assert accelerator.device() is None or accelerator.device().type != "cpu"
    monkeypatch.setattr(accelerator, "device", lambda: None)
    (line,) = accelerator.measure(quick=True)
    assert line["skipped"] == "no accelerator here" in capsys.readouterr().out


def test_shares_of_an_accelerators_peak_are_counted():
    names = ("ViT, sdpa", "PEViT, eager", "PEViT, sdpa", "symmetries", "PEViT, torch.compile")
    rows = accelerator.table_rows({name: [0.25] for name in names}, "NVIDIA H100 80GB HBM3", 256)
    (share,) = [line["rate"][1] for line in rows if line["what"] == "PEViT, sdpa, share of peak"]
    assert share == pytest.approx(256 * 3 * 9.2e9 / 0.25 / 989e12, rel=0.1)  # 4.6 GMAC, as ViT-S is given
    assert sum(bool(line.get("aim")) for line in rows) == 2


def test_what_is_timed_on_an_accelerator_runs_here_too():
    place = accelerator.torch.device("cpu")
    pixels = accelerator.torch.rand(2, 3, accelerator.SIZE, accelerator.SIZE)
    for model in accelerator.models(layers=1).values():
        accelerator.step(model.train(), pixels, place)()
    accelerator.turned(pixels, place)()
