"""The `hipmr` command: reads arguments, runs one of `commands`, and turns bad input into one line."""

import argparse
import difflib
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from .commands import COMMANDS
from .errors import UserError, told_of_hub
from .layout import __version__

_INTERRUPTED = 130
_BAD_INPUT = 2
_OUR_MISTAKE = 1


class _Parser(argparse.ArgumentParser):
    """Tells what is wrong in one line; argparse would print all flags before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(_BAD_INPUT, f"{self.prog}: error: {message} (see {self.prog} --help)\n")

    def parse_args(self, args: Sequence[str] | None = None, namespace: object = None) -> argparse.Namespace:
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            parser = getattr(options, "parser", self)
            parser.error("; ".join(_unknown(word, parser) for word in unknown))
        return options


def _unknown(word: str, parser: argparse.ArgumentParser) -> str:
    """Say what an unknown argument may have been meant to be; the example scripts write underscores."""
    flag = word.partition("=")[0]
    close = difflib.get_close_matches(flag.replace("_", "-"), parser._option_string_actions, n=1)
    return f"unrecognized argument {flag}" + (f", did you mean {close[0]}?" if close else "")


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
    subparsers = parser.add_subparsers(metavar="COMMAND")
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=command.HELP,
            description=command.HELP,
            epilog=getattr(command, "EPILOG", None),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run, parser=subparser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `hipmr`.

    Args:
        arguments: what stands behind `hipmr`; None for those of the process.

    Returns:
        0; 1 where a check found something, or after a mistake of the program itself, with its traceback; 2
        for bad input or a Hub that refuses it or breaks off, with one line on the standard error; 130 when
        interrupted.

    Example:

        >>> main(["decrypt", "missing", "--key-file", "a.key", "--output-dir", "plain"])
        2
    """
    parser = build_parser()
    try:
        options = parser.parse_args(arguments)
    except SystemExit as exit_:  # argparse has printed; in a process of its own the code is the same
        return int(exit_.code or 0)
    if not hasattr(options, "run"):
        parser.print_help()
        return 0
    try:
        return options.run(options) or 0
    except KeyboardInterrupt:
        print("hipmr: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except Exception as error:
        told = error if _is_bad_input(error) else told_of_hub("the Hub", error)
        if told is not None:
            print(f"hipmr: error: {' '.join(str(told).split()) or type(told).__name__}", file=sys.stderr)
            return _BAD_INPUT
        traceback.print_exc()
        print(
            "hipmr: this is a mistake of the program. Please report it, with the lines above (take out what "
            "is private) and what `hipmr env` prints.",
            file=sys.stderr,
        )
        return _OUR_MISTAKE


def _is_bad_input(error: Exception) -> bool:
    """Whether an error tells the user what to do: one of ours, or the system's about a file."""
    return isinstance(error, UserError) or (isinstance(error, OSError) and error.filename is not None)
