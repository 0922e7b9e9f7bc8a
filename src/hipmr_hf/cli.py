"""The `hipmr` command: reads arguments, runs one of `commands`, and turns bad input into one line."""

import argparse
import contextlib
import os
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import NoReturn

from .commands import COMMANDS, load
from .errors import UserError, told_of_hub
from .layout import __version__

_INTERRUPTED, _NO_READER = 130, 141
_BAD_INPUT = 2
_OUR_MISTAKE = 1


# What systems and terminals end a program with; it then cleans up as it does when interrupted.
_ENDINGS = ("SIGTERM", "SIGHUP")


class _Ended(BaseException):
    """A signal that ends the program."""


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
    import difflib

    flag = word.partition("=")[0]
    close = difflib.get_close_matches(flag.replace("_", "-"), parser._option_string_actions, n=1)
    return f"unrecognized argument {flag}" + (f", did you mean {close[0]}?" if close else "")


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Build the parser of `hipmr`; only the command that will run is imported.

    Args:
        command: the one whose arguments are declared, if it is known.

    Example:

        >>> build_parser("keygen").parse_args(["keygen", "my.key"]).key_file
        'my.key'
    """
    parser = _Parser(
        prog="hipmr",
        description="Encrypt image datasets so that people cannot read them and vision transformers can.",
        epilog="This is perceptual encryption: see the project's README for what it does not protect.",
    )
    parser.add_argument("--version", action="version", version=f"hipmr-hf {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND")
    for name, help_ in COMMANDS.items():
        module = load(name) if name == command else None
        subparser = subparsers.add_parser(
            name,
            help=help_,
            description=help_,
            epilog=getattr(module, "EPILOG", None),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if module is not None:
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run, parser=subparser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `hipmr`.

    Args:
        arguments: what stands behind `hipmr`; None for those of the process.

    Returns:
        0; 1 where a check found something, or after a mistake of the program itself, with its traceback; 2
        for bad input or a Hub that refuses it or breaks off, with one line on the standard error; 130 when
        interrupted, 143 when terminated, after what is half done was cleared away; 141 when nobody reads the
        standard output any more, as behind `head`.

    Example:

        >>> main(["decrypt", "missing", "--key-file", "a.key", "--output-dir", "plain"])
        2
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = build_parser(next((word for word in arguments if word in COMMANDS), None))
    try:
        options = parser.parse_args(arguments)
    except SystemExit as exit_:  # argparse has printed; in a process of its own the code is the same
        return int(exit_.code or 0)
    if not hasattr(options, "run"):
        parser.print_help()
        return 0
    try:
        with _signals_raise():
            code = options.run(options) or 0
            sys.stdout.flush()
            return code
    except KeyboardInterrupt:
        print("hipmr: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except _Ended as ended:
        print(f"hipmr: ended by {signal.Signals(ended.args[0]).name}", file=sys.stderr)
        return 128 + ended.args[0]
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            return _NO_READER
        told = error if _is_bad_input(error) else told_of_hub("the Hub", error)
        if told is not None:
            print(f"hipmr: error: {' '.join(str(told).split()) or type(told).__name__}", file=sys.stderr)
            return _BAD_INPUT
        import traceback

        traceback.print_exc()
        print(
            "hipmr: this is a mistake of the program. Please report it, with the lines above (take out what "
            "is private) and what `hipmr env` prints.",
            file=sys.stderr,
        )
        return _OUR_MISTAKE


def _reader_is_gone() -> bool:
    try:
        output = sys.stdout.fileno()
        pipe = select.poll()
        pipe.register(output, 0)
        gone = any(event & select.POLLERR for _, event in pipe.poll(0))
    except (AttributeError, OSError):  # no such call on this system, or no file
        return False
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)  # else the last flush fails as well
    return gone


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """Have the signals that end a program raise instead, so that nothing plain is left half done."""
    process, before = os.getpid(), {}

    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() == process:
            raise _Ended(number)
        signal.signal(number, signal.SIG_DFL)  # a worker, which was forked with this handler
        os.kill(os.getpid(), number)

    for name in _ENDINGS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # not under nohup
            with contextlib.suppress(ValueError):  # not the main thread
                before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_bad_input(error: Exception) -> bool:
    """Whether an error tells the user what to do: one of ours, or the system's about a file."""
    return isinstance(error, UserError) or (isinstance(error, OSError) and error.filename is not None)
