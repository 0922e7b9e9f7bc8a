"""The `hipmr` command: reads arguments, runs one of `commands`, and turns bad input into one line."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from . import __version__
from .commands import COMMANDS

_INTERRUPTED = 130
_BAD_INPUT = 2


class _Parser(argparse.ArgumentParser):
    """Tells what is wrong in one line; argparse would print all flags before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(_BAD_INPUT, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of `hipmr` and its commands; imports nothing heavy.

    Example:

        >>> build_parser().parse_args(["keygen", "my.key"]).key_file
        'my.key'
    """
    parser = _Parser(
        prog="hipmr",
        description="Encrypt image datasets so that people cannot read them and vision transformers can.",
        epilog="This is perceptual encryption: see the project's README for what it does not protect.",
    )
    parser.add_argument("--version", action="version", version=f"hipmr-hf {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=command.HELP, description=command.HELP)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `hipmr`.

    Args:
        arguments: what stands behind `hipmr`; None for those of the process.

    Returns:
        0; 1 where a check found something; 2 for bad input or a Hub that refuses it or breaks off, with one
        line on the standard error; 130 when interrupted. An error of the program itself is raised with its
        traceback.

    Example:

        >>> main(["decrypt", "missing", "--key-file", "a.key", "--output-dir", "plain"])
        2
    """
    try:
        options = build_parser().parse_args(arguments)
    except SystemExit as exit_:  # argparse has printed; in a process of its own the code is the same
        return int(exit_.code or 0)
    try:
        return options.run(options) or 0
    except KeyboardInterrupt:
        print("hipmr: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except Exception as error:
        if not _is_bad_input(error):
            raise
        print(f"hipmr: error: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
        return _BAD_INPUT


def _is_bad_input(error: Exception) -> bool:
    """Whether an error tells the user what to do; anything else is a bug and deserves its traceback."""
    if isinstance(error, (ValueError, TypeError, OSError)):
        return True  # errors of the Hub and of the network are OSErrors
    return type(error).__module__.startswith(("huggingface_hub", "datasets", "httpx"))
