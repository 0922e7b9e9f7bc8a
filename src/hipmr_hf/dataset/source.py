"""Open plain images as streams of undecoded rows, of which nothing is copied to the disk."""

import contextlib
import dataclasses
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Image, IterableDataset, Value

from ..errors import InputValueError, MissingFileError, UserError, hub_told


@dataclasses.dataclass(frozen=True)
class PlainSource:
    """Plain rows to be encrypted.

    Args:
        splits: a stream for each split, by name.
        num_rows: rows of each split, None where only reading them would tell.
        identity: hash of the names, sizes and times of the files, or the Hub's commit; it changes with the
            rows and tells nothing about them.
        parquet_files: those of the source that lie on this machine, in any order.
    """

    splits: dict[str, IterableDataset]
    num_rows: dict[str, int | None]
    identity: str
    parquet_files: tuple[Path, ...] = ()

    @property
    def total_rows(self) -> int | None:
        """Rows of all splits; None where only reading them would tell."""
        counts = list(self.num_rows.values())
        return None if None in counts else sum(counts)

    def with_small_parts(self) -> "PlainSource":
        """Return the same rows, counted, local Parquet files being read one row group after the other.

        Otherwise Arrow reads a file ahead as fast as it can, and holds all of it in memory if the rows are
        not taken as fast (apache/arrow#39808). From the Hub that stays so: it hides the network's delays.

        Raises:
            ValueError: a Parquet file is damaged.
        """
        if not self.parquet_files:
            return self
        with _damage_named(self.parquet_files):
            splits = {name: split.reshard() for name, split in self.splits.items()}
        num_rows = self.num_rows
        if len(splits) == 1:
            rows = sum(pq.read_metadata(path).num_rows for path in self.parquet_files)
            num_rows = dict.fromkeys(splits, rows)
        return dataclasses.replace(self, splits=splits, num_rows=num_rows)


@contextlib.contextmanager
def open_source(
    source: Sequence[str], *, image_column: str = "image", config_name: str | None = None
) -> Iterator[PlainSource]:
    """Open an image folder, a folder or files of parquet, or a Hub dataset, streaming.

    Whatever `datasets` writes beside it (it writes no picture while streaming) lies in a folder that goes
    away with the context.

    Args:
        source: one folder, one Hub repository (or REPO_ID@REVISION), or any number of parquet files.
        image_column: a column of image files' bytes that does not say so is taken for pictures.
        config_name: configuration of a Hub dataset that has several.

    Raises:
        FileNotFoundError: there is no such file or folder, nor a repository of that name.
        ValueError: there is nothing in it that can be read.

    Example:

        >>> import PIL.Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> for label in ("cat", "dog"):
        ...     (folder / label).mkdir()
        ...     PIL.Image.new("RGB", (8, 8)).save(folder / label / "1.png")
        >>> with open_source([str(folder)]) as plain:
        ...     plain.splits["train"].features["label"].names
        ['cat', 'dog']
    """
    with without_torch(), tempfile.TemporaryDirectory(prefix="hipmr-") as cache:
        arguments, files, identity = _what_to_load(source, config_name)
        parquet_files = tuple(path for path in files if path.suffix == ".parquet")
        with _damage_named(parquet_files):
            loaded = datasets.load_dataset(**arguments, streaming=True, cache_dir=cache)
            splits = {str(name): _with_images(split, image_column) for name, split in loaded.items()}
        num_rows = {name: _num_rows(split) for name, split in splits.items()}
        yield PlainSource(splits, num_rows, identity, parquet_files)


@contextlib.contextmanager
def without_torch() -> Iterator[None]:
    """Keep `datasets` from importing torch, which it does for every stream to look for its data loader.

    It takes seconds and hundreds of megabytes, and nobody needs it here. Where torch is imported already,
    nothing is changed.
    """
    available = datasets.config.TORCH_AVAILABLE
    datasets.config.TORCH_AVAILABLE = available and "torch" in sys.modules
    try:
        yield
    finally:
        datasets.config.TORCH_AVAILABLE = available


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
def _damage_named(files: Sequence[Path]) -> Iterator[None]:
    """Look, after an error of Arrow, for the Parquet file that it does not name."""
    try:
        yield
    except pa.ArrowException:
        for path in files:
            with damage_told(str(path)):
                pq.read_metadata(path)
        raise


def _what_to_load(source: Sequence[str], config_name: str | None) -> tuple[dict, list[Path], str]:
    """Return the arguments of `load_dataset`, the files that lie here, and the source's identity."""
    paths = [Path(place) for place in source]
    if all(path.is_file() and path.suffix == ".parquet" for path in paths):
        return {"path": "parquet", "data_files": [str(path) for path in paths]}, paths, _identity_of(paths)
    if len(source) > 1:
        wrong = [str(path) for path in paths if not (path.is_file() and path.suffix == ".parquet")]
        raise InputValueError(
            f"SOURCE: several were given, and {', '.join(wrong)} is no parquet file; give parquet files, or "
            "one folder, or one Hub dataset."
        )
    if paths[0].is_dir():
        files = sorted(path for path in paths[0].rglob("*") if path.is_file())
        return {"path": str(paths[0])}, files, _identity_of(files)
    arguments, commit = _on_the_hub(source[0], config_name)
    return arguments, [], commit


def _on_the_hub(repo_id: str, config_name: str | None) -> tuple[dict, str]:
    from huggingface_hub import HfApi

    repo_id, _, revision = repo_id.partition("@")  # no name on the Hub has that sign
    if Path(repo_id).exists():
        raise InputValueError(
            f"SOURCE: {repo_id} is neither a folder nor a parquet file; give the folder that it lies in."
        )
    try:
        with hub_told(
            f"SOURCE: there is no folder or parquet file {repo_id} here, and on the Hub, dataset {repo_id}"
        ):
            commit = HfApi().dataset_info(repo_id, revision=revision or None).sha
    except MissingFileError as error:
        raise MissingFileError(
            f"SOURCE: {repo_id} is neither a folder, nor a parquet file, nor a dataset on the Hub that your "
            "token can read; check the path, or log in with `hf auth login`."
        ) from error
    return {"path": repo_id, "name": config_name, "revision": commit}, str(commit)


def _identity_of(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        state = path.stat()
        digest.update(os.fsencode(path.absolute()) + f"\0{state.st_size}\0{state.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def _with_images(split: IterableDataset, image_column: str) -> IterableDataset:
    """Take files' bytes, as other programs write them to parquet, for pictures."""
    if split.features is None:
        split = split._resolve_features()
    feature = split.features.get(image_column)
    is_file = feature == Value("binary") or (isinstance(feature, dict) and "bytes" in feature)
    return split.cast_column(image_column, Image()) if is_file else split


def _num_rows(split: IterableDataset) -> int | None:
    known = (split.info.splits or {}).get(str(split.split))
    return known.num_examples if known is not None and known.num_examples else None
