"""Keep what a run has finished beside its output, until all of it is there."""

import contextlib
import json
import logging
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InputValueError
from ..files import PRIVATE_FOLDER, check_is_free, is_taken, locked, write_whole

logger: logging.Logger = logging.getLogger(__name__)

_JOB = "job.json"


def place_of(output_dir: Path) -> Path:
    """Return the folder that an unfinished run to `output_dir` uses.

    Example:

        >>> place_of(Path("/data/encrypted"))
        PosixPath('/data/.encrypted.unfinished')
    """
    output_dir = output_dir.absolute()
    return output_dir.with_name(f".{output_dir.name}.unfinished")


def check_is_free_or_unfinished(output_dir: Path) -> None:
    """Raise FileInUseError unless a folder can be made there, or an unfinished run has made it.

    Example:

        >>> check_is_free_or_unfinished(Path("a/folder/that/is/not/there"))
    """
    if not (place_of(output_dir) / _JOB).exists():
        check_is_free(output_dir)


def is_complete(output_dir: Path) -> bool:
    """Whether the output is there: it comes by one rename, so a part of it never is."""
    return output_dir.is_dir() and is_taken(output_dir)


@contextlib.contextmanager
def unfinished_folder(output_dir: Path, identity: dict[str, Any]) -> Iterator[Path]:
    """Give a folder that a later run with the same identity finds again, unless this one succeeds.

    After an error before the first piece it goes away too.

    Args:
        output_dir: the folder that is to be made.
        identity: JSON values, equal for runs that may share what is finished.

    Raises:
        InputValueError: a run with another identity has left its pieces, or is still at work.
    """
    folder = place_of(output_dir)
    folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
    with locked(folder):
        _check_identity(folder, identity)
        try:
            yield folder
        except BaseException:  # KeyboardInterrupt too
            if is_complete(output_dir):
                logger.warning(
                    "The result is whole, and lies in %s; the same command does only what came after that.",
                    output_dir,
                )
            elif any(folder.rglob("*.parquet")):
                logger.warning(
                    "What is finished so far lies in %s; the same command goes on from there.", folder
                )
            else:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove what says whose the folder is last, so that a run that is killed here can still be repeated."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != _JOB:
            path.unlink()
    shutil.rmtree(folder)


def _check_identity(folder: Path, identity: dict[str, Any]) -> None:
    path = folder / _JOB
    state = folder.stat()
    if os.name == "posix" and (state.st_uid != os.getuid() or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        raise InputValueError(
            f"output_dir: {folder} belongs to somebody else or can be written by others, so nobody can tell "
            "whose rows lie in it; delete it, or name another output."
        )
    if not path.exists() and any(folder.rglob("*.parquet")):
        raise InputValueError(
            f"output_dir: {folder} holds rows of a run that nothing is known of; delete it to start anew."
        )
    if not path.exists():
        write_whole(path, json.dumps(identity))
        return
    found = _read_identity(path)
    if changed := sorted(name for name in identity if found.get(name) != identity[name]):
        raise InputValueError(
            f"output_dir: {folder} holds the rows of an unfinished run with another {', '.join(changed)}; "
            "give the arguments of that run to go on with it, or delete that folder to start anew."
        )


def _read_identity(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputValueError(
            f"output_dir: {path} is damaged, so nobody can tell whose rows lie beside it; delete that folder "
            "to start anew."
        )
    return found
