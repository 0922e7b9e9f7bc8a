"""Decide which columns of a dataset may leave with its encrypted images, and what they hold then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..column_types.features import Features
from ..column_types.kinds import ClassLabel, Image, LargeList, List, Value
from ..encryption.boxes import published_fields
from ..errors import InputTypeError, InputValueError
from ..layout import DEFAULT_KEEP_COLUMNS, MASK_COLUMN, NONCE_COLUMN, OBJECTS_COLUMN

if TYPE_CHECKING:
    from ..encryption.base import Encryption
    from .rows import RowEncryption


def check_columns(
    features: Features | None,
    encryption: Encryption,
    image_column: str,
    keep_columns: Sequence[str],
    *,
    with_nonce: bool,
    mask_column: str | None = None,
) -> tuple[str, ...]:
    """Return the columns to keep, or tell what is wrong with them.

    Args:
        features: of the plain rows; None where they are unknown.
        encryption, image_column, keep_columns: as in `encrypt_dataset`.
        with_nonce: a nonce column will be written.
        mask_column: as in `encrypt_dataset`.

    Raises:
        TypeError, ValueError: see `encrypt_dataset`.
    """
    if features is None:
        raise InputValueError(
            "dataset: its features are unknown, so nobody can tell what would be published; "
            "give them with dataset.cast(Features({...}))."
        )
    _check_image_column(features, image_column)
    kept = _existing_columns(features, keep_columns)
    if mask_column is not None:
        _check_masks(features, encryption, image_column, mask_column)
        kept = tuple(name for name in kept if name != mask_column)
        if MASK_COLUMN in kept:
            raise InputValueError(
                f"keep_columns: got {MASK_COLUMN!r}, the name that masks leave with; rename yours."
            )
    if image_column in kept:
        raise InputValueError(
            f"keep_columns: got the image column {image_column!r}, which always leaves, but only encrypted; "
            "take it out of keep_columns."
        )
    if with_nonce and NONCE_COLUMN in kept:
        raise InputValueError(
            f"keep_columns: got {NONCE_COLUMN!r}, the name of the column that a key adds; rename yours."
        )
    for name in kept:
        if name != OBJECTS_COLUMN and not _is_publishable(features[name]):
            raise InputValueError(
                f"keep_columns: column {name!r} is {features[name]}, which can hold a plain picture; "
                "allowed are numbers, text, labels, and lists and dicts of these. Leave it out, or, if it "
                f"holds maps of classes, say mask_column={name!r} (--mask-column {name})."
            )
    if OBJECTS_COLUMN in kept:
        _check_objects(features[OBJECTS_COLUMN], encryption)
    return kept


def _check_image_column(features: Features, image_column: str) -> None:
    feature = features.get(image_column)
    if not isinstance(feature, Image):
        raise InputValueError(
            f"image_column: {image_column!r} is {'not there' if feature is None else feature}, expected an "
            f"Image() column; the columns are {list(features)}. Name another (--image-column), "
            f"or use dataset.cast_column({image_column!r}, Image())."
        )
    if feature.mode not in (None, "RGB"):
        raise InputValueError(
            f"image_column: {image_column!r} is decoded to mode {feature.mode!r}, which encrypting it as "
            "RGB would undo; convert the pictures with dataset.map and cast the column to Image() first."
        )


def _existing_columns(features: Features, keep_columns: Sequence[str]) -> tuple[str, ...]:
    if isinstance(keep_columns, (str, type(None))) or not all(isinstance(name, str) for name in keep_columns):
        raise InputTypeError(f"keep_columns: got {keep_columns!r}, allowed is a list of column names.")
    if keep_columns is DEFAULT_KEEP_COLUMNS:
        return tuple(name for name in keep_columns if name in features)
    if missing := [name for name in keep_columns if name not in features]:
        raise InputValueError(
            f"keep_columns: no column {', '.join(map(repr, missing))}; the columns are {list(features)}."
        )
    return tuple(dict.fromkeys(keep_columns))


def encrypted_features(plain: Features, function: RowEncryption) -> Features:
    """Return the features that come out; `datasets` must be told, since streaming cannot guess them."""
    features = {function.image_column: Image()}
    features |= {name: plain[name] for name in function.kept_columns}
    if function.mask_column is not None:
        features[MASK_COLUMN] = Image()
    if OBJECTS_COLUMN in function.kept_columns:
        features[OBJECTS_COLUMN] = _object_features(plain[OBJECTS_COLUMN])
    if function.key is not None:
        features[NONCE_COLUMN] = Value("binary")
    return Features(features)


def _object_features(plain: Any) -> dict[str, Any]:
    """Return the one layout that objects leave in, from a dict of lists or a list of dicts."""
    fields = _object_fields(plain)
    kept = {name: List(fields[place]) for name, place in published_fields(fields).items()}
    return kept | {"bbox": List(List(Value("float32"), length=4)), "area": List(Value("float32"))}


def _object_fields(plain: Any) -> dict[str, Any]:
    if isinstance(plain, dict):
        lists = {name: column for name, column in plain.items() if isinstance(column, (List, LargeList))}
        return {name: column.feature for name, column in lists.items()}
    inner = plain.feature if isinstance(plain, (List, LargeList)) else None
    return inner if isinstance(inner, dict) else {}


def _is_publishable(feature: Any) -> bool:
    """Whether a feature can hold only numbers, text and labels. Bytes and arrays could be a picture."""
    if isinstance(feature, dict):
        return all(map(_is_publishable, feature.values()))
    if isinstance(feature, (List, LargeList)):
        return _is_publishable(feature.feature)
    return isinstance(feature, ClassLabel) or (isinstance(feature, Value) and "binary" not in feature.dtype)


def _check_masks(features: Features, encryption: Encryption, image_column: str, mask_column: str) -> None:
    if encryption.strategy == "rs":
        raise InputValueError(
            "mask_column: masks mean nothing once the patches are shuffled (RandomShuffling), and would tell "
            "where they stood; leave it out, or use MixingUp."
        )
    feature = features.get(mask_column)
    if mask_column == image_column or not isinstance(feature, Image):
        found = "the image column" if mask_column == image_column else feature or "not there"
        raise InputValueError(
            f"mask_column: {mask_column!r} is {found}, expected a second Image() column, of maps of classes; "
            f"the columns are {list(features)}."
        )
    if image_column == MASK_COLUMN:
        raise InputValueError(
            f"image_column: got {MASK_COLUMN!r}, the name that masks leave with; rename that column."
        )


def _check_objects(feature: Any, encryption: Encryption) -> None:
    if encryption.strategy == "rs":
        raise InputValueError(
            "keep_columns: boxes mean nothing once the patches are shuffled (RandomShuffling); leave "
            "'objects' out with keep_columns=() (--keep-columns label), or use MixingUp (--preset dense)."
        )
    fields = _object_fields(feature)
    if "bbox" not in fields or not all(
        _is_publishable(fields[name]) for name in published_fields(fields).values()
    ):
        raise InputValueError(
            f"keep_columns: 'objects' is {feature}, expected lists named 'bbox' (x, y, width, height in "
            "pixels) and, if there are labels, 'category'; rename its fields."
        )
