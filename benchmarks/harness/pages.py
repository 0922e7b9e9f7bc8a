"""Tables that a benchmark writes stand in a page between two marks, so that tests can compare them."""

import argparse
from collections.abc import Callable
from pathlib import Path

from hipmr_hf.files import write_whole

from .results_file import RESULTS, load_results

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"

PAGES = {
    "eurosat_accuracy": "docs/results.md",
    "presets_accuracy": "docs/results.md",
    "embedding_variants": "docs/results.md",
    "cells_accuracy": "docs/results.md",
    "digits_accuracy": "docs/results.md",
    "bccd_detection": "docs/results.md",
    "pretrained": "docs/results.md",
    "digit_masks": "docs/results.md",
    "bccd_masks": "docs/results.md",
    "pretraining": "docs/results.md",
    "two_tokens": "docs/results.md",
    "jigsaw_attack": "docs/attacks.md",
    "neighbour_attack": "docs/attacks.md",
    "trained_attacks": "docs/attacks.md",
    "tones_comb": "docs/attacks.md",
    "membership": "docs/attacks.md",
    "turned": "docs/attacks.md",
    "recognisers": "docs/attacks.md",
    "photographed_faces": "docs/attacks.md",
    "whole": "docs/attacks.md",
    "kinds": "docs/attacks.md",
    "linkage": "docs/linkage.md",
    "presets": "docs/settings.md",
    "frontier": "docs/settings.md",
    "sizes": "docs/settings.md",
    "settings_sweep": "docs/settings.md",
    "speed": "docs/speed.md",
    "images": "docs/scale.md",
    "assets": "docs/audit.md",
    "recipes": "examples/README.md",
    "small-runs": "examples/README.md",
    "costs": "docs/scale.md",
    "costs-jpeg": "docs/scale.md",
    "cores": "docs/scale.md",
    "check": "docs/scale.md",
}
"""Mark -> the page where the table of that name stands."""


def page_of(mark: str) -> Path:
    return ROOT / PAGES[mark]


def _split(mark: str) -> tuple[str, str, str]:
    start, end = f"<!-- {mark}: start -->", f"<!-- {mark}: end -->"
    before, rest = page_of(mark).read_text().split(start)
    inside, after = rest.split(end)
    return before + start, inside.strip(), end + after


def told(mark: str) -> str:
    """Return what stands between the marks of this name."""
    return _split(mark)[1]


def tell(mark: str, text: str) -> None:
    """Replace what stands between the marks of this name."""
    before, _, after = _split(mark)
    write_whole(page_of(mark), f"{before}\n\n{text}\n\n{after}")


def publish(mark: str, text: str, results: Path) -> None:
    """Print tables, and put them into their page if they tell the stored results."""
    print(text, flush=True)
    if results.parent == RESULTS:
        tell(mark, text)


def measure_and_publish(
    mark: str,
    args: argparse.Namespace,
    measure: Callable[[argparse.Namespace], None],
    rendered: Callable[[list[dict]], str],
) -> None:
    """Measure what is missing, unless a report is asked for, and publish the table of all runs.

    Args:
        mark: of the table.
        args: with `results`, `only` and `report` (see `arguments.script_parser`); a part alone, named by
            `only`, is measured without publishing.
        measure: adds runs to the results.
        rendered: makes the table of the results' "runs".
    """
    if not args.report:
        measure(args)
    if args.report or not args.only:
        publish(mark, rendered(load_results(args.results).get("runs", [])), args.results)
