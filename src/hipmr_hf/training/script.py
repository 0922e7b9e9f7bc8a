"""How every training script reads its command line, and how it ends when its user can mend something."""

import atexit
import difflib
import gc
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
import yaml
from transformers import HfArgumentParser

from ..errors import InputValueError, UserError

_BAD_INPUT = 2
# Seconds that other processes leave to the first to speak; the launcher ends them when it has.
_PATIENCE = 20
# Seconds in which threads that work for several processes get the interpreter, for the last time.
_PARTING = 0.5


class _Parser(HfArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputValueError(f"{message} (--help lists all arguments)")


def parse_arguments(groups: Mapping[str, type], arguments: Sequence[str] | None = None) -> tuple[Any, ...]:
    """Read a command line into dataclasses; a YAML file in first place gives defaults for what follows it.

    Args:
        groups: dataclasses of arguments by the title that `--help` lists them under, in its order.
        arguments: what stands behind the script; None for that of the process.

    Returns:
        An object of each dataclass, in order.

    Raises:
        InputValueError: an argument that is unknown, missing or of another kind, or values that do not fit.

    Example:

        >>> import dataclasses
        >>> @dataclasses.dataclass
        ... class Data:
        ...     train_split: str = "train"
        >>> parse_arguments({"data": Data}, ["--train_split", "all"])[0].train_split
        'all'
        >>> parse_arguments({"data": Data}, ["--train_splits", "all"])
        Traceback (most recent call last):
        hipmr_hf.errors.InputValueError: unknown argument --train_splits, did you mean --train_split? ...
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments and arguments[0].endswith((".yaml", ".yml")):
        arguments = _from_yaml(Path(arguments[0])) + arguments[1:]
    for title, kind in groups.items():
        kind._argument_group_name = title  # by which HfArgumentParser groups its help
    parser = _Parser(tuple(groups.values()))
    try:
        *parsed, unknown = parser.parse_args_into_dataclasses(arguments, return_remaining_strings=True)
    except UserError:
        raise
    except (ValueError, ImportError) as error:  # of TrainingArguments, about values that do not go together
        parser.error(str(error))
    if flags := [word.partition("=")[0] for word in unknown if word.startswith("--")] or unknown:
        parser.error("; ".join(_unknown(flag, parser) for flag in flags))
    return tuple(parsed)


def _from_yaml(recipe: Path) -> list[str]:
    if not recipe.is_file():
        raise InputValueError(f"recipe: there is no file {recipe}; check the path.")
    content = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    return [part for name, value in content.items() for part in (f"--{name}", str(value))]


def _unknown(flag: str, parser: HfArgumentParser) -> str:
    close = difflib.get_close_matches(flag, parser._option_string_actions, n=1)
    return f"unknown argument {flag}" + (f", did you mean {close[0]}?" if close else "")


def run_script(main: Callable[[], object]) -> None:
    """Run a script; what its user can mend ends it in one line and with exit code 2, not in a traceback.

    Of several processes that meet the same error, the first one speaks. One of the others speaks where the
    first has nothing to say, after some seconds. Processes that end well first let go of each other, and then
    leave without shutting the interpreter down: threads of Gloo may still hold tensors, and want it once more
    to drop them; if it shuts down first, the process aborts or hangs, after all its work. Scripts leave that
    to this function, and do not end the group themselves.

    Args:
        main: the script's own.
    """
    try:
        main()
    except UserError as error:
        if os.environ.get("RANK", "0") != "0":
            time.sleep(_PATIENCE)
        print(f"{Path(sys.argv[0]).name}: error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(_BAD_INPUT)
    together = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if together:
        time.sleep(_PARTING)
        gc.collect()  # what the script built holds the group, in circles too
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if together:
        _leave()


def _leave() -> NoReturn:
    """End this process at once, after what was registered for its end."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
