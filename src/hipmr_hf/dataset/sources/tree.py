"""Files below one place, a folder or an archive, by their names in it; nothing outside is reached."""

import contextlib
import hashlib
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from ...errors import ImageReadingError, InputValueError
from .kinds import SPLIT_NAMES

MAX_FILE_BYTES = 2**30
"""No picture file is larger; one that says so is a mistake or a trap."""

_FIRST_BYTES = 2**18  # room for them is taken before it is known how many there are

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


class Tree(Protocol):
    """Files below one place.

    Args:
        names: of all files in it, with slashes, sorted.
        odd: files that cannot be read as such, such as broken links, with the reason.
        identity: hash that changes with the files and tells nothing about them.
    """

    names: tuple[str, ...]
    odd: dict[str, str]
    identity: str

    def open(self, name: str) -> IO[bytes]:
        """Open a file."""


def read_file(tree: Tree, name: str, *, limit: int = MAX_FILE_BYTES) -> bytes:
    """Read a file of a tree.

    Raises:
        ImageReadingError: it cannot be opened, or is larger than `limit` bytes; the message holds no name.
    """
    try:
        with tree.open(name) as file:
            content = file.read(_FIRST_BYTES)
            if len(content) == _FIRST_BYTES:
                content += file.read(limit + 1 - _FIRST_BYTES)
    except Exception as error:  # of the file system or of an archive; its text may hold the path
        problem = f"the file of the image cannot be opened ({type(error).__name__})."
    else:
        if len(content) <= limit:
            return content
        problem = f"the file of the image has more than {limit} bytes."
    raise ImageReadingError(problem)  # outside of the except clause, so that the path is not chained to it


def open_tree(place: Path, *, follow_links: bool = False) -> Tree:
    """Open a folder or an archive.

    Args:
        place: a folder, or a file with one of `ARCHIVE_SUFFIXES`.
        follow_links: take what links in a folder point to outside of it.

    Raises:
        InputValueError: links that lead outside and are not to be followed; or a damaged archive.
    """
    if place.is_dir():
        return FolderTree(place, follow_links=follow_links)
    with archive_told(place):
        return _inner(ZipTree(place) if zipfile.is_zipfile(place) else TarTree(place))


@contextlib.contextmanager
def archive_told(place: Path) -> Iterator[None]:
    """Tell in one line that an archive is damaged.

    Raises:
        InputValueError: it cannot be read.
    """
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise InputValueError(
            f"SOURCE: {place} cannot be read as an archive ({type(error).__name__}); mend or replace that "
            "file."
        ) from error


class FolderTree:
    """A folder of this machine."""

    def __init__(self, root: Path, *, follow_links: bool = False) -> None:
        self.root: Path = root
        self._real, self._follow = Path(os.path.realpath(root)), follow_links
        self.odd: dict[str, str] = {}
        self._outside: list[str] = []
        found = sorted(self._walk("", (str(self._real),)))
        if self._outside:
            raise InputValueError(
                f"SOURCE: {len(self._outside)} links in {root} lead outside of it, the first is "
                f"{self._outside[0]}; add --follow-links if you trust who made the folder."
            )
        self.names: tuple[str, ...] = tuple(name for name, _ in found)
        self.identity: str = _hash(f"{root.absolute()}\0{name}\0{state}" for name, state in found)

    def _walk(self, folder: str, above: tuple[str, ...]) -> Iterable[tuple[str, str]]:
        with os.scandir(self.root / folder) as entries:
            for entry in entries:
                name = f"{folder}/{entry.name}" if folder else entry.name
                real = os.path.realpath(entry.path) if entry.is_symlink() else None
                if real is not None and not self._may_follow(name, real):
                    continue
                if entry.is_dir():
                    here = real or os.path.realpath(entry.path)
                    if here in above:
                        self.odd[name] = "a link to a folder that it lies in"
                    else:
                        yield from self._walk(name, (*above, here))
                else:
                    state = entry.stat()
                    if stat.S_ISREG(state.st_mode):
                        yield name, f"{state.st_size}\0{state.st_mtime_ns}"
                    else:
                        self.odd[name] = "no regular file"

    def _may_follow(self, name: str, real: str) -> bool:
        if not os.path.exists(real):
            self.odd[name] = "a broken link"
            return False
        if not self._follow and not Path(real).is_relative_to(self._real):
            self._outside.append(name)
            return False
        return True

    def open(self, name: str) -> IO[bytes]:
        """Open a file."""
        return (self.root / name).open("rb")


class ZipTree:
    """A zip file."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        members = [member for member in self._zip.infolist() if not member.is_dir()]
        self.odd: dict[str, str] = {
            member.filename: "encrypted" for member in members if member.flag_bits & 1
        }
        self.names: tuple[str, ...] = _safe_names(
            path, [member.filename for member in members if not member.flag_bits & 1]
        )
        self.identity: str = _hash([_state(path)])

    def open(self, name: str) -> IO[bytes]:
        """Open a file."""
        return self._zip.open(name)


class TarTree:
    """A tar file; a compressed one is read from its beginning for every part of it."""

    def __init__(self, path: Path) -> None:
        self._tar = tarfile.open(path)  # noqa: SIM115 - open for as long as the tree is
        members = [member for member in self._tar.getmembers() if not member.isdir()]
        self.odd: dict[str, str] = {
            member.name: "a link or a device in an archive" for member in members if not member.isfile()
        }
        self._members = {_plain(member.name): member for member in members if member.isfile()}
        self.names: tuple[str, ...] = _safe_names(
            path, [_plain(member.name) for member in members if member.isfile()]
        )
        self.identity: str = _hash([_state(path)])

    def open(self, name: str) -> IO[bytes]:
        """Open a file."""
        file = self._tar.extractfile(self._members[name])
        if file is None:
            raise FileNotFoundError(name)
        return file


class _Inner:
    """What lies in the one folder of an archive, as most programs pack them."""

    def __init__(self, tree: Tree, folder: str) -> None:
        self._tree, self._folder, self.identity = tree, folder, tree.identity
        self.names = tuple(name.removeprefix(folder) for name in tree.names if name.startswith(folder))
        outside = {name: "hidden" for name in tree.names if not name.startswith(folder)}
        self.odd = {name.removeprefix(folder): reason for name, reason in tree.odd.items()} | outside

    def open(self, name: str) -> IO[bytes]:
        """Open a file."""
        return self._tree.open(self._folder + name)


def _inner(tree: Tree) -> Tree:
    """Pass over a folder that all of an archive lies in, unless it is named like a split."""
    shown = [name for name in tree.names if not name.startswith((".", "__MACOSX/"))]
    tops = {name.partition("/")[0] for name in shown}
    if len(tops) != 1 or not all("/" in name for name in shown) or tops & set(SPLIT_NAMES):
        return tree
    return _Inner(tree, f"{tops.pop()}/")


def _plain(name: str) -> str:
    return name.removeprefix("./")


def _safe_names(path: Path, names: list[str]) -> tuple[str, ...]:
    """Refuse names that lead out of the archive, and two files of one name: only one could be read."""
    for name in names:
        if name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in name:
            raise InputValueError(f"SOURCE: {path} holds a file whose name leads out of it; pack it anew.")
    if len(set(names)) < len(names):
        raise InputValueError(f"SOURCE: {path} holds two files of one name; pack it anew.")
    return tuple(sorted(names))


def _state(path: Path) -> str:
    state = path.stat()
    return f"{path.absolute()}\0{state.st_size}\0{state.st_mtime_ns}"


def _hash(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(os.fsencode(text) + b"\0")
    return digest.hexdigest()


def files_identity(paths: Iterable[Path]) -> str:
    """Hash names, sizes and times of files."""
    return _hash(_state(path) for path in paths)
