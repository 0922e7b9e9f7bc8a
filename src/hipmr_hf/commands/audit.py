"""`hipmr audit`: what an encrypted dataset gives away."""

import argparse

HELP = "Look for leaks in an encrypted dataset or a checkpoint before, or after, it is published."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `hipmr audit` takes."""
    parser.add_argument("target", metavar="DIR", help="Folder, or repository on the Hub.")
    parser.add_argument(
        "--leaks",
        action="store_true",
        required=True,
        help="Inspect the bytes of every file: plain pictures, paths, names, metadata, keys. "
        "Exit code 1 if there is a leak.",
    )
    parser.add_argument(
        "--key-file", metavar="KEY", action="append", default=[], help="A key that must not be in any file."
    )
    parser.add_argument(
        "--repo-type", choices=("dataset", "model"), default="dataset", help="On the Hub. Default: dataset."
    )


def run(options: argparse.Namespace) -> int:
    """Print the report; 1 if there is a leak."""
    from pathlib import Path

    from ..keys import SecretKey
    from ..leak_guard import find_leaks, find_leaks_in_repo

    keys = [SecretKey.load(path) for path in options.key_file]
    if Path(options.target).is_dir():
        report = find_leaks(options.target, keys=keys)
    else:
        report = find_leaks_in_repo(options.target, repo_type=options.repo_type, keys=keys)
    print(report)
    return 1 if report.leaks else 0
