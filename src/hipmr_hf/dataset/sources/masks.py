"""The layout of segmentation data: folders `images/` and `masks/`, a mask beside each picture by its name."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from ...column_types.kinds import Image
from ...errors import InputValueError
from ...layout import MASK_COLUMN
from .folders import split_by_folder
from .listing import Listing, SourceOptions

_PICTURES, _MASKS = "images", "masks"
_READ = "a mask, part of its picture"
_NOT_ASKED_FOR = "a mask that was not asked for (--mask-column mask)"
_ALONE = "a mask without a picture"


def has_masks(pictures: Sequence[str]) -> bool:
    """Whether some picture in a folder `images` has one of the same name in the folder `masks` beside it.

    Example:

        >>> has_masks(["train/images/1.jpg", "train/masks/1.png"]), has_masks(["cat/1.jpg", "masks/1.jpg"])
        (True, False)
    """
    masks = {_key(name, _MASKS) for name in pictures if _lies_in(name, _MASKS)}
    return any(_key(name, _PICTURES) in masks for name in pictures if _lies_in(name, _PICTURES))


def list_masks(pictures: Sequence[str], options: SourceOptions) -> Listing:
    """Take what lies in `masks` for the masks of the pictures in `images`, above or below folders of splits.

    A picture without a mask is a row without one: whoever asks for masks is told of it, or skips it.

    Raises:
        InputValueError: two masks of one picture; or see `split_by_folder`.
    """
    masks: dict[tuple[str, ...], str] = {}
    for name in pictures:
        if _lies_in(name, _MASKS):
            if (key := _key(name, _MASKS)) in masks:
                raise InputValueError(
                    f"SOURCE: {masks[key]} and {name} are masks of one picture; remove one."
                )
            masks[key] = name
    shown = {_without(name, _PICTURES): name for name in pictures if not _lies_in(name, _MASKS)}
    if len(shown) + len(masks) < len(pictures):  # some lie in `images`, and others of their names do not
        shown = {name: name for name in pictures if not _lies_in(name, _MASKS)}
    rows, read = {}, set()
    for split, (_, names) in split_by_folder(sorted(shown), options.splits).items():
        found = [(shown[name], masks.get(_key(shown[name], _PICTURES))) for name in names]
        rows[split] = [(name, {MASK_COLUMN: mask}) for name, mask in found]
        read |= {mask for _, mask in found}
    reason = _NOT_ASKED_FOR if options.mask_column is None else _READ
    skipped = {mask: reason if mask in read else _ALONE for mask in masks.values()}
    return Listing("pictures with masks", rows, {MASK_COLUMN: Image()}, skipped)


def _lies_in(name: str, folder: str) -> bool:
    return folder in name.lower().split("/")[:-1]


def _without(name: str, folder: str) -> str:
    return "/".join(part for part in name.split("/") if part.lower() != folder)


def _key(name: str, folder: str) -> tuple[str, ...]:
    """Name the picture: its folders but for this one, and its name without the suffix."""
    place = PurePosixPath(_without(name, folder))
    return (*place.parts[:-1], place.stem)
