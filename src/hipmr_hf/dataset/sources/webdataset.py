"""WebDataset: tar files in which the files of one sample share a name and stand beside each other."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from ...column_types.features import Features
from ...errors import InputValueError
from .kinds import READABLE_SUFFIXES, is_hidden
from .listing import Listing, split_in
from .tree import TarTree, archive_told, files_identity, read_file

# What stands in a sample beside its picture, and the column that it becomes.
_COLUMNS = {"cls": "label", "cls2": "label2", "txt": "text", "caption": "text", "id": "id"}
_MAX_VALUE_BYTES = 2**22
_READ = "a sample's other file that was read"


class Shards:
    """Tar files as one tree, each a folder of its own."""

    def __init__(self, paths: Iterable[Path]) -> None:
        paths = sorted(paths)
        self._trees = {}
        for path in paths:
            with archive_told(path):
                self._trees[path.name] = TarTree(path)
        if len(self._trees) < len(paths):
            raise InputValueError("SOURCE: two of the tar files have one name; rename one.")
        self.names: tuple[str, ...] = tuple(
            f"{tar}/{name}" for tar, tree in self._trees.items() for name in tree.names
        )
        self.odd: dict[str, str] = {
            f"{tar}/{name}": why for tar, tree in self._trees.items() for name, why in tree.odd.items()
        }
        self.identity: str = files_identity(paths)

    def open(self, name: str) -> IO[bytes]:
        """Open a file."""
        tar, _, inner = name.partition("/")
        return self._trees[tar].open(inner)


def is_webdataset(names: Iterable[str]) -> bool:
    """Whether pictures have companions that share their name, as samples have."""
    kinds: dict[str, set[str]] = {}
    for name in names:
        key, kind = _split(name)
        kinds.setdefault(key, set()).add(kind)
    pictures = [found for found in kinds.values() if any(f".{kind}" in READABLE_SUFFIXES for kind in found)]
    return bool(pictures) and all(len(found) > 1 for found in pictures)


def list_webdataset(tree: Shards) -> Listing:
    """Take the samples of all shards; splits are told by the names of the tar files."""
    samples: dict[str, dict[str, str]] = {}
    skipped = {name: "hidden" for name in tree.names if is_hidden(name)}
    for name in tree.names:
        if name not in skipped:
            key, kind = _split(name)
            samples.setdefault(key, {})[kind] = name
    rows: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for key, files in samples.items():
        pictures = [kind for kind in files if f".{kind}" in READABLE_SUFFIXES]
        if len(pictures) != 1:
            reason = "of a sample with several pictures" if pictures else "of a sample without a picture"
            skipped |= dict.fromkeys(files.values(), reason)
            continue
        image = files.pop(pictures[0])
        values: dict[str, Any] = {}
        for kind, name in files.items():
            values |= _values(tree, kind, name)
            skipped[name] = _READ
        rows.setdefault(split_in(key.partition("/")[0], default="train"), []).append((image, values))
    return Listing("WebDataset", *_typed(rows), skipped=skipped)


def _split(name: str) -> tuple[str, str]:
    folder, _, last = name.rpartition("/")
    stem, _, kind = last.partition(".")
    return f"{folder}/{stem}", kind.lower()


def _values(tree: Shards, kind: str, name: str) -> dict[str, Any]:
    content = read_file(tree, name, limit=_MAX_VALUE_BYTES)
    try:
        text = content.decode().strip()
        if kind == "json":
            told = json.loads(text)
            return told if isinstance(told, dict) else {"json": text}
        if kind in ("cls", "cls2"):
            return {_COLUMNS[kind]: int(text)}
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InputValueError(f"SOURCE: {name} is no {kind} file of WebDataset; mend it.") from error
    return {_COLUMNS.get(kind, kind): text}


def _typed(
    rows: dict[str, list[tuple[str, dict[str, Any]]]],
) -> tuple[dict[str, list[tuple[str, dict[str, Any]]]], dict[str, Any]]:
    """Give every row the same columns, and find their types."""
    values = [found for split in rows.values() for _, found in split]
    names = dict.fromkeys(name for found in values for name in found)
    try:
        table = pa.Table.from_pylist([{name: found.get(name) for name in names} for found in values])
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputValueError(
            f"SOURCE: as WebDataset, samples hold values of several types ({error})."
        ) from error
    features = dict(Features.from_arrow_schema(table.schema))
    complete = {
        split: [(image, {name: found.get(name) for name in features}) for image, found in of_split]
        for split, of_split in rows.items()
    }
    return complete, features
