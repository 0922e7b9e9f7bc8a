"""Undo the encryption of a keyed dataset, for the holder of its key."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from ..column_types.features import Features
from ..column_types.kinds import Image
from ..column_types.tables import table_of
from ..encryption.base import Encryption
from ..errors import ImageReadingError, InputValueError, hub_told
from ..files import check_is_free, remove_rests, whole_folder
from ..images.reading import read_image
from ..images.writing import encode_image
from ..layout import CARD_FILE, DATA_FOLDER, NONCE_COLUMN, SETTINGS_FILE, key_id_in, shard_name, split_of
from ..progress.bars import progress_bar
from .picture_files import write_picture_files
from .source import damage_told

if TYPE_CHECKING:
    from ..encryption.keys import SecretKey

logger: logging.Logger = logging.getLogger(__name__)

_BATCH_ROWS = 64


def decrypt_dataset_folder(
    encrypted: str,
    key: SecretKey,
    output_dir: Path,
    *,
    picture_files: bool = False,
    revision: str | None = None,
    token: str | None = None,
    on_start: Callable[[Encryption], object] | None = None,
) -> Path:
    """Write the plain images of an encrypted dataset to a new folder, as PNG in Parquet or as files.

    What comes back are the prepared images, resized and cropped, not the original files. The folder is
    readable by its owner alone, and is there wholly or not at all. Plain rests that a killed run left beside
    it are named and removed.

    Args:
        encrypted: folder or Hub repository.
        key: the key it was encrypted with.
        output_dir: a folder that does not exist yet or is empty.
        picture_files: write files as `write_picture_files` does, not Parquet.
        revision: branch, tag or commit on the Hub.
        token: as in `huggingface_hub`.
        on_start: called with the settings when the key is found to fit, before the work.

    Returns:
        The path of the folder.

    Raises:
        FileInUseError: there is something at output_dir.
        InputValueError: the dataset has no nonces, lost pixels, was encrypted with another key, or is
            damaged.
        MissingFileError: there is no such folder or repository.

    Example:

        >>> import tempfile
        >>> from datasets import Dataset, Features, Image
        >>> from hipmr_hf import RandomShuffling, SecretKey, encrypt_dataset, save_encrypted_dataset
        >>> key, shuffling = SecretKey.generate(), RandomShuffling(image_size=16, patch_size=8)
        >>> features, parent = Features({"image": Image()}), Path(tempfile.mkdtemp())
        >>> plain = Dataset.from_dict({"image": [np.zeros((16, 16, 3), np.uint8)]}, features=features)
        >>> encrypted = encrypt_dataset(plain, shuffling, key=key)
        >>> folder = save_encrypted_dataset(encrypted, shuffling, parent / "encrypted", key=key)
        >>> back = decrypt_dataset_folder(str(folder), key, parent / "plain", picture_files=True)
        >>> [path.relative_to(back).as_posix() for path in back.rglob("*.png")]
        ['train/000000.png']
    """
    check_is_free(output_dir)
    for rest in remove_rests(output_dir.absolute().parent):
        logger.warning("Removed %s: plain pictures that a decryption left when it was killed.", rest)
    folder = _local(encrypted, revision, token)
    encryption = Encryption.from_pretrained(folder)
    _check_key(folder, key)
    splits = _shards(folder)
    features = {split: _features(split, shards[0]) for split, shards in splits.items()}
    if encryption.losses:
        raise InputValueError(
            f"DIR: it cannot be decrypted, for {', '.join(encryption.losses)} lost pixels for good; keep the "
            "plain images."
        )
    if on_start is not None:
        on_start(encryption)
    with whole_folder(output_dir, private=True) as place:
        write = write_picture_files if picture_files else _write_parquet
        for split, shards in splits.items():
            write(
                place,
                split,
                _decrypted(split, shards, features[split], encryption, key),
                _plain(features[split]),
            )
    return output_dir


def _local(encrypted: str, revision: str | None, token: str | None) -> Path:
    """Return the dataset's folder; from the Hub, only what is read here comes."""
    if Path(encrypted).is_dir():
        return Path(encrypted)
    from huggingface_hub import snapshot_download

    wanted = [SETTINGS_FILE, CARD_FILE, f"{DATA_FOLDER}/*.parquet"]
    with hub_told(f"DIR: there is no folder {encrypted} here, and on the Hub, dataset {encrypted}"):
        return Path(
            snapshot_download(
                encrypted, repo_type="dataset", revision=revision, token=token, allow_patterns=wanted
            )
        )


def _check_key(folder: Path, key: SecretKey) -> None:
    """Tell a wrong key from the id in the dataset card; without one the pictures will tell."""
    card = folder / CARD_FILE
    found = key_id_in(card.read_text(encoding="utf-8", errors="replace")) if card.is_file() else None
    if found not in (None, key.key_id):
        raise InputValueError(
            f"--key-file: it holds key {key.key_id}, but the dataset was encrypted with key {found}; give "
            "the file of that key."
        )


def _shards(folder: Path) -> dict[str, list[Path]]:
    """Return the files of each split. Their names are all that counts: a card may point anywhere."""
    splits: dict[str, list[Path]] = {}
    for path in sorted((folder / DATA_FOLDER).glob("*.parquet")):
        if (split := split_of(path.name)) is not None:
            splits.setdefault(split, []).append(path)
    if not splits:
        raise InputValueError(
            f"DIR: there is no {shard_name('train', 0, 1)} or the like in {folder / DATA_FOLDER}; give a "
            "folder that `hipmr encrypt` wrote."
        )
    return splits


def _features(split: str, shard: Path) -> Features:
    with damage_told(str(shard)):
        schema = pq.read_schema(shard)
    try:
        features = Features.from_arrow_schema(schema)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputValueError(
            f"DIR: the description of the columns in {shard} is damaged; take the file again from its source."
        ) from error
    if NONCE_COLUMN not in features:
        raise InputValueError(
            f"DIR: split {split!r} has no column {NONCE_COLUMN!r}, so it was encrypted without a key and "
            "nobody can decrypt it; keep the plain images."
        )
    if sum(isinstance(feature, Image) for feature in features.values()) != 1:
        raise InputValueError(
            f"DIR: split {split!r} has not exactly one column of images; give a folder that `hipmr encrypt` "
            "wrote."
        )
    return features


def _plain(features: Features) -> Features:
    return Features({name: feature for name, feature in features.items() if name != NONCE_COLUMN})


def _decrypted(
    split: str, shards: Sequence[Path], features: Features, encryption: Encryption, key: SecretKey
) -> Iterator[dict[str, list[Any]]]:
    """Yield plain rows, images as the bytes of PNG files."""
    (column,) = (name for name, feature in features.items() if isinstance(feature, Image))
    total = sum(pq.read_metadata(path).num_rows for path in shards)
    with progress_bar(what=f"Decrypting {split}", unit="rows", total=total) as bar:
        for batch in _batches(shards, list(features)):
            nonces = batch.pop(NONCE_COLUMN)
            files = [
                _decrypt(image, nonce, encryption, key, f"{split}, row {bar.n + i} (counted from 0)")
                for i, (image, nonce) in enumerate(zip(batch[column], nonces, strict=True))
            ]
            yield batch | {column: files}
            bar.update(len(files))


def _batches(shards: Sequence[Path], columns: list[str]) -> Iterator[dict[str, list[Any]]]:
    for path in shards:
        with damage_told(str(path)), pq.ParquetFile(path, pre_buffer=False) as file:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
                yield batch.to_pydict()


def _decrypt(image: Any, nonce: bytes, encryption: Encryption, key: SecretKey, place: str) -> bytes:
    encrypted = (image or {}).get("bytes")  # never its path, which may name any file of this machine
    try:
        if encrypted is None:
            raise ImageReadingError("there is no image in it.")
        plain = encryption.decrypt(read_image(encrypted), key=key, nonce=nonce)
    except InputValueError as error:
        raise InputValueError(f"DIR: {place} cannot be decrypted: {error}") from error
    return encode_image(np.ascontiguousarray(plain))


def _write_parquet(
    folder: Path, split: str, batches: Iterator[dict[str, list[Any]]], features: Features
) -> None:
    (folder / DATA_FOLDER).mkdir(exist_ok=True)
    (column,) = (name for name, feature in features.items() if isinstance(feature, Image))
    schema = features.arrow_schema
    with pq.ParquetWriter(folder / DATA_FOLDER / shard_name(split, 0, 1), schema) as writer:
        for batch in batches:
            batch[column] = [{"bytes": file, "path": None} for file in batch[column]]
            writer.write_table(table_of(batch, features))
