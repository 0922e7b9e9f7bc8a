"""What a run does with every row, and what its workers are told of it."""

from __future__ import annotations

import dataclasses
import functools
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..column_types.features import Features
from ..encryption.box_formats import check_box_format
from ..encryption.keys import SecretKey
from ..encryption.weaknesses import warn_of_weaknesses
from ..errors import InputValueError
from ..images.writing import check_image_format, warn_of_smear
from ..layout import DEFAULT_KEEP_COLUMNS, OBJECTS_COLUMN, __version__
from ..pixels.upright import check_max_pixels
from .columns import check_columns, encrypted_features
from .rows import RowEncryption
from .source import PlainSource, open_source

if TYPE_CHECKING:
    from ..encryption.base import Encryption
    from .sources.listing import SourceOptions
    from .sources.splits import Split

# Changes when pieces are cut or written in another way, so that no run goes on with pieces of another kind.
_PIECES = 3


@dataclasses.dataclass(frozen=True)
class EncryptionJob:
    """What is to be done with every row; see `encrypt_dataset` for the arguments.

    Args:
        encryption, key, image_column, image_format, jpeg_quality, on_error: as there.
        keep_columns: as there; None keeps label and objects where they exist.
        shuffle_rows: put the rows of each split into random order.
        box_format: of the objects' boxes; None, as the source's layout has them, else COCO's.
        max_pixels, mask_column: as there.
        irreversible: a key goes with settings that lose pixels on purpose: it repeats an encryption, and
            undoes none.

    Raises:
        InputValueError: an argument does not fit; or a key with settings that lose pixels, unless that is
            meant.
    """

    encryption: Encryption
    key: SecretKey | None = None
    image_column: str = "image"
    keep_columns: tuple[str, ...] | None = None
    image_format: str = "png"
    jpeg_quality: int = 95
    on_error: str = "raise"
    shuffle_rows: bool = False
    box_format: str | None = None
    irreversible: bool = False
    max_pixels: int | None = None
    mask_column: str | None = None

    def __post_init__(self) -> None:
        check_image_format(self.image_format, self.jpeg_quality)
        if self.box_format is not None:
            check_box_format(self.box_format)
        check_max_pixels(self.max_pixels)
        if self.key is not None and not self.encryption.draws_randomness:
            raise InputValueError(
                "key: these settings draw no randomness, so a key has no effect; leave it out."
            )
        if self.key is not None and self.encryption.losses and not self.irreversible:
            raise InputValueError(
                f"key: {', '.join(self.encryption.losses)} would lose pixels for good, so the key could not "
                "bring the pictures back; take the preset that it can undo (--preset reversible), leave the "
                "key out, or say that it is meant with irreversible=True (--irreversible)."
            )

    def warn(self) -> None:
        """Say, once a run, what is allowed and hardly wanted."""
        warn_of_weaknesses(self.encryption)
        warn_of_smear(self.image_format, self.encryption.encrypted_patch_size)

    def identity(self, source_identity: str, options: SourceOptions) -> dict[str, Any]:
        """Return what must be the same when a run goes on: all that rows depend on; no key, no path."""
        return {
            "release": __version__,
            "source": source_identity,
            "config_name": options.config_name,
            "splits": options.splits,
            "labels": options.labels,
            "encryption": self.encryption.to_dict(),
            "key": None if self.key is None else self.key.fingerprint,
            "keep_columns": None if self.keep_columns is None else list(self.keep_columns),
            "image": [self.image_column, self.image_format, self.jpeg_quality],
            "boxes": self.box_format,
            "max_pixels": self.max_pixels,
            "pieces": _PIECES,
            **({} if self.mask_column is None else {"masks": self.mask_column}),
        }

    def function_for(self, plain: Split) -> tuple[RowEncryption, Features]:
        """Return the function that encrypts rows of a split, and the features that come out."""
        keep = DEFAULT_KEEP_COLUMNS if self.keep_columns is None else self.keep_columns
        kept = check_columns(
            plain.features,
            self.encryption,
            self.image_column,
            keep,
            with_nonce=self.key is not None,
            mask_column=self.mask_column,
        )
        function = RowEncryption(
            self.encryption,
            self.image_column,
            kept,
            key=self.key,
            image_format=self.image_format,
            jpeg_quality=self.jpeg_quality,
            on_error=self.on_error,
            count_rows=True,
            box_format=self.box_format or plain.box_format or "coco",
            max_pixels=self.max_pixels,
            mask_column=self.mask_column,
        )
        features = encrypted_features(plain.features, function)
        if OBJECTS_COLUMN in features:
            function = dataclasses.replace(function, object_fields=tuple(features[OBJECTS_COLUMN]))
        return function, features


@dataclasses.dataclass(frozen=True)
class Told:
    """All that workers are told beside numbers. It may travel in the clear: a key goes as its id alone.

    Args:
        job: what is done with every row.
        source, options: as in `open_source`; each worker opens it on its own.
        source_identity: of the source as the driver sees it.
        work: the folder that all workers share.
        key_file: where a machine that has not the job's key yet reads it.
        key_id: which key that must be.
        version: the release that the driver runs.
    """

    job: EncryptionJob
    source: tuple[str, ...]
    options: SourceOptions
    source_identity: str
    work: str
    key_file: str | None = None
    key_id: str | None = None
    version: str = __version__


@dataclasses.dataclass(frozen=True)
class Opened:
    """A job on its source, as a worker has opened them."""

    job: EncryptionJob
    source: PlainSource
    functions: dict[str, tuple[RowEncryption, Features]]


@functools.lru_cache(maxsize=1)
def opened_source(source: Sequence[str], options: SourceOptions) -> PlainSource:
    """Open a source once a process."""
    return open_source(source, options)


@functools.lru_cache(maxsize=1)
def opened(told: Told) -> Opened:
    """Open what a worker was told, once a process, and make sure that it is what the driver saw.

    Raises:
        InputValueError: this machine sees another folder, release, key or source.
    """
    where = f"machine {platform.node()}"
    if not Path(told.work).is_dir():
        raise InputValueError(
            f"output_dir: {where} does not see {told.work}; give a folder that all machines share under one "
            "path."
        )
    if told.version != __version__:
        raise InputValueError(
            f"{where} runs hipmr-hf {__version__} and the driver {told.version}; install that."
        )
    job = told.job if told.key_file is None else dataclasses.replace(told.job, key=keys_of(told)[0])
    source = opened_source(told.source, told.options)
    if source.identity != told.source_identity:
        raise InputValueError(
            f"source: {where} sees other files there, or with other times, than the driver; give a folder "
            "that all machines share under one path, or a dataset on the Hub."
        )
    return Opened(job, source, {name: job.function_for(split) for name, split in source.splits.items()})


@functools.lru_cache(maxsize=1)
def keys_of(told: Told) -> tuple[SecretKey, ...]:
    """Return the job's key, if it has one, read from this machine's file where it did not come along.

    Raises:
        InputValueError: the file holds another key.
    """
    if told.key_file is None:
        return () if told.job.key is None else (told.job.key,)
    key = SecretKey.load(told.key_file)
    if key.key_id != told.key_id:
        raise InputValueError(
            f"key_file: machine {platform.node()} has key {key.key_id}, expected {told.key_id}; copy that "
            "one "
            "to it."
        )
    return (key,)


def forget() -> None:
    """Close what this process has opened; no source and no key stays behind a run."""
    for cached in (opened, opened_source, keys_of):
        cached.cache_clear()
