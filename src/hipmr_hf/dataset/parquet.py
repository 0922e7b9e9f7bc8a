"""Write an encrypted dataset as a folder that `load_dataset` reads: wholly, or not at all."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from ..column_types.features import Features
from ..errors import InputTypeError, InputValueError
from ..files import UNFINISHED, whole_folder
from ..hub.card_renewal import save_card
from ..hub.cards import card_of_folder
from ..images.reading import read_image
from ..layout import DATA_FOLDER, SPLIT_PATTERN, image_columns, shard_name

if TYPE_CHECKING:
    import datasets

    from ..encryption.base import Encryption
    from ..encryption.keys import SecretKey

MAX_SHARD_BYTES = 500 * 10**6
_READ_ROWS = 32
# A row group is read as a whole: large enough to compress, small enough for a data viewer; larger only if one
# row is. With a hundred rows readers would start sooner (`benchmarks/speed/layouts.py`), but keyed files
# would have other bytes than before.
_ROW_GROUP_BYTES = 32 * 2**20
_ROW_GROUP_ROWS = 1000


def save_encrypted_dataset(
    dataset: datasets.Dataset
    | datasets.DatasetDict
    | datasets.IterableDataset
    | datasets.IterableDatasetDict,
    encryption: Encryption,
    output_dir: str | os.PathLike[str],
    *,
    key: SecretKey | None = None,
    max_shard_size: int | str = "500MB",
) -> Path:
    """Write what `encrypt_dataset` returned to a new folder, for `load_dataset(output_dir)` or the Hub.

    The folder holds `data/{split}-00000-of-0000N.parquet`, `encryption_config.json` and a dataset card. It is
    written beside its place and renamed when it is complete, so a failed or killed run leaves nothing that
    looks finished (after a kill, a hidden folder `.NAME.incomplete-...`, which holds encrypted rows only and
    can be deleted). A streaming dataset is read once, with memory for some rows only.

    Args:
        dataset: with exactly one `Image()` column, all of whose images have bytes and no path.
        encryption: the settings the images were encrypted with.
        output_dir: a folder that does not exist yet or is empty.
        key: the key that they were encrypted with, if any; the card tells its id, never the key.
        max_shard_size: bytes a file, as a number or like "500MB"; a file is larger only if one row group is.

    Returns:
        The path of the folder.

    Raises:
        FileInUseError: output_dir is a file or is not empty (a FileExistsError); raised before any work.
        InputValueError: an image has a path or no bytes, so it did not come from `encrypt_dataset`, or its
            size does not fit the settings; a split has no rows, or a name that cannot be part of a file name.

    Example:

        >>> import tempfile, numpy as np, PIL.Image
        >>> from datasets import Dataset, load_dataset
        >>> from hipmr_hf import MixingUp, encrypt_dataset
        >>> plain = Dataset.from_dict({"image": [PIL.Image.new("RGB", (32, 32))]})
        >>> mixing = MixingUp(patch_size=8)
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     folder = save_encrypted_dataset(encrypt_dataset(plain, mixing), mixing, f"{parent}/encrypted")
        ...     sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))
        ['README.md', 'data/train-00000-of-00001.parquet', 'encryption_config.json']
    """
    from datasets.utils.py_utils import convert_file_size_to_int

    max_bytes = convert_file_size_to_int(max_shard_size)
    if max_bytes < 1:
        raise InputValueError(
            f"max_shard_size: got {max_shard_size!r}, allowed are bytes > 0, or like '500MB'."
        )
    splits, output_dir = _named_splits(dataset), Path(output_dir)
    with whole_folder(output_dir) as folder:
        (folder / DATA_FOLDER).mkdir()
        for name, split in splits.items():
            tables = split.with_format("arrow").iter(batch_size=_READ_ROWS)
            features = Features.from_datasets(split.features)
            _write_split(features, tables, encryption, folder / DATA_FOLDER, name, max_bytes)
        encryption.save_pretrained(folder)
        key_id = None if key is None else key.key_id
        save_card(card_of_folder(folder, encryption, repo_id=output_dir.name, key_id=key_id), folder)
    return output_dir


def write_shard(
    tables: Iterable[pa.Table], features: Features, encryption: Encryption, path: Path, *, shard: str
) -> None:
    """Write one Parquet file of a split as `save_encrypted_dataset` writes it, with the same checks.

    Args:
        tables: the rows, in any number of tables; none make a file without rows.
        features: with exactly one `Image()` column.
        encryption: the settings the images were encrypted with.
        path: where it is written.
        shard: its name, for errors.
    """
    schema = features.arrow_schema
    (image_column,) = image_columns(features)
    with pq.ParquetWriter(path, schema) as writer:
        for group in _row_groups(tables):
            _check_images(group.column(image_column), encryption, shard.split("-")[0])
            writer.write_table(_with_schema(group, schema))
            del group  # before the next one is gathered


def _named_splits(dataset: object) -> dict[str, datasets.Dataset | datasets.IterableDataset]:
    import datasets

    if isinstance(dataset, (datasets.DatasetDict, datasets.IterableDatasetDict)):
        splits = {str(name): split for name, split in dataset.items()}
    elif isinstance(dataset, (datasets.Dataset, datasets.IterableDataset)):
        splits = {"train" if dataset.split is None else str(dataset.split): dataset}
    else:
        raise InputTypeError(
            f"dataset: got {type(dataset).__name__}, allowed is what encrypt_dataset returns."
        )
    for name, split in splits.items():
        if not SPLIT_PATTERN.fullmatch(name):
            raise InputValueError(
                f"dataset: the split name {name!r} cannot be part of a file name; allowed are letters, "
                "digits, '_' and '.'. Give it another with DatasetDict({'train': dataset})."
            )
        if split.features is None or len(image_columns(split.features)) != 1:
            raise InputValueError(
                f"dataset: split {name!r} has not exactly one Image() column; give what encrypt_dataset "
                "returned."
            )
    return splits


def _write_split(
    features: Features,
    tables: Iterable[pa.Table],
    encryption: Encryption,
    folder: Path,
    split: str,
    max_bytes: int,
) -> None:
    # Features alone: a table's own metadata may hold a fingerprint or more.
    schema = features.arrow_schema
    (image_column,) = image_columns(features)
    paths: list[Path] = []
    with contextlib.ExitStack() as stack:
        writer, written = None, 0
        for group in _row_groups(tables):
            _check_images(group.column(image_column), encryption, split)
            if writer is None or written + group.nbytes > max_bytes:
                stack.close()
                paths.append(folder / f"{split}-{len(paths):05d}{UNFINISHED}")
                writer, written = stack.enter_context(pq.ParquetWriter(paths[-1], schema)), 0
            writer.write_table(_with_schema(group, schema))
            written += group.nbytes
            del group  # before the next one is gathered
    check_not_empty(split, len(paths))
    for i, path in enumerate(paths):
        path.rename(path.with_name(shard_name(split, i, len(paths))))


def _with_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Cast a table; one that has these types already needs none of Arrow's functions, nor their import."""
    if table.schema.types == schema.types and table.column_names == schema.names:
        return pa.Table.from_arrays(table.columns, schema=schema)
    return table.cast(schema)


def check_not_empty(split: str, count: int) -> None:
    """Refuse a split of which nothing is left."""
    if not count:
        raise InputValueError(
            f"dataset: split {split!r} has no rows, and load_dataset fails at an empty split; leave it out, "
            "or find out with on_error='raise' why all of its rows were skipped."
        )


def _row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    for table in itertools.chain.from_iterable(map(_small_tables, tables)):
        if waiting and sum(each.nbytes for each in waiting) + table.nbytes > _ROW_GROUP_BYTES:
            yield pa.concat_tables(waiting)
            waiting = []
        waiting.append(table)
        if sum(map(len, waiting)) >= _ROW_GROUP_ROWS:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _small_tables(table: pa.Table) -> Iterator[pa.Table]:
    """Halve a table until it fits into a row group, or is one row."""
    if table.nbytes <= _ROW_GROUP_BYTES or len(table) <= 1:
        yield table
        return
    half = len(table) // 2
    yield from _small_tables(table.slice(0, half))
    yield from _small_tables(table.slice(half))


def _check_images(images: pa.ChunkedArray, encryption: Encryption, split: str) -> None:
    """Refuse images that `encrypt_dataset` cannot have made, before they are written."""
    for chunk in images.chunks:
        if chunk.null_count or chunk.field("bytes").null_count or chunk.field("path").null_count < len(chunk):
            raise InputValueError(
                f"dataset: split {split!r} has images with a path or without bytes, so they may be plain; "
                "give what encrypt_dataset returned."
            )
    height, width = read_image(images[0].as_py()["bytes"]).shape[:2]
    fitting = encryption.encrypted_size or tuple(
        side - side % encryption.encrypted_patch_size for side in (height, width)
    )
    if (height, width) != fitting:
        raise InputValueError(
            f"encryption: split {split!r} has an image of {height}x{width} pixels, but these settings make "
            f"{fitting[0]}x{fitting[1]}; give the settings that encrypt_dataset was called with."
        )
