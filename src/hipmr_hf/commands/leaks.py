"""`hipmr leaks`: what in a dataset or checkpoint must not be published."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .hub_arguments import add_revision, add_token

if TYPE_CHECKING:
    from ..encryption.keys import SecretKey
    from ..leaks.guard import Each, LeakReport

EPILOG = """\
examples:
  hipmr leaks encrypted                            a folder, before it is published
  hipmr leaks encrypted --key-file my.key          and the key's bytes must not be in it
  hipmr leaks me/pevit --repo-type model           what is on the Hub already
  hipmr leaks encrypted --json | jq '.leaks[].place'

Exit code 0: nothing found; 1: leaks; 2: bad input, such as an empty folder.
It finds what it looks for, and is no proof that nothing else is there. More: docs/owner.md"""

_LEAKS = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `hipmr leaks` takes."""
    parser.add_argument(
        "target",
        metavar="PATH_OR_REPO",
        help="Folder of a dataset or checkpoint, one Parquet file, or a repository on the Hub.",
    )
    parser.add_argument(
        "--key-file",
        metavar="KEY",
        action="append",
        default=[],
        help="A key that must not be in any file; several times for several keys.",
    )
    parser.add_argument("--json", action="store_true", help="Print one JSON object, for programs.")
    hub = parser.add_argument_group("on the Hub")
    hub.add_argument("--repo-type", choices=("dataset", "model"), default="dataset", help="Default: dataset.")
    add_revision(hub)
    add_token(hub)


def run(options: argparse.Namespace) -> int:
    """Print what was found; 1 if there is a leak."""
    report = _report(options)
    if options.json:
        import dataclasses
        import json

        print(json.dumps({"target": options.target, **dataclasses.asdict(report)}, indent=2))
    else:
        _tell(options.target, report)
    return _LEAKS if report.leaks else 0


def _report(options: argparse.Namespace) -> "LeakReport":
    from pathlib import Path

    from ..encryption.keys import SecretKey
    from ..errors import MissingFileError, UnreachableError
    from ..leaks.guard import find_leaks, find_leaks_in_repo

    keys = [SecretKey.load(path) for path in options.key_file]
    if Path(options.target).exists():
        return find_leaks(options.target, keys=keys, each=_each(keys))
    if options.target.startswith(("/", ".", "~")) or options.target.count("/") > 1:
        raise MissingFileError(f"PATH_OR_REPO: there is no {options.target}; check the path.")
    asked = {"repo_type": options.repo_type, "revision": options.revision, "token": options.token}
    try:
        return find_leaks_in_repo(options.target, keys=keys, **asked)
    except (MissingFileError, UnreachableError) as error:
        raise type(error)(
            f"PATH_OR_REPO: there is no {options.target} here, and on the Hub, {error}"
        ) from error


def _each(keys: "list[SecretKey]") -> "Each":
    """Look into one item after the other, with a bar."""
    from ..leaks.guard import one_after_the_other
    from ..progress.bars import progress_bar

    def each(function: "Callable[[Any, Sequence[SecretKey]], Any]", items: Sequence[Any]) -> Iterable[Any]:
        found = one_after_the_other(function, items, keys)
        return progress_bar(found, what="Searching for leaks", unit="parts", total=len(items))

    return each


def _tell(target: str, report: "LeakReport") -> None:
    from .summary import Summary, counted

    for leak in report.leaks:
        print(f"LEAK {leak}")
    for remark in report.remarks:
        print(f"note {remark}")
    found = f"{counted(report.num_rows, 'row')}, {counted(len(report.leaks), 'leak')}, "
    summary = Summary(f"Inspected: {target}", [found + counted(len(report.remarks), "note")])
    if report.leaks:
        summary.next_step = "mend these, and ask again; nothing of it should be published before."
    summary.say()
