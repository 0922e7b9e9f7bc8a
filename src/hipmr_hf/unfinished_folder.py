"""Keep what a run has finished beside its output, until all of it is there."""

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

_JOB = "job.json"


def place_of(output_dir: Path) -> Path:
    """Return the folder that an unfinished run to `output_dir` uses.

    Example:

        >>> place_of(Path("/data/encrypted"))
        PosixPath('/data/.encrypted.unfinished')
    """
    output_dir = output_dir.absolute()
    return output_dir.with_name(f".{output_dir.name}.unfinished")


def check_is_free(output_dir: Path) -> None:
    """Raise FileExistsError unless a folder can be made there, or an unfinished run has made it.

    Example:

        >>> check_is_free(Path("a/folder/that/is/not/there"))
    """
    in_use = output_dir.exists() and (not output_dir.is_dir() or any(output_dir.iterdir()))
    if in_use and not (place_of(output_dir) / _JOB).exists():
        raise FileExistsError(
            f"output_dir: {output_dir} exists and is not an empty folder; name another, or remove it first."
        )


def is_complete(output_dir: Path) -> bool:
    """Whether the output is there: it comes by one rename, so a part of it never is."""
    return output_dir.is_dir() and any(output_dir.iterdir())


@contextlib.contextmanager
def unfinished_folder(output_dir: Path, identity: dict[str, Any]) -> Iterator[Path]:
    """Give a folder that a later run with the same identity finds again, unless this one succeeds.

    After an error before the first piece it goes away too.

    Args:
        output_dir: the folder that is to be made.
        identity: JSON values, equal for runs that may share what is finished.

    Raises:
        ValueError: a run with another identity has left its pieces, or is still at work.
    """
    folder = place_of(output_dir)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(folder):
        _check_identity(folder, identity)
        try:
            yield folder
        except BaseException:  # KeyboardInterrupt too
            if is_complete(output_dir) or any(folder.rglob("*.parquet")):
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


def put_in_place(result: Path, output_dir: Path) -> None:
    """Rename a finished folder to the output."""
    if output_dir.exists():
        output_dir.rmdir()  # it is empty; not every system renames onto an empty folder
    result.rename(output_dir)


def _check_identity(folder: Path, identity: dict[str, Any]) -> None:
    path, beside = folder / _JOB, folder / f"{_JOB}.{os.getpid()}"
    if not path.exists():
        beside.write_text(json.dumps(identity))
        os.replace(beside, path)
        return
    found = _read_identity(path)
    if changed := sorted(name for name in identity if found.get(name) != identity[name]):
        raise ValueError(
            f"output_dir: {folder} holds the rows of an unfinished run with another {', '.join(changed)}; "
            "give the arguments of that run to go on with it, or delete that folder to start anew."
        )


def _read_identity(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(
            f"output_dir: {path} is damaged, so nobody can tell whose rows lie beside it; delete that folder "
            "to start anew."
        )
    return found


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Refuse a second run on the same folder; the lock goes with the process, however it ends."""
    try:
        import fcntl
    except ImportError:  # not on this system
        yield
        return
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file = None
        if file is None:
            raise ValueError(f"output_dir: another run is at work in {folder}; wait for it.")
        yield
