"""Which split each of some Parquet files belongs to."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from ...errors import InputValueError
from ...layout import split_of
from .listing import split_name


def files_by_split(
    paths: Sequence[Path], splits: str | None, root: Path | None = None
) -> dict[str, list[Path]]:
    """Group files by split.

    Args:
        paths: of the files.
        splits: "folders", the folder below `root`, or that which a file lies in, is its split; "none", all
            is one; None, as the names of files and folders tell.
        root: the folder that they were found in, if they were not named one by one.

    Raises:
        InputValueError: a folder's name cannot be a split's, or a file lies in no folder.

    Example:

        >>> paths = [Path("data/north/a.parquet"), Path("data/south/test-00000-of-00001.parquet")]
        >>> [list(files_by_split(paths, splits, Path("data"))) for splits in ("folders", "none", None)]
        [['north', 'south'], ['train'], ['train', 'test']]
    """
    found: dict[str, list[Path]] = {}
    for path in paths:
        if splits == "none":
            split = "train"
        else:
            split = _of_name(path) if splits is None else split_name(_folder(path, root))
        found.setdefault(split, []).append(path)
    return found


def _folder(path: Path, root: Path | None) -> str:
    if root is None:
        return path.absolute().parent.name
    if path.parent == root:
        raise InputValueError(
            f"--splits: got folders, but {path.name} lies in no folder of SOURCE; move it into one, or say "
            "--splits none."
        )
    return path.relative_to(root).parts[0]


def _of_name(path: Path) -> str:
    """Return the split that a file's name, or its folder's, tells; else "train"."""
    if named := split_of(path.name):
        return named
    for word in (path.stem.split("-")[0], path.parent.name):
        with contextlib.suppress(InputValueError):
            if split_name(word) != word or word in ("train", "test", "validation"):
                return split_name(word)
    return "train"
