"""Files and folders that appear whole or not at all, places that are free, and what a crash must not tear.

Everything that the project writes for good is written here: beside its place, flushed to the disk, renamed.
"""

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from .errors import FileInUseError, InputValueError

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
# No loader takes a file or folder of this name for data, whatever happens while it is written.
UNFINISHED = ".incomplete"


def beside(path: Path) -> Path:
    """Return a new hidden name on the same file system, for what will be renamed to `path`."""
    path = path.absolute()
    return path.with_name(f".{path.name}{UNFINISHED}-{secrets.token_hex(4)}")


@contextlib.contextmanager
def whole_file(path: Path, *, once: bool = False) -> Iterator[Path]:
    """Give a place to write a file to, which becomes `path` if all goes well, or goes away.

    Args:
        path: an older file of that name is replaced.
        once: keep what is there already; so a file that somebody may be reading never changes, and work that
            two did at the same time counts once.

    Example:

        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "settings.json"
        >>> with whole_file(path) as place:
        ...     _ = place.write_text("{}")
        >>> [found.name for found in path.parent.iterdir()]
        ['settings.json']
    """
    place = beside(path)
    try:
        yield place
        flush(place)
        if once:
            _rename_once(place, path)
        else:
            os.replace(place, path)
        flush(path.absolute().parent)
    finally:
        place.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> Path:
    """Write a file, whole or not at all; text as UTF-8."""
    with whole_file(path) as place:
        place.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _rename_once(place: Path, path: Path) -> None:
    try:
        os.link(place, path)  # fails if it is there
    except FileExistsError:
        pass
    except OSError:  # not every shared file system has links
        os.replace(place, path)


@contextlib.contextmanager
def whole_folder(output_dir: Path, *, private: bool = False) -> Iterator[Path]:
    """Give a folder to fill, which becomes `output_dir` if all goes well, or goes away.

    Args:
        output_dir: does not exist yet, or is an empty folder.
        private: for its owner alone, now and later.

    Raises:
        FileInUseError: there is something already; raised before any work.
    """
    check_is_free(output_dir)
    folder = beside(output_dir)
    folder.mkdir(parents=True, mode=PRIVATE_FOLDER if private else 0o777)
    with _held(folder):
        try:
            yield folder
            put_in_place(folder, output_dir)
        except BaseException:  # KeyboardInterrupt too
            shutil.rmtree(folder, ignore_errors=True)
            raise


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Hold a folder as long as this process lives; tells whether nobody else does."""
    try:
        import fcntl
    except ImportError:  # not on this system
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        free = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            free = False
        yield free
    finally:
        os.close(descriptor)


def remove_rests(parent: Path) -> list[Path]:
    """Remove the private folders that killed runs of this user left unfinished in a folder.

    A folder that a living process still fills stays; so does all on systems that cannot tell.

    Returns:
        What was removed.

    Example:

        >>> import tempfile
        >>> parent = Path(tempfile.mkdtemp())
        >>> beside(parent / "plain").mkdir(mode=PRIVATE_FOLDER)
        >>> [path.name[:18] for path in remove_rests(parent)], list(parent.iterdir())
        (['.plain.incomplete-'], [])
    """
    removed = []
    for path in sorted(parent.glob(f".*{UNFINISHED}-*")):
        state = path.lstat()
        private = stat.S_ISDIR(state.st_mode) and stat.S_IMODE(state.st_mode) == PRIVATE_FOLDER
        if not private or (hasattr(os, "getuid") and state.st_uid != os.getuid()):
            continue
        with _held(path) as free:
            if free:
                shutil.rmtree(path)
                removed.append(path)
    return removed


def put_in_place(result: Path, output_dir: Path) -> None:
    """Flush a finished folder to the disk and rename it to the output, which is free."""
    for path in [*result.rglob("*"), result]:
        flush(path)
    if output_dir.exists():
        output_dir.rmdir()  # it is empty; not every system renames onto an empty folder
    result.rename(output_dir)
    flush(output_dir.absolute().parent)


def flush(path: Path) -> None:
    """Have the system write a file, or a folder's list of names, to the disk."""
    if path.is_dir() and os.name != "posix":
        return  # other systems cannot open folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_taken(output_dir: Path) -> bool:
    """Whether something is there already: a file, or a folder that is not empty."""
    return output_dir.exists() and (not output_dir.is_dir() or any(output_dir.iterdir()))


def check_is_free(output_dir: Path) -> None:
    """Refuse a place where something is already, or that no folder can be renamed to.

    Raises:
        FileInUseError: it is a file, or a folder that is not empty.
        InputValueError: it is the working folder, a link, or the root of a file system.

    Example:

        >>> check_is_free(Path("a/folder/that/is/not/there"))
    """
    fixed = output_dir.is_symlink() or os.path.ismount(output_dir)
    if fixed or output_dir.absolute() == Path.cwd() or not output_dir.name.strip("."):
        raise InputValueError(
            f"output_dir: {output_dir} is a link, a mount or the working folder, which cannot be put in "
            "place whole; name a new folder in it."
        )
    if is_taken(output_dir):
        raise FileInUseError(
            f"output_dir: {output_dir} exists and is not an empty folder; name another, or remove it first."
        )


def new_private_file(path: str | os.PathLike[str], content: str) -> None:
    """Write a new file that only its owner can read.

    Raises:
        FileExistsError: something is there already; it is never overwritten.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Refuse a second run on the same folder; the lock goes with the process, however it ends.

    Raises:
        InputValueError: another run holds it.
    """
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
            raise InputValueError(f"output_dir: another run is at work in {folder}; wait for it.")
        yield
