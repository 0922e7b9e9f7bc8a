"""What a layout makes of a tree: rows by split, and every other file with the reason why it is none."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from ...column_types.kinds import ClassLabel
from ...errors import InputValueError
from ...layout import SPLIT_PATTERN
from .kinds import SPLIT_NAMES


@dataclasses.dataclass(frozen=True)
class SourceOptions:
    """How a source is to be read, where its owner says so outright.

    Args:
        image_column: the column of pictures.
        config_name: configuration of a Hub dataset that has several.
        splits: "folders", each folder is a split; "none", all is one; None, as it looks.
        labels: "folders", each folder is a class; "none"; a column's name; None, as it looks.
        follow_links: take what links in a folder point to outside of it.
        revision: branch, tag or commit of a Hub dataset.
        mask_column: the column of maps of classes, if they are asked for.
    """

    image_column: str = "image"
    config_name: str | None = None
    splits: str | None = None
    labels: str | None = None
    follow_links: bool = False
    revision: str | None = None
    mask_column: str | None = None

    @property
    def picture_columns(self) -> tuple[str, ...]:
        """Columns whose files' bytes are pictures, the image column first."""
        return (self.image_column, *([self.mask_column] if self.mask_column else []))


@dataclasses.dataclass
class Listing:
    """Rows of a tree.

    Args:
        layout: what the tree was taken for, in words.
        rows: of each split, as (file, values of other columns).
        features: of the other columns.
        skipped: files that are no rows, with the reason.
        box_format: of the objects' boxes, where the layout knows it.
    """

    layout: str
    rows: dict[str, list[tuple[str, dict[str, Any]]]]
    features: dict[str, Any] = dataclasses.field(default_factory=dict)
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)
    box_format: str | None = None


def split_name(folder: str) -> str:
    """Return the split that a folder is, by the names that people use; other names stay.

    Raises:
        InputValueError: a name that cannot be part of a file name.

    Example:

        >>> split_name("val"), split_name("hospital_b")
        ('validation', 'hospital_b')
    """
    name = SPLIT_NAMES.get(folder.lower(), folder)
    if not SPLIT_PATTERN.fullmatch(name):
        raise InputValueError(
            f"SOURCE: the folder name {folder!r} cannot be a split's; allowed are letters, digits, '_' and "
            "'.'. "
            "Rename it, or take all pictures as one split with --splits none."
        )
    return name


def label_features(names: Sequence[str]) -> dict[str, ClassLabel]:
    """Return the column of classes.

    Example:

        >>> label_features(["dog", "cat"])
        {'label': ClassLabel(names=['cat', 'dog'])}
    """
    return {"label": ClassLabel(names=sorted(set(names)))}


def class_numbers(names: Sequence[str]) -> Mapping[str, int]:
    """Number classes in the order of their names."""
    return {name: i for i, name in enumerate(sorted(set(names)))}


def split_in(path: str, default: str | None = None) -> str:
    """Return the split that a file or folder name tells, such as `instances_val2017`; else its folder's.

    Example:

        >>> split_in("annotations/instances_val2017.json"), split_in("valid/_annotations.coco.json")
        ('validation', 'validation')
    """
    place = PurePosixPath(path)
    words = re.findall(r"[a-z]+", f"{place.name.lower().removesuffix('.json')} {place.parent.name.lower()}")
    found = next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), None)
    return found or default or split_name(PurePosixPath(path).stem)
