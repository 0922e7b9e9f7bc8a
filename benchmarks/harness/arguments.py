"""The arguments that most scripts take, with the same names everywhere."""

import argparse
from pathlib import Path

from .pages import ROOT
from .results_file import stored

DATA = ROOT.parent / "shared" / "data"
"""Where the images lie that are measured with; they are not part of this repository."""


def script_parser(
    description: str, *, results: str | None = None, only: str | None = None, report: str | None = None
) -> argparse.ArgumentParser:
    """Return a parser with `--data_dir`, and with more if it is named.

    Args:
        description: the script's docstring.
        results: file that `--results` means by default, without folder and ending.
        only: what `--only` takes names of.
        report: what `--report` does.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", type=Path, default=DATA)
    if results is not None:
        parser.add_argument("--results", type=Path, default=stored(results))
    if only is not None:
        parser.add_argument("--only", nargs="+", help=f"{only}; default all")
    if report is not None:
        parser.add_argument("--report", action="store_true", help=f"only {report}")
    return parser
