"""Measure speed and memory of everything, print one table and put it into README between its marks.

    python benchmarks/run_all.py [--quick]

Needs no downloads: photographs come with scikit-learn. `--quick` tries every piece at a tiny size and leaves
README and the stored results alone.
"""

import argparse
import importlib
import json
import time
from pathlib import Path

from pages import tell
from timing import RESULTS, machine, save, table

TOPICS = {
    "encryption": "speed_encryption",
    "encoding": "speed_encoding",
    "dataset": "speed_dataset",
    "memory": "memory_dataset",
    "models": "speed_models",
    "training_input": "speed_training_input",
    "attacks": "speed_attacks",
}
MARK = "speed"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that all of it runs")
    parser.add_argument("--only", nargs="+", choices=TOPICS, default=list(TOPICS), help="default: all")
    parser.add_argument("--report", action="store_true", help="only render what was stored last")
    parser.add_argument("--results_dir", type=Path, default=RESULTS, help="where the JSON files go")
    return parser.parse_args()


def measure(topics: list[str], results_dir: Path, *, quick: bool) -> None:
    begun = time.perf_counter()
    for topic in topics:
        start = time.perf_counter()
        rows = importlib.import_module(TOPICS[topic]).measure(quick)
        if quick:  # tiny sizes say nothing about aims
            rows = [{key: line[key] for key in line if key != "aim"} for line in rows]
        save(topic, rows, results_dir)
        print(f"{topic}: {time.perf_counter() - start:.0f} s", flush=True)
    print(f"all: {time.perf_counter() - begun:.0f} s\n")


def report(results_dir: Path) -> str:
    """Render all stored rows as one table, under a line about the machine."""
    rows, machines = [], []
    for topic in TOPICS:
        path = results_dir / f"speed_{topic}.json"
        if path.exists():
            stored = json.loads(path.read_text())
            rows += stored["rows"]
            machines.append(stored["machine"])
    machines = machines or [machine()]
    about, loads = machines[0], sorted({one["load"] for one in machines})
    load = " to ".join(dict.fromkeys(f"{one:g}" for one in (loads[0], loads[-1])))
    versions = ", ".join(
        f"{name} {about[name]}" for name in ("python", "numpy", "pillow", "torch", "transformers")
    )
    where = f"{about['date']}, {about['processor']}, {about['cores']} cores, load {load}; {versions}."
    return f"{where}\n\n{table(rows)}"


def main() -> None:
    args = parse_arguments()
    if args.quick and args.results_dir == RESULTS:
        args.results_dir = RESULTS.parent.parent / "outputs" / "quick_benchmark"
    if not args.report:
        measure(args.only, args.results_dir, quick=args.quick)
    rendered = report(args.results_dir)
    print(rendered)
    if args.results_dir == RESULTS:
        tell(MARK, rendered)


if __name__ == "__main__":
    main()
