"""Write the command of a run so that it can be published with what it made."""

import os
import re
import shlex
from collections.abc import Sequence


def shareable_command(arguments: Sequence[str]) -> str:
    """Write a command so that it can be published: no tokens, no names of this machine's folders.

    Args:
        arguments: as in `sys.argv`.

    Example:

        >>> shareable_command(["/home/me/train.py", "--output_dir", "/data/me/out", "--hub_token", "hf_x"])
        'train.py --output_dir LOCAL'
    """
    shown: list[str] = []
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name.endswith("_token") or name.endswith("-token"):
            if not equals:
                next(words, None)
            continue
        shown.append(f"{name}={_without_local_name(value)}" if equals else _without_local_name(word))
    return shlex.join(shown)


def _without_local_name(word: str) -> str:
    """Keep what is no path of this machine, and the names of scripts and recipes; hide all others."""
    is_path = word.startswith(("/", "~", "./", "../")) or re.match(r"[A-Za-z]:\\", word)
    if not is_path and not os.path.exists(word):
        return word
    name = re.split(r"[\\/]", word.rstrip("\\/"))[-1]
    return name if name.endswith((".py", ".yaml", ".yml")) else "LOCAL"
