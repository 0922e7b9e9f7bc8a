"""Open plain pictures wherever they lie, understand how they are laid out, and account for every file."""

import contextlib
import dataclasses
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..column_types.features import Features
from ..column_types.kinds import Image
from ..errors import InputValueError, MissingFileError, UserError, hub_told
from .sources.account import Account, account_of
from .sources.annotations import is_coco, is_voc, list_coco, list_voc, list_yolo
from .sources.folders import list_folders
from .sources.kinds import is_hidden, is_picture
from .sources.labels import with_labels
from .sources.listing import Listing, SourceOptions
from .sources.masks import has_masks, list_masks
from .sources.parquet_files import files_by_split
from .sources.splits import ListedSplit, ParquetSplit, Split
from .sources.tables import METADATA_FILES, list_tables
from .sources.tree import ARCHIVE_SUFFIXES, FolderTree, Tree, files_identity, open_tree
from .sources.webdataset import Shards, is_webdataset, list_webdataset

_TABLES = (".csv", ".tsv")
# Layouts in which folders are no splits.
_TELL_SPLITS = ("COCO", "YOLO", "Pascal VOC", "WebDataset", "one picture")
_UNDERSTOOD = (
    "a folder of pictures, folders of classes or splits, metadata.csv, a CSV of paths, COCO, YOLO, Pascal "
    "VOC, WebDataset, Parquet, a zip or tar of these, or a Hub dataset"
)


@dataclasses.dataclass(frozen=True)
class PlainSource:
    """Plain rows to be encrypted.

    Args:
        splits: by name.
        identity: hash of the names, sizes and times of the files, or the Hub's commit; it changes with the
            rows and tells nothing about them.
        layout: what the source was taken for, in words.
        account: what is known of its files before any picture is read.
    """

    splits: Mapping[str, Split]
    identity: str
    layout: str
    account: Account

    @property
    def total_rows(self) -> int | None:
        """Rows of all splits; None where only reading them would tell."""
        counts = [split.num_rows for split in self.splits.values()]
        return None if None in counts else sum(counts)

    def told(self) -> str:
        """Say what was found, in one line.

        Example:

            >>> PlainSource({}, "", "class folders", Account()).told()
            'class folders: 0 splits, 0 pictures'
        """
        first = next(iter(self.splits.values()), None)
        label = first.features.get("label") if first is not None else None
        names = getattr(getattr(label, "feature", label), "names", None)  # of a list, what it holds
        count = len(self.splits)
        said = [
            f"{count} split{'s' if count != 1 else ''}" + (f" ({', '.join(self.splits)})" if count else "")
        ]
        said += [f"{len(names)} classes"] if names else []
        said += ["objects"] if first is not None and "objects" in first.features else []
        said += ["pictures not counted" if self.total_rows is None else f"{self.total_rows:,} pictures"]
        return f"{self.layout}: {', '.join(said)}"


class DamagedSourceError(InputValueError):
    """A part of the source that cannot be read.

    Args:
        reason: the reader's.
        place: what was being read.
    """

    def __init__(self, reason: str, place: str) -> None:
        super().__init__(reason, place)

    def __str__(self) -> str:
        reason, place = self.args
        return f"source: {place} cannot be read ({reason}); mend or replace that file."

    def in_split(self, split: str, row: int) -> "DamagedSourceError":
        """Return the same error, which tells the row that it was met at."""
        return DamagedSourceError(self.args[0], f"{split}, from row {row} (counted from 0) on,")


@contextlib.contextmanager
def damage_told(place: str) -> Iterator[None]:
    """Tell what cannot be read, and what to do, instead of the reader's error alone.

    Args:
        place: what is being read.

    Raises:
        DamagedSourceError: the reader found damage, or the file is out of reach.

    Example:

        >>> with damage_told("train, file 3,"):
        ...     raise OSError("Input/output error")
        Traceback (most recent call last):
        hipmr_hf.dataset.source.DamagedSourceError: source: train, file 3, cannot be read (...); mend or ...
    """
    try:
        yield
    except UserError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise DamagedSourceError(str(error).strip(), place) from error


@contextlib.contextmanager
def without_torch() -> Iterator[None]:
    """Keep `datasets` from importing torch, which it does for every stream to look for its data loader.

    It takes seconds and hundreds of megabytes, and nobody needs it here. Where torch is imported already,
    nothing is changed.
    """
    if "datasets" not in sys.modules:  # nobody has a stream
        yield
        return
    import datasets

    available = datasets.config.TORCH_AVAILABLE
    datasets.config.TORCH_AVAILABLE = available and "torch" in sys.modules
    try:
        yield
    finally:
        datasets.config.TORCH_AVAILABLE = available


def open_source(places: Sequence[str], options: SourceOptions | None = None) -> PlainSource:
    """Open a folder, an archive, tables, annotations, Parquet files or a Hub dataset.

    No picture is read, and nothing is written.

    Args:
        places: one folder, file or Hub repository, or any number of Parquet or tar files.
        options: how it is to be read, where that is said outright.

    Raises:
        InputValueError: it is not understood, or some of its pictures would be lost.
        MissingFileError: there is no such file or folder, nor a repository of that name.

    Example:

        >>> import tempfile, PIL.Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> for label in ("cat", "dog"):
        ...     (folder / label).mkdir()
        ...     PIL.Image.new("RGB", (8, 8)).save(folder / label / "1.png")
        >>> open_source([str(folder)]).told()
        'class folders: 1 split (train), 2 classes, 2 pictures'
    """
    options = options or SourceOptions()
    source = _opened(places, options)
    with damage_told(f"the column {options.labels!r}"):
        splits = with_labels(source.splits, options.labels, source.layout)
    return dataclasses.replace(source, splits=splits)


def _opened(places: Sequence[str], options: SourceOptions) -> PlainSource:
    paths = [Path(place) for place in places]
    if all(path.is_file() and path.suffix.lower() == ".parquet" for path in paths):
        return _parquet(paths, options)
    if all(path.is_file() and _is_archive(path) for path in paths):
        shards = Shards(paths) if all(_is_tar(path) for path in paths) else None
        if shards is not None and (len(paths) > 1 or is_webdataset(shards.names)):
            return _listed(shards, list_webdataset(shards), options)
    if len(places) > 1:
        wrong = [str(path) for path in paths if not path.is_file() or path.suffix.lower() != ".parquet"]
        raise InputValueError(
            f"SOURCE: several were given, and {', '.join(wrong)} is no parquet file; give parquet files, tar "
            "files of WebDataset, or one folder, archive or Hub dataset."
        )
    (path,) = paths
    if options.revision is not None and path.exists():
        raise InputValueError(
            f"--revision: got {options.revision!r}, but SOURCE lies on this machine; leave it out."
        )
    if path.is_dir() or (path.is_file() and _is_archive(path)):
        return _open_tree(path, options)
    if path.is_file():
        return _open_file(path, options)
    return _on_the_hub(places[0], options)


def _is_archive(path: Path) -> bool:
    return path.name.lower().endswith(ARCHIVE_SUFFIXES)


def _is_tar(path: Path) -> bool:
    return _is_archive(path) and path.suffix.lower() != ".zip"


def _open_tree(path: Path, options: SourceOptions) -> PlainSource:
    tree = open_tree(path, follow_links=options.follow_links)
    shown = [name for name in tree.names if not is_hidden(name)]
    data = [
        name for name in shown if name.endswith(".parquet") and name.rpartition("/")[2] not in METADATA_FILES
    ]
    pictures = [name for name in shown if name not in data and is_picture(tree, name)]
    if data and not pictures and isinstance(tree, FolderTree):
        return _parquet([path / name for name in data], options, path)
    tars = [name for name in shown if name.endswith(".tar")]
    if tars and not pictures and isinstance(tree, FolderTree):
        shards = Shards([path / name for name in tars])
        return _listed(shards, list_webdataset(shards), options)
    if not pictures:
        seen = sorted({Path(name).suffix or name for name in shown})[:8]
        raise InputValueError(
            f"SOURCE: there is no picture in {path}, but {len(shown)} other files "
            f"({', '.join(seen) or 'none'}); "
            f"understood are {_UNDERSTOOD}."
        )
    return _listed(tree, _list(tree, shown, pictures, options), options)


def _list(tree: Tree, shown: Sequence[str], pictures: Sequence[str], options: SourceOptions) -> Listing:
    """Find the layout of a tree; what describes pictures goes before what their folders may mean."""
    if yolo := [name for name in shown if name.rpartition("/")[2] in ("data.yaml", "data.yml")]:
        return list_yolo(tree, yolo[0], pictures)
    if coco := [name for name in shown if name.endswith(".json") and is_coco(tree, name)]:
        return list_coco(tree, coco, pictures)
    if is_voc(tree, pictures):
        return list_voc(tree, pictures)
    if tables := [name for name in shown if name.rpartition("/")[2] in METADATA_FILES]:
        return list_tables(
            tree, tables, pictures, options, layout=f"pictures with {tables[0].split('/')[-1]}"
        )
    if tables := [name for name in shown if name.endswith(_TABLES) and "/" not in name]:
        return list_tables(tree, tables, pictures, options, layout="pictures with a table of paths")
    return list_masks(pictures, options) if has_masks(pictures) else list_folders(pictures, options)


def _open_file(path: Path, options: SourceOptions) -> PlainSource:
    """Open a table or an annotation by its own name, with what lies beside it; or one picture."""
    suffix = path.suffix.lower()
    tree = FolderTree(path.absolute().parent, follow_links=options.follow_links)
    pictures = [name for name in tree.names if not is_hidden(name) and is_picture(tree, name)]
    if suffix in (*_TABLES, ".jsonl"):
        listing = list_tables(tree, [path.name], pictures, options, layout="pictures with a table of paths")
    elif suffix == ".json" and is_coco(tree, path.name):
        listing = list_coco(tree, [path.name], pictures)
    elif suffix in (".yaml", ".yml"):
        listing = list_yolo(tree, path.name, pictures)
    elif path.name in pictures:
        listing = Listing("one picture", {"train": [(path.name, {})]})
        return _listed(tree, listing, options, only={path.name})
    else:
        raise InputValueError(f"SOURCE: {path} is not understood; expected {_UNDERSTOOD}.")
    return _listed(tree, listing, options)


def _listed(
    tree: Tree, listing: Listing, options: SourceOptions, *, only: set[str] | None = None
) -> PlainSource:
    """Account for every file: a row, or skipped with a reason; a picture that is neither is our mistake."""
    if options.splits == "none":
        listing.rows = {"train": [row for rows in listing.rows.values() for row in rows]}
    elif options.splits == "folders" and listing.layout in _TELL_SPLITS:
        raise InputValueError(
            f"--splits: got folders, but {listing.layout} tells its splits in a way of its own; leave it "
            "out, or say none (all is one)."
        )
    taken = {name for split in listing.rows.values() for name, _ in split}
    names = only or set(tree.names) | set(tree.odd)
    skipped = dict(tree.odd) if only is None else {}
    for name in sorted(names - taken - set(skipped)):
        skipped[name] = listing.skipped.get(name) or ("hidden" if is_hidden(name) else "no picture")
    splits = {
        split: _listed_split(tree, listing, rows, options) for split, rows in listing.rows.items() if rows
    }
    if not splits:
        raise InputValueError(f"SOURCE: as {listing.layout}, it has no row; mend it, or say how it is meant.")
    return PlainSource(splits, tree.identity, listing.layout, account_of(skipped, len(names)))


def _listed_split(
    tree: Tree, listing: Listing, rows: Sequence[tuple[str, dict[str, Any]]], options: SourceOptions
) -> ListedSplit:
    columns = {column: [values[column] for _, values in rows] for column in listing.features}
    features = Features({options.image_column: Image(), **listing.features})
    return ListedSplit(tree, [name for name, _ in rows], columns, features, listing.box_format)


def _parquet(paths: Sequence[Path], options: SourceOptions, root: Path | None = None) -> PlainSource:
    for path in paths:
        with damage_told(str(path)):
            pq.read_metadata(path)
    by_split = files_by_split(paths, options.splits, root)
    splits = {split: ParquetSplit(files, options.picture_columns) for split, files in by_split.items()}
    found = sum(split.num_rows for split in splits.values())
    return PlainSource(splits, files_identity(paths), "Parquet", Account(unit="rows", found=found))


def _on_the_hub(repo_id: str, options: SourceOptions) -> PlainSource:
    import datasets
    from huggingface_hub import HfApi

    from .sources.streams import StreamSplit

    if options.splits is not None:
        raise InputValueError(
            f"--splits: got {options.splits}, but a Hub dataset tells its splits itself; leave it out."
        )
    try:
        with hub_told(f"SOURCE: there is no {repo_id} here, and as a dataset on the Hub"):
            commit = HfApi().dataset_info(repo_id, revision=options.revision).sha
    except MissingFileError as error:
        raise MissingFileError(
            f"SOURCE: {repo_id} is neither a folder or file here, nor a dataset on the Hub that your token "
            "can read; check the path, or log in with `hf auth login`."
        ) from error
    # Whatever `datasets` writes beside a stream (no picture) lies in a folder that goes away.
    with (
        without_torch(),
        tempfile.TemporaryDirectory(prefix="hipmr-") as cache,
        hub_told(f"SOURCE: {repo_id}"),
    ):
        arguments = {"name": options.config_name, "revision": commit, "cache_dir": cache}
        loaded = datasets.load_dataset(repo_id, streaming=True, **arguments)
        splits = {
            str(name): StreamSplit(split, options.picture_columns, repo_id) for name, split in loaded.items()
        }
    counts = [split.num_rows for split in splits.values()]
    found = 0 if None in counts else sum(counts)
    return PlainSource(splits, str(commit), "a Hub dataset", Account(unit="rows", found=found))


def source_path(place: str) -> str:
    """Return a place as workers in other folders find it; what is no file here is a Hub dataset."""
    return os.path.abspath(place) if os.path.exists(place) else place
