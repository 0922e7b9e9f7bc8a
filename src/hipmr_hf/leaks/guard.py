"""Look into the files that are about to be published, for anything that must not be in them."""

import dataclasses
import functools
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..encryption.base import Encryption
from ..encryption.keys import SecretKey
from ..errors import InputValueError, MissingFileError, UserError, hub_told
from ..layout import CARD_FILE, DATA_FOLDER, ONNX_FILES, SETTINGS_FILE, key_id_in, split_of
from .parquet import FoundInRows, holds_key, inspect_rows, row_groups, schema_leaks

Each = Callable[[Callable[[Any, Sequence[SecretKey]], Any], Sequence[Any]], Iterable[Any]]
"""Calls a function on each of some items and on the keys that must not be in it; yields results in order."""

# What the Hub and its client add to a folder, and says nothing of the data.
_HARMLESS = (".gitattributes", ".gitignore", ".cache/huggingface/")
_TEXT = (".md", ".json", ".txt", ".yaml", ".yml", ".py", ".cff", ".jsonl", ".csv")
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".dcm", ".avif", ".heic")
_KEY_FILE = b"hipmr-hf secret key"
# It begins with plain letters, which are searched for 30 times as fast as a word border is.
_TOKEN = re.compile(rb"hf_(?<=\bhf_)[A-Za-z0-9]{30,}\b")
_LOCAL_PATH = re.compile(rb"(?:/(?:home|Users|root|mnt|tmp|scratch)/|\b[A-Z]:\\Users\\)[^\s\"'`<>)]+")
# Read at once; looked into by one worker; and seen twice, which is more than what is looked for is long.
_READ_BYTES, _PIECE_BYTES, _SHARED_BYTES = 2**24, 2**26, 128


@dataclasses.dataclass(frozen=True)
class Leak:
    """Something that must not be published.

    Args:
        place: file, and column and row where there are such.
        reason: what it is and what to do; never the content itself.
    """

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@dataclasses.dataclass(frozen=True)
class LeakReport:
    """What was found in a folder.

    Args:
        leaks: what must not be published.
        remarks: what may be published, and could identify people: a person must decide.
        num_rows: rows whose every value was looked at.
    """

    leaks: tuple[Leak, ...]
    remarks: tuple[Leak, ...]
    num_rows: int

    def __str__(self) -> str:
        lines = [f"LEAK {leak}" for leak in self.leaks] + [f"note {remark}" for remark in self.remarks]
        return "\n".join(
            [*lines, f"{self.num_rows} rows, {len(self.leaks)} leaks, {len(self.remarks)} notes"]
        )


class LeakError(InputValueError):
    """A folder holds something that must not be published."""


def one_after_the_other(
    function: Callable[[Any, Sequence[SecretKey]], Any], items: Sequence[Any], keys: Sequence[SecretKey]
) -> Iterator[Any]:
    """Look into items in this process, one after the other."""
    return (function(item, keys) for item in items)


def find_leaks(
    folder: str | os.PathLike[str], *, keys: Sequence[SecretKey] = (), each: Each | None = None
) -> LeakReport:
    """Inspect a folder as it would be published: the bytes of every file, every row of every Parquet file.

    Leaks: plain pictures (a second image column, arrays or other bytes, picture files, images of a wrong size
    or whose patches continue each other); paths and file names, in values or metadata; EXIF, ICC, XMP,
    comments, text chunks or trailing bytes in an image; a key or an access token; keyed rows without a nonce,
    or two with one; pickled files, such as Trainer's `training_args.bin`; files that nobody expects. A folder
    without data is taken for a checkpoint. Files that its `.gitignore` keeps off the Hub are named, and are
    no leaks.

    It finds what it looks for, and is no proof that nothing else is there.

    Args:
        folder: of an encrypted dataset or of a checkpoint; or one Parquet file.
        keys: keys whose bytes must not be in any file.
        each: calls a function on many items, with these keys as second argument, such as on a pool; by
            default one after the other.

    Returns:
        Leaks, and remarks on columns that could identify people: free text, unique values, times, class
        names, row order.

    Raises:
        InputValueError: the folder is empty.
        MissingFileError: there is no such folder.

    Example:

        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "john_doe.png").touch()
        >>> print(find_leaks(folder).leaks[0])
        john_doe.png: a picture file beside the data may be plain; remove it.
    """
    folder, each = Path(folder), each or functools.partial(one_after_the_other, keys=keys)
    paths = _files_in(folder)
    kept_at_home = files_kept_at_home(folder, paths)
    published = {name: path for name, path in paths.items() if name not in kept_at_home}
    pieces = [piece for name, path in published.items() for piece in _pieces_of(name, path)]
    found = zip(pieces, each(_inspect_file, pieces), strict=True)
    leaks = [Leak(name, why) for (name, *_), reasons in found for why in reasons]
    remarks = [Leak(name, "stays off the Hub, as .gitignore says.") for name in sorted(kept_at_home)]
    splits = _splits(_readable(published, leaks))
    encryption = _read_settings(folder, leaks) if splits else None
    num_rows, said = 0, dict[tuple[str, str], list[str]]()
    for name, shards in splits.items():
        keyed = _is_keyed(folder)
        leaks += [
            Leak(f"{name}, {at}", why) for shard in shards for at, why in schema_leaks(shard, keyed=keyed)
        ]
        rows = FoundInRows()
        for part in each(inspect_rows, row_groups(shards, encryption)):
            rows.join(part)
        leaks += [Leak(f"{name}, {place}", reason) for place, reason in rows.leaks()]
        for remark in rows.remarks():  # the same column of several splits is worth one
            said.setdefault(remark, []).append(name)
        num_rows += rows.num_rows
    remarks += [Leak(f"{', '.join(names)}, {place}", reason) for (place, reason), names in said.items()]
    return LeakReport(tuple(dict.fromkeys(leaks)), tuple(remarks), num_rows)


def find_leaks_in_repo(
    repo_id: str,
    *,
    repo_type: str = "dataset",
    revision: str | None = None,
    token: str | None = None,
    keys: Sequence[SecretKey] = (),
) -> LeakReport:
    """Download a repository of the Hub into a folder that goes away, and inspect it like `find_leaks`."""
    from huggingface_hub import snapshot_download

    with tempfile.TemporaryDirectory(prefix="hipmr-") as folder:
        with hub_told(f"{repo_type} {repo_id}"):
            snapshot_download(repo_id, repo_type=repo_type, revision=revision, token=token, local_dir=folder)
        return find_leaks(folder, keys=keys)


def check_no_leaks(
    folder: str | os.PathLike[str], *, keys: Sequence[SecretKey] = (), each: Each | None = None
) -> LeakReport:
    """Inspect a folder like `find_leaks`, and refuse it if anything was found.

    Raises:
        LeakError: there is a leak; the message tells the first and how many there are.
    """
    report = find_leaks(folder, keys=keys, each=each)
    if report.leaks:
        raise LeakError(
            f"{folder} must not be published: {report.leaks[0]} ({len(report.leaks)} leaks; "
            f"`hipmr leaks {folder}` lists them)"
        )
    return report


def files_kept_at_home(folder: Path, names: Iterable[str]) -> set[str]:
    """Return the files that a folder's `.gitignore` keeps out of every push from it.

    The Hub's client asks which files of a commit are ignored, and sends none of these. Fewer patterns are
    understood here than there: what is in doubt counts as published.
    """
    ignored = folder / ".gitignore"
    if not ignored.is_file():
        return set()
    patterns = [line for line in ignored.read_text(encoding="utf-8").splitlines() if line.strip()]
    if any(pattern.startswith("!") for pattern in patterns):
        return set()
    from huggingface_hub.utils import filter_repo_objects

    names = list(names)
    return set(names) - set(filter_repo_objects(names, ignore_patterns=patterns))


def _files_in(folder: Path) -> dict[str, Path]:
    if folder.is_file():
        return {folder.name: folder}
    if not folder.is_dir():
        raise MissingFileError(f"folder: {folder} is no folder; give one, or a repository on the Hub.")
    paths = {
        path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()
    }
    if not paths:
        raise InputValueError(
            f"folder: there is no file in {folder}, so there is nothing to inspect; check the path."
        )
    return paths


def _readable(paths: dict[str, Path], leaks: list[Leak]) -> dict[str, Path]:
    """Return the Parquet files that can be opened; what no one can look into must not be published."""
    readable = {}
    for name, path in paths.items():
        if path.suffix != ".parquet":
            continue
        try:
            pq.read_metadata(path)
            readable[name] = path
        except (pa.ArrowException, OSError):
            leaks.append(
                Leak(name, "it is no Parquet file, or a damaged one, so nobody can look into it; remove it.")
            )
    return readable


def _splits(paths: dict[str, Path]) -> dict[str, list[Path]]:
    """Group the parquet files by folder and split; those of other names are a split of their own."""
    splits: dict[str, list[Path]] = {}
    for name, path in paths.items():
        folder, split = name.rpartition("/")[0], split_of(path.name)
        here = folder in ("", DATA_FOLDER)
        group = name if split is None else split if here else f"{folder}/{split}"
        splits.setdefault(group, []).append(path)
    return splits


def _read_settings(folder: Path, leaks: list[Leak]) -> Encryption | None:
    try:
        return Encryption.from_pretrained(folder if folder.is_dir() else folder.parent)
    except MissingFileError:
        reason = "missing, so nothing says that the images are encrypted; encrypt with `hipmr encrypt`."
    except UserError as error:
        reason = f"cannot be read: {error}"
    leaks.append(Leak(SETTINGS_FILE, reason))
    return None


def _is_keyed(folder: Path) -> bool:
    card = folder / CARD_FILE
    return card.is_file() and key_id_in(card.read_text(encoding="utf-8")) is not None


def _pieces_of(name: str, path: Path) -> Iterator[tuple[str, Path, int]]:
    """Cut a file, so that many can look into a large one at a time: its name, itself, where to begin."""
    yield from ((name, path, place) for place in range(0, max(1, path.stat().st_size), _PIECE_BYTES))


def _inspect_file(piece: tuple[str, Path, int], keys: Sequence[SecretKey]) -> list[str]:
    name, path, place = piece
    told = list(_of_kind(name, path)) if place == 0 else []
    return told + list(_in_bytes(path, place, has_text=path.suffix.lower() in (*_TEXT, ".onnx"), keys=keys))


def _of_kind(name: str, path: Path) -> Iterator[str]:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        if not (name.startswith(f"{DATA_FOLDER}/") and split_of(path.name)):
            yield "its name is not that of a shard, and may be the source's; write it with `hipmr encrypt`."
    elif suffix in _PICTURES:
        yield "a picture file beside the data may be plain; remove it."
    elif suffix in _PICKLES:
        yield "a pickled file may hold paths and settings of your machine; remove it."
    elif (
        suffix not in (*_TEXT, ".safetensors")
        and not name.startswith(_HARMLESS)
        and name not in ONNX_FILES.values()
    ):
        yield "nobody expects this file here; remove it."


def _in_bytes(path: Path, place: int, *, has_text: bool, keys: Sequence[SecretKey]) -> Iterator[str]:
    found = set()
    for piece in _overlapping_pieces(path, place):
        if _KEY_FILE in piece or any(holds_key(piece, key) for key in keys):
            found.add("it holds a secret key; remove it, and use another key from now on.")
        if _TOKEN.search(piece):
            found.add("it holds what looks like an access token; remove it, and revoke the token.")
        if has_text and _LOCAL_PATH.search(piece):
            found.add("it holds a path of a local file system; take it out.")
    yield from sorted(found)


def _overlapping_pieces(path: Path, place: int) -> Iterator[bytes]:
    """Read a piece of a file by and by, with some bytes twice, so that nothing hides between two."""
    with path.open("rb") as file:
        file.seek(max(0, place - _SHARED_BYTES))
        left, tail = _PIECE_BYTES + min(place, _SHARED_BYTES), b""
        while read := file.read(min(_READ_BYTES, left)):
            yield tail + read
            tail, left = read[-_SHARED_BYTES:], left - len(read)
