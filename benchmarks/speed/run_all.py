"""Measure speed and memory of everything, print one table and put it into docs/speed.md.

    python benchmarks/speed/run_all.py [--quick]

Needs no downloads: photographs come with scikit-learn. `--quick` tries every piece at a tiny size and leaves
the page and the stored results alone.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness.pages import ROOT, tell
from benchmarks.harness.results_file import RESULTS, load_results
from benchmarks.harness.timing import machine, save, speed_table

TOPICS = (
    "start_up",
    "large_photographs",
    "encryption",
    "encoding",
    "dataset",
    "folder",
    "processes",
    "memory",
    "models",
    "accelerator",
    "training_input",
    "layouts",
    "attacks",
)
MARK = "speed"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that all of it runs")
    parser.add_argument("--only", nargs="+", choices=TOPICS, default=TOPICS, help="default: all")
    parser.add_argument("--photographs", type=int, help="in the folder that is encrypted; default: 2,000")
    parser.add_argument("--report", action="store_true", help="only render what was stored last")
    parser.add_argument("--results_dir", type=Path, default=RESULTS, help="where the JSON files go")
    return parser.parse_args()


def measure(topics: Sequence[str], results_dir: Path, *, quick: bool, photographs: int | None) -> None:
    begun = time.perf_counter()
    for topic in topics:
        start = time.perf_counter()
        options = {"count": photographs} if topic in ("folder", "processes") else {}
        rows = importlib.import_module(f"benchmarks.speed.{topic}").measure(quick, **options)
        if quick:  # tiny sizes say nothing about aims
            rows = [{key: line[key] for key in line if key != "aim"} for line in rows]
        seconds = time.perf_counter() - start
        save(topic, rows, results_dir, seconds=seconds)
        print(f"{topic}: {seconds:.0f} s", flush=True)
    print(f"all: {time.perf_counter() - begun:.0f} s\n")


def report(results_dir: Path) -> str:
    """Render all stored rows as one table, under a line about the machine."""
    measured = [found for topic in TOPICS if (found := load_results(results_dir / f"speed_{topic}.json"))]
    rows = [line for one in measured for line in one["rows"]]
    machines = [one["machine"] for one in measured] or [machine()]
    about, loads = machines[0], sorted({one["load"] for one in machines})
    load = " to ".join(dict.fromkeys(f"{one:g}" for one in (loads[0], loads[-1])))
    versions = ", ".join(
        f"{name} {about[name]}" for name in ("python", "numpy", "pillow", "torch", "transformers")
    )
    dates = sorted(one["date"] for one in machines)
    days = " to ".join(dict.fromkeys((dates[0], dates[-1])))
    minutes = sum(one["seconds"] for one in measured) / 60
    took = f"measured in {minutes:.1f} minutes"
    where = f"{days}, {took}; {about['processor']}, {about['cores']} cores, load {load}; {versions}."
    return f"{where}\n\n{speed_table(rows)}"


def main() -> None:
    args = parse_arguments()
    if args.quick and args.results_dir == RESULTS:
        args.results_dir = ROOT / "outputs" / "quick_benchmark"
    if not args.report:
        measure(args.only, args.results_dir, quick=args.quick, photographs=args.photographs)
    rendered = report(args.results_dir)
    print(rendered)
    if args.results_dir == RESULTS:
        tell(MARK, rendered)


if __name__ == "__main__":
    main()
