"""Every table of the pages is what its benchmark measured, and every script runs by its path."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.accuracy import (
    bccd,
    bccd_masks,
    cells,
    digit_masks,
    digits,
    embedding_variants,
    eurosat,
    presets,
    pretrained,
    pretraining,
    two_tokens,
)
from benchmarks.attacks import (
    frontier,
    jigsaw,
    kinds,
    linkage_table,
    membership_table,
    photographed_faces,
    recognisers_table,
    sizes,
    turned,
    who_learns,
    whole,
)
from benchmarks.harness import pages
from benchmarks.harness.results_file import RESULTS, load_results, save_part, stored
from benchmarks.speed import recipes, small_runs
from hipmr_hf.encryption.preset_table import PRESETS

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(
    path for path in (ROOT / "benchmarks").rglob("*.py") if 'if __name__ == "__main__"' in path.read_text()
)


@pytest.mark.parametrize(
    ("benchmark", "part"),
    [
        (eurosat, None),
        (presets, None),
        (embedding_variants, None),
        (cells, None),
        (digits, None),
        (pretraining, None),
        (pretrained, None),
        (two_tokens, None),
        (bccd, None),
        (digit_masks, None),
        (bccd_masks, None),
        (jigsaw, "settings"),
        (membership_table, None),
        (linkage_table, None),
        (recognisers_table, None),
        (photographed_faces, None),
        (turned, "runs"),
        (whole, "runs"),
        (sizes, "runs"),
        (kinds, "runs"),
    ],
    ids=lambda one: str(one)[-25:],
)
def test_the_page_shows_what_was_measured(benchmark, part):
    assert pages.told(benchmark.MARK) == benchmark.rendered(load_results(stored(benchmark.MARK), part))


def test_the_frontier_is_collected_from_what_was_measured():
    assert pages.told(frontier.MARK) == frontier.rendered(frontier.stored_results())


def test_the_figure_shows_every_preset():
    results = frontier.stored_results()
    drawn = [*frontier.points(results, mixed=False), *frontier.points(results, mixed=True)]
    assert {point.name for point in drawn if point.preset} == set(PRESETS)
    assert all(point.before <= point.worst <= 1 for point in drawn)


def test_the_table_of_who_learns_what_is_made_of_stored_figures():
    assert pages.told(who_learns.MARK) == who_learns.rendered()


@pytest.mark.parametrize("benchmark", [recipes, small_runs], ids=["recipes", "small runs"])
def test_the_examples_costs_are_those_of_what_was_measured(benchmark):
    assert pages.told(benchmark.MARK) == benchmark.rendered()


@pytest.mark.parametrize(
    "script",
    [f"accuracy/{name}" for name in ("eurosat", "bccd", "digit_masks", "digits", "pretrained", "pretraining")]
    + ["attacks/membership"],
)
def test_the_table_of_benchmarks_tells_the_minutes_that_are_stored(script):
    name = Path(script).name
    mark = {"eurosat": eurosat.MARK, "bccd": bccd.MARK, "digits": digits.MARK}.get(name, name)
    runs = load_results(stored(mark))
    if isinstance(runs, dict):  # of membership: several attacks on the same models
        cells = {(one["setting"], one["privacy"]): one["cpu_seconds"] for one in runs["records"]}
        seconds = sum(cells.values())
    else:
        seconds = sum(run["train_seconds" if "train_seconds" in run else "cpu_seconds"] for run in runs)
    table = (ROOT / "benchmarks" / "README.md").read_text()
    (row,) = re.findall(rf"^\| `python benchmarks/{script}\.py.*\| (\d+)\b[^|]*\|$", table, re.MULTILINE)
    assert int(row) == round(seconds / 60)


def test_the_page_of_results_tells_how_long_a_detector_takes():
    minutes = [run["train_seconds"] / 60 for run in load_results(stored(bccd.MARK))]
    told = f"({min(minutes):.0f} to {max(minutes):.0f} minutes of one core a row;"
    assert told in (ROOT / "docs" / "results.md").read_text()


def test_the_solver_was_not_tuned_on_the_photographs_of_the_table():
    """Photographs 0 to 3 were looked at while the jigsaw solver was built."""
    settings = load_results(stored("jigsaw_attack"), "settings")
    images = {name: sorted(run["image"] for run in runs) for name, runs in settings.items()}
    assert all(min(numbers) >= 4 and len(set(numbers)) >= 12 for numbers in images.values())


def test_every_row_of_the_accuracy_table_has_two_seeds_and_one_budget():
    runs = load_results(stored("eurosat_accuracy"))
    for setting in eurosat.SETTINGS:
        seeds = [run["seed"] for run in runs if run["setting"] == setting.name]
        assert len(seeds) == len(set(seeds)) >= 2
    budgets = {(run["epochs"], run["learning_rate"], run["evaluated_on"], *run["extra"]) for run in runs}
    assert len(budgets) == 1


def test_every_mark_stands_once_and_no_table_stands_on_an_unnamed_page():
    found = {
        (mark, str(page.relative_to(ROOT)))
        for page in [ROOT / "README.md", ROOT / "examples" / "README.md", *(ROOT / "docs").rglob("*.md")]
        for mark in re.findall(r"^<!-- ([\w-]+): start -->$", page.read_text(), re.MULTILINE)
    }
    assert found == set(pages.PAGES.items())


def test_only_the_stored_results_are_put_into_a_page(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    monkeypatch.setitem(pages.PAGES, "new", "new.md")
    (tmp_path / "new.md").write_text("Before.\n<!-- new: start -->\nold\n<!-- new: end -->\nAfter.\n")

    pages.publish("new", "tried", tmp_path / "tried.json")
    assert pages.told("new") == "old"
    pages.publish("new", "measured", RESULTS / "new.json")

    assert pages.told("new") == "measured" and capsys.readouterr().out == "tried\nmeasured\n"
    text = (tmp_path / "new.md").read_text()
    assert text.startswith("Before.\n") and text.endswith("\nAfter.\n")


@pytest.mark.parametrize("entries", [{"a": [1], "b": []}, [{"x": 1}, {}], {}, []], ids=str)
def test_what_is_saved_comes_back_a_line_each(tmp_path, entries):
    path = tmp_path / "results" / "some.json"
    assert load_results(path, "runs") == {}

    save_part(path, "runs", entries, command="python some.py", data="some")

    assert load_results(path, "runs") == entries
    assert load_results(path)["command"] == "python some.py"
    assert len(path.read_text().splitlines()) == max(1, len(entries)) + 2


# Runs every script as `python PATH --help` does, in one process, so that heavy modules are imported once.
_RUN_ALL = """
import runpy, sys
usual = list(sys.path)
for script in sys.argv[1:]:
    sys.path[:] = [script.rpartition("/")[0], *usual]
    for name in [name for name in sys.modules if name.partition(".")[0] == "benchmarks"]:
        del sys.modules[name]
    sys.argv = [script, "--help"]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as ended:
        assert ended.code == 0
"""


def test_every_script_runs_by_its_path_from_anywhere_and_names_its_command(tmp_path):
    scripts = [path for path in SCRIPTS if "parse_args" in path.read_text()]
    done = subprocess.run(
        [sys.executable, "-c", _RUN_ALL, *map(str, scripts)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(scripts) >= 10
    for script in SCRIPTS:
        assert f"    python {script.relative_to(ROOT)}" in script.read_text(), script


def test_the_table_of_benchmarks_names_every_script():
    table = (ROOT / "benchmarks" / "README.md").read_text()
    assert [path for path in SCRIPTS if f"`python {path.relative_to(ROOT)}" not in table] == []


def commands_of(script: str) -> dict[str, str]:
    """The commands of a script that README lists for single rows: the minutes that each is said to take."""
    text = (ROOT / "benchmarks" / "README.md").read_text().split("\n## The commands behind single rows\n")[1]
    return dict(re.findall(rf"^\| [^|]* \| `python {script}((?: [^`|]*)?)` \| (\d+) \|$", text, re.MULTILINE))


def seconds_of(run: dict) -> float:
    """Processor seconds of a row of `turned.json`."""
    attacks = sum(image["cpu_seconds"] for image in run["images"])
    return run["fitting_seconds"] + attacks + run.get("network", {}).get("cpu_seconds", 0)


def test_every_stored_row_of_turned_patches_has_its_command_and_minutes(monkeypatch):
    runs, listed = load_results(stored(turned.MARK), "runs"), []
    for flags, minutes in commands_of("benchmarks/attacks/turned.py").items():
        monkeypatch.setattr(sys, "argv", ["turned.py", *shlex.split(flags)])
        args = turned.parse_arguments()
        effort = (args.crops, args.trees, args.models, args.learn)
        made = [(name, *effort) for name in args.only or turned.SETTINGS]
        listed += made
        seconds = sum(seconds_of(run) for run in runs if (run["setting"], *turned.effort_of(run)) in made)
        assert int(minutes) == round(seconds / 60), flags
    assert sorted(listed) == sorted((run["setting"], *turned.effort_of(run)) for run in runs)


def test_every_stored_accuracy_of_presets_has_its_command_and_minutes(monkeypatch):
    runs, listed = load_results(stored(presets.MARK)), []
    for flags, minutes in commands_of("benchmarks/accuracy/presets.py").items():
        monkeypatch.setattr(sys, "argv", ["presets.py", *shlex.split(flags)])
        args = presets.parse_arguments()
        names = args.only or [setting.name for setting in presets.SETTINGS]
        made = [(name, seed, args.epochs, *args.extra) for name in names for seed in args.seeds]
        listed += made
        ours = [run for run in runs if (run["setting"], run["seed"], run["epochs"], *run["extra"]) in made]
        assert int(minutes) == round(sum(run["train_seconds"] for run in ours) / 60), flags
    assert sorted(listed) == sorted(
        (run["setting"], run["seed"], run["epochs"], *run["extra"]) for run in runs
    )
