"""Undo the encryption of a keyed dataset, for the holder of its key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features, Image, IterableDataset
from tqdm.auto import tqdm

from ..encryption.base import Encryption
from ..errors import FileInUseError, InputValueError
from ..files import whole_folder
from ..hub.publishing import card_on_the_hub
from ..images.reading import read_image
from ..images.writing import encode_image
from ..layout import CARD_FILE, DATA_FOLDER, NONCE_COLUMN, key_id_in, shard_name
from .source import without_torch

if TYPE_CHECKING:
    from ..encryption.keys import SecretKey

_BATCH_ROWS = 64


def decrypt_dataset_folder(encrypted: str, key: SecretKey, output_dir: Path) -> Path:
    """Write the plain images of an encrypted dataset, as PNG in parquet files, to a new folder.

    The folder is readable by its owner alone, and is there wholly or not at all.

    Args:
        encrypted: folder or Hub repository.
        key: the key it was encrypted with.
        output_dir: a folder that does not exist yet.

    Returns:
        The path of the folder.

    Raises:
        FileExistsError: output_dir exists.
        ValueError: the dataset has no nonces, lost pixels, or was encrypted with another key.
    """
    if output_dir.exists():
        raise FileInUseError(f"output_dir: {output_dir} exists; name a new folder.")
    encryption = Encryption.from_pretrained(encrypted, repo_type="dataset")
    _check_key(encrypted, key)
    with without_torch():
        return _decrypt(encrypted, encryption, key, output_dir)


def _decrypt(encrypted: str, encryption: Encryption, key: SecretKey, output_dir: Path) -> Path:
    splits = datasets.load_dataset(encrypted, streaming=True)
    for name, split in splits.items():
        _check_can_be_undone(encryption, key, name, split)
    with whole_folder(output_dir, private=True) as folder:
        (folder / DATA_FOLDER).mkdir()
        for name, split in splits.items():
            path = folder / DATA_FOLDER / shard_name(name, 0, 1)
            _write(path, _decrypted(split, encryption, key), _plain_features(split), name)
    return output_dir


def _check_key(encrypted: str, key: SecretKey) -> None:
    """Tell a wrong key from the id in the dataset card; without one the pictures will tell."""
    is_local = Path(encrypted).is_dir()
    card = Path(encrypted) / CARD_FILE
    text = card_on_the_hub(encrypted, repo_type="dataset") if not is_local else None
    found = key_id_in(card.read_text(encoding="utf-8") if is_local and card.exists() else text or "")
    if found not in (None, key.key_id):
        raise InputValueError(
            f"--key-file: it holds key {key.key_id}, but the dataset was encrypted with key {found}; give "
            "the file of that key."
        )


def _check_can_be_undone(encryption: Encryption, key: SecretKey, name: str, split: IterableDataset) -> None:
    if split.features is None or NONCE_COLUMN not in split.features:
        raise InputValueError(
            f"DIR: split {name!r} has no column {NONCE_COLUMN!r}, so it was encrypted without a key and "
            "nobody can decrypt it; keep the plain images."
        )
    next(_decrypted(split.take(1), encryption, key), None)  # settings that lose pixels say so here


def _image_column(features: Features) -> str:
    return next(name for name, feature in features.items() if isinstance(feature, Image))


def _plain_features(split: IterableDataset) -> Features:
    return Features({name: feature for name, feature in split.features.items() if name != NONCE_COLUMN})


def _decrypted(split: IterableDataset, encryption: Encryption, key: SecretKey) -> Iterator[dict[str, list]]:
    column = _image_column(split.features)
    for batch in split.cast_column(column, Image(decode=False)).iter(batch_size=_BATCH_ROWS):
        nonces = batch.pop(NONCE_COLUMN)
        pixels = (read_image(image["bytes"]) for image in batch[column])
        plain = [
            np.ascontiguousarray(encryption.decrypt(image, key=key, nonce=nonce))
            for image, nonce in zip(pixels, nonces, strict=True)
        ]
        yield batch | {column: [{"bytes": encode_image(image), "path": None} for image in plain]}


def _write(path: Path, batches: Iterator[dict[str, list]], features: Features, split: str) -> None:
    schema = features.arrow_schema
    with (
        pq.ParquetWriter(path, schema) as writer,
        tqdm(desc=f"Decrypting {split}", unit=" rows", disable=None) as bar,
    ):
        for batch in batches:
            table = pa.Table.from_pydict(batch, schema=schema)
            writer.write_table(table)
            bar.update(len(table))
