"""Apply an encryption to a `datasets` object: only encrypted images and kept columns come out."""

import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import datasets
import multiprocess
import numpy as np
from datasets import DatasetInfo, Image, Value

from ..column_types.features import Features
from ..encryption.base import Encryption
from ..encryption.box_formats import check_box_format
from ..encryption.keys import SecretKey, as_key
from ..errors import InputTypeError, InputValueError
from ..images.writing import check_image_format, warn_of_smear
from ..layout import DEFAULT_KEEP_COLUMNS, OBJECTS_COLUMN
from ..pixels.upright import check_max_pixels
from .columns import check_columns, encrypted_features
from .parquet import save_encrypted_dataset
from .rows import DROPPED_BOXES_COLUMN, ROW_NUMBER_COLUMN, RowEncryption, RowEncryptionError

__all__ = ["DEFAULT_KEEP_COLUMNS", "RowEncryptionError", "encrypt_dataset", "save_encrypted_dataset"]

logger: logging.Logger = logging.getLogger(__name__)

AnyDataset = TypeVar(
    "AnyDataset",
    datasets.Dataset,
    datasets.DatasetDict,
    datasets.IterableDataset,
    datasets.IterableDatasetDict,
)
OnSkip = Callable[[str | None, list[int]], None]

# Rows a worker holds at once. Vectorising over more gains nothing beside the time of writing the files.
_BATCH_ROWS = 32
_MAX_LOGGED_ROWS = 50


def encrypt_dataset(
    dataset: AnyDataset,
    encryption: Encryption,
    *,
    image_column: str = "image",
    keep_columns: Sequence[str] = DEFAULT_KEEP_COLUMNS,
    key: SecretKey | bytes | None = None,
    image_format: str = "png",
    jpeg_quality: int = 95,
    num_proc: int | None = None,
    on_error: str = "raise",
    box_format: str = "coco",
    max_pixels: int | None = None,
    on_skip: OnSkip | None = None,
    mask_column: str | None = None,
) -> AnyDataset:
    """Encrypt every image of a dataset; only the kept columns go along.

    Images leave as new files without path, name or metadata, each with randomness of its own. The dataset's
    description, citation, source and checksums are left behind; split and features stay. Objects are moved to
    where their pixels went and keep "bbox", "category", "area" (recomputed, in pixels of the encrypted image)
    and "iscrowd", always as a dict of lists; boxes are COCO's (x, y, width, height) in pixels of the upright
    image. Objects that the crop leaves without area are dropped and counted in a warning.

    A second run on the same data with the same settings, options and key comes from the cache of `datasets`.
    A streaming dataset is encrypted anew whenever it is read; save it once with `save_encrypted_dataset`,
    since many encryptions of one image tell more than one. A stream over Parquet files holds a whole file in
    memory, for Arrow reads ahead as fast as it can; `dataset.reshard()` holds one row group at a time.

    **Plain copies that this function cannot prevent.** `load_dataset` copies a plain parquet file or archive
    into its own cache, also with `keep_in_memory=True`, and the copy stays. Load it with `streaming=True`,
    which writes nothing, or into a cache that goes away (and with it the cache of the encrypted rows):

        with tempfile.TemporaryDirectory() as cache:
            plain = load_dataset("parquet", data_files=files, cache_dir=cache)
            save_encrypted_dataset(encrypt_dataset(plain, encryption), encryption, output_dir)

    Args:
        dataset: a `Dataset`, `DatasetDict`, `IterableDataset` or `IterableDatasetDict` with known features.
        encryption: the settings.
        image_column: an `Image()` column; of its images nothing but the encrypted one is kept.
        keep_columns: names of columns to keep. They must exist, except for those of the default; they hold
            numbers, text, labels, or lists and dicts of these. What they say is published as it is.
        key: with it the permutations can be drawn again, and a column "nonce" (16 bytes a row) is added;
            without it nobody can undo them.
        image_format: "png"; "png-fast", which is PNG as well, written faster (extra "fast"); "webp", which is
            lossless too, faster and smaller; or "jpeg", which loses pixels, and warns where its blocks cross
            the borders of patches.
        jpeg_quality: 1 to 100, for "jpeg".
        num_proc: worker processes; None for none. With a key they must be forked. Not for streaming.
        on_error: "raise" at the first image that is corrupt, too large, smaller than a patch, or holds
            several frames; or "skip" such rows, with one warning that lists their numbers (streaming: one for
            each batch of rows that has some).
        box_format: how boxes are given, a name of `encryption.box_formats.BOX_FORMATS`.
        max_pixels: most pixels that a picture may have; None for `PIL.Image.MAX_IMAGE_PIXELS`, 89 million
            unless it was set otherwise. It holds for each picture, and larger ones go the way of `on_error`.
        on_skip: called with (split, row numbers) if rows were skipped; once a split, also when the result
            comes from a cache; in streaming, while the rows are read, for each batch that has some. A
            callback, since an attribute would be lost with the next transform and streaming has nothing to
            return yet.
        mask_column: an `Image()` column of maps of classes (a gray value or palette number a pixel, 255 for
            "none"), of the picture's size, for `MixingUp`. They follow their pictures and leave as "mask",
            gray PNG files; see `encryption.masks.move_mask`. **They are published as they are**, and draw the
            outline of what is in the scene.

    Returns:
        A dataset of the same kind with the columns image_column, the kept ones and, if there are such,
        "mask" and "nonce".

    Raises:
        RowEncryptionError: an image cannot be encrypted (a ValueError; it tells the row number and the
            reason).
        TypeError, ValueError: an argument does not fit; raised before any work.

    Example:

        >>> import numpy as np, PIL.Image
        >>> from datasets import Dataset, Features, Image, Value
        >>> from hipmr_hf.encryption import RandomShuffling
        >>> pictures = [PIL.Image.fromarray(np.full((40, 48, 3), i, np.uint8)) for i in range(3)]
        >>> plain = Dataset.from_dict(
        ...     {"image": pictures, "label": [0, 1, 0], "patient": ["Ann", "Ben", "Cem"]},
        ...     features=Features({"image": Image(), "label": Value("int64"), "patient": Value("string")}),
        ... )
        >>> encrypted = encrypt_dataset(plain, RandomShuffling(image_size=32, patch_size=8))
        >>> encrypted.column_names, encrypted[1]["label"], encrypted[1]["image"].size
        (['image', 'label'], 1, (32, 32))
    """
    key = None if key is None else as_key(key)
    _check_options(encryption, key, image_format, jpeg_quality, on_error)
    check_box_format(box_format)
    check_max_pixels(max_pixels)
    splits = _splits_of(dataset)
    num_proc = _check_num_proc(num_proc, key, streaming=_is_streaming(splits))
    # Every split is checked before the first is encrypted.
    for split in splits.values():
        _check_no_transform(split)
    kept = {
        name: check_columns(
            None if split.features is None else Features.from_datasets(split.features),
            encryption,
            image_column,
            keep_columns,
            with_nonce=key is not None,
            mask_column=mask_column,
        )
        for name, split in splits.items()
    }
    options = {"key": key, "image_format": image_format, "jpeg_quality": jpeg_quality, "on_error": on_error}
    options |= {"box_format": box_format, "max_pixels": max_pixels, "mask_column": mask_column}
    encrypted = {}
    for name, split in splits.items():
        function = RowEncryption(encryption, image_column, kept[name], **options)
        label = name if name is not None or split.split is None else str(split.split)
        encrypted[name] = _encrypt_split(split, function, label, num_proc, on_skip)
    return encrypted[None] if None in encrypted else type(dataset)(encrypted)


def _encrypt_split(
    plain: datasets.Dataset | datasets.IterableDataset,
    function: RowEncryption,
    split: str | None,
    num_proc: int | None,
    on_skip: OnSkip | None,
) -> datasets.Dataset | datasets.IterableDataset:
    # Undecoded, so that `datasets` neither decodes nor stores a picture, and only the columns that are
    # needed.
    columns = function.source_columns
    source = plain.with_format(None).select_columns(columns)
    for name in (function.image_column, *([function.mask_column] if function.mask_column else [])):
        source = source.cast_column(name, Image(decode=False))
    features = encrypted_features(Features.from_datasets(plain.features), function).to_datasets()
    if OBJECTS_COLUMN in features:
        function = dataclasses.replace(function, object_fields=tuple(features[OBJECTS_COLUMN]))
    if isinstance(plain, datasets.IterableDataset):
        report = functools.partial(_report_skipped, on_skip, split, None)
        function = dataclasses.replace(function, on_refused=report)
        options = {"with_indices": True, "batched": True, "batch_size": _BATCH_ROWS}
        # cast, because a stream that map gave its features does not decode its images any more
        encrypted = source.map(function, **options, remove_columns=columns).cast(features)
    else:
        encrypted = _map_and_count(source, function, features, split, num_proc, on_skip)
    _forget_source(encrypted)
    return encrypted


def _map_and_count(
    source: datasets.Dataset,
    function: RowEncryption,
    features: datasets.Features,
    split: str | None,
    num_proc: int | None,
    on_skip: OnSkip | None,
) -> datasets.Dataset:
    if len(source) == 0:  # map would return the plain columns
        return datasets.Dataset.from_dict(
            {name: [] for name in features}, features=features, split=source.split
        )
    counts = {ROW_NUMBER_COLUMN: Value("int64"), DROPPED_BOXES_COLUMN: Value("int64")}
    encrypted = source.map(
        dataclasses.replace(function, count_rows=True),
        with_indices=True,
        batched=True,
        batch_size=_BATCH_ROWS,
        remove_columns=source.column_names,
        features=datasets.Features({**features, **counts}),
        num_proc=num_proc,
        desc=f"Encrypting ({split})" if split else "Encrypting",
    )
    row_numbers, dropped = (encrypted.data.column(name).to_numpy() for name in counts)
    skipped = np.setdiff1d(np.arange(len(source)), row_numbers).tolist()
    if skipped:
        _report_skipped(on_skip, split, len(source), skipped)
    if dropped.sum():
        count = dropped.sum()
        logger.warning("Dropped %d objects%s whose area lies outside of the crop.", count, _in(split))
    return encrypted.remove_columns(list(counts))


def _report_skipped(on_skip: OnSkip | None, split: str | None, total: int | None, rows: list[int]) -> None:
    listed = ", ".join(map(str, rows[:_MAX_LOGGED_ROWS]))
    more = f" and {len(rows) - _MAX_LOGGED_ROWS} more" if len(rows) > _MAX_LOGGED_ROWS else ""
    of_total = "" if total is None else f" of {total}"
    logger.warning(
        "Skipped %d%s rows%s whose image cannot be encrypted: %s%s. on_error='raise' tells the reason.",
        *(len(rows), of_total, _in(split), listed, more),
    )
    if on_skip is not None:
        on_skip(split, rows)


def _in(split: str | None) -> str:
    return f" in {split}" if split else ""


def _forget_source(dataset: datasets.Dataset | datasets.IterableDataset) -> None:
    """Empty all of the info but the features: it names files, addresses and checksums of the source."""
    blank = DatasetInfo()
    for field in dataclasses.fields(DatasetInfo):
        if field.name != "features":
            setattr(dataset.info, field.name, getattr(blank, field.name))


def _check_no_transform(dataset: datasets.Dataset | datasets.IterableDataset) -> None:
    if isinstance(dataset, datasets.Dataset) and dataset.format["type"] == "custom":
        raise InputValueError(
            "dataset: it has a transform of set_transform, which would be left out; apply it with "
            "dataset.map, or remove it with dataset.reset_format()."
        )


def _splits_of(dataset: Any) -> dict[str | None, datasets.Dataset | datasets.IterableDataset]:
    if isinstance(dataset, (datasets.DatasetDict, datasets.IterableDatasetDict)):
        return {str(name): split for name, split in dataset.items()}
    if isinstance(dataset, (datasets.Dataset, datasets.IterableDataset)):
        return {None: dataset}
    raise InputTypeError(
        f"dataset: got {type(dataset).__name__}, allowed are Dataset, DatasetDict, IterableDataset and "
        "IterableDatasetDict; make one with datasets.load_dataset or Dataset.from_dict."
    )


def _is_streaming(splits: Mapping[str | None, Any]) -> bool:
    return any(isinstance(split, datasets.IterableDataset) for split in splits.values())


def _check_options(
    encryption: Encryption, key: SecretKey | None, image_format: str, jpeg_quality: int, on_error: str
) -> None:
    if not isinstance(encryption, Encryption):
        raise InputTypeError(
            f"encryption: got {type(encryption).__name__}, allowed are RandomShuffling(...) and "
            "MixingUp(...)."
        )
    if key is not None and not encryption.draws_randomness:
        raise InputValueError("key: these settings draw no randomness, so a key has no effect; leave it out.")
    if on_error not in ("raise", "skip"):
        raise InputValueError(f"on_error: got {on_error!r}, allowed are 'raise' and 'skip'.")
    check_image_format(image_format, jpeg_quality)
    warn_of_smear(image_format, encryption.encrypted_patch_size)


def _check_num_proc(num_proc: int | None, key: SecretKey | None, *, streaming: bool) -> int | None:
    if num_proc is not None and (isinstance(num_proc, bool) or not isinstance(num_proc, int) or num_proc < 1):
        raise InputValueError(f"num_proc: got {num_proc!r}, allowed are None and whole numbers from 1.")
    if num_proc is None or num_proc == 1:
        return None
    if streaming:
        raise InputValueError(
            f"num_proc: got {num_proc} with a streaming dataset, which is encrypted while it is read; leave "
            "it out, or give the encrypted dataset to a DataLoader with workers."
        )
    start_method = multiprocess.get_start_method(allow_none=True) or multiprocess.get_all_start_methods()[0]
    if key is not None and start_method != "fork":
        raise InputValueError(
            f"num_proc: got {num_proc} with a key, but workers start with {start_method!r} and a key is "
            "never sent to another process; leave num_proc out, or call "
            "multiprocess.set_start_method('fork') where the system has it."
        )
    return num_proc
