"""Let the boxes of objects follow their pixels through resize, crop and mixing-up."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputValueError
from .placement import Placement

# Of an annotation only these fields are published. Others can name the source (ids of a public dataset) or
# draw the outline of what is in the picture (segmentation), and would not follow the resize anyway.
OBJECT_FIELDS = ("bbox", "category", "area", "iscrowd")
# What people call the class of an object; it leaves as "category".
CATEGORY_NAMES = ("category", "categories", "category_id", "label", "labels", "class", "classes", "class_id")
# A box narrower than this many pixels of the prepared image has no area left but rounding errors.
_MIN_SIDE = 1e-3


def move_boxes(
    boxes: ArrayLike,
    placement: Placement,
    *,
    image_size: tuple[int, int],
    sub_patch_grid: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Move COCO boxes from the plain image to the encrypted one.

    They are scaled by the resize, shifted by the crop, clipped to the window and divided by the sub-patch
    grid. Mixing-up folds the pixels within a patch, so a moved box is exact to one patch of the encrypted
    image.

    Args:
        boxes: (N, 4) of x, y, width, height in pixels of the upright plain image.
        placement: what `encryption.placement(height, width)` returns for that image.
        image_size: (height, width) of that image in pixels.
        sub_patch_grid: sub-patches along one side of a patch, >= 1.

    Returns:
        The boxes with some area left, float32 (M, 4) in pixels of the encrypted image, and bool (N,) that
        tells which they are.

    Raises:
        ValueError: boxes are not (N, 4), not finite, or have a negative width or height.

    Example:

        >>> placement = Placement(resized_height=50, resized_width=100, top=0, left=20, height=48, width=64)
        >>> boxes = [[60, 20, 40, 40], [0, 0, 30, 30]]
        >>> move_boxes(boxes, placement, image_size=(100, 200), sub_patch_grid=2)
        (array([[ 5.,  5., 10., 10.]], dtype=float32), array([ True, False]))
    """
    boxes = _check_boxes(boxes)
    scale = np.array([placement.resized_width / image_size[1], placement.resized_height / image_size[0]])
    origin = np.array([placement.left, placement.top])
    limit = np.array([placement.width, placement.height])
    start = np.clip(boxes[:, :2] * scale - origin, 0, limit)
    end = np.clip((boxes[:, :2] + boxes[:, 2:]) * scale - origin, 0, limit)
    kept = (end - start > _MIN_SIDE).all(axis=1)
    moved = np.concatenate([start, end - start], axis=1)[kept] / sub_patch_grid
    return moved.astype(np.float32), kept


def move_objects(
    objects: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]] | None,
    placement: Placement,
    *,
    image_size: tuple[int, int],
    sub_patch_grid: int = 1,
) -> tuple[dict[str, list[Any]], int]:
    """Move the annotated objects of one image; see `move_boxes` for the arguments and errors.

    Args:
        objects: a dict of equally long lists, or a list of dicts, with "bbox" and possibly other
            `OBJECT_FIELDS`.
        placement, image_size, sub_patch_grid: as in `move_boxes`.

    Returns:
        A dict of lists with those of `OBJECT_FIELDS` that came in, "area" recomputed in pixels of the
        encrypted image (and added if it was missing); and the number of objects that were dropped.

    Raises:
        ValueError: as `move_boxes`, or "bbox" is missing, or the lists are not equally long.

    Example:

        >>> placement = Placement(resized_height=32, resized_width=32, top=0, left=0, height=32, width=32)
        >>> objects = {"id": [7], "bbox": [[4, 4, 8, 6]], "category": [1]}
        >>> move_objects(objects, placement, image_size=(32, 32), sub_patch_grid=2)
        ({'bbox': [[2.0, 2.0, 4.0, 3.0]], 'category': [1], 'area': [12.0]}, 0)
    """
    fields = as_lists(objects)
    boxes, kept = move_boxes(fields["bbox"], placement, image_size=image_size, sub_patch_grid=sub_patch_grid)
    for name, values in fields.items():
        if len(values) != len(kept):
            raise InputValueError(
                f"objects: {len(kept)} in 'bbox' but {len(values)} in {name!r}; give each its own box."
            )
    moved = {
        name: [value for value, keep in zip(values, kept, strict=True) if keep]
        for name, values in fields.items()
    }
    moved |= {"bbox": boxes.tolist(), "area": (boxes[:, 2] * boxes[:, 3]).tolist()}
    return moved, int(len(kept) - kept.sum())


def _check_boxes(boxes: ArrayLike) -> np.ndarray:
    try:
        checked = np.asarray(boxes, dtype=np.float64)
    except (TypeError, ValueError):
        checked = None  # ragged lists, or values that are missing
    if checked is not None and checked.size == 0:
        return checked.reshape(0, 4)
    if checked is None or checked.ndim != 2 or checked.shape[1] != 4:
        raise InputValueError(
            "boxes: allowed are four numbers a box, (x, y, width, height) in pixels; mend this row."
        )
    if not np.isfinite(checked).all() or (checked[:, 2:] < 0).any():
        raise InputValueError(
            "boxes: a value is not finite or a width or height is negative; mend or remove that box."
        )
    return checked


def as_lists(
    objects: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]] | None,
) -> dict[str, Sequence[Any]]:
    """Return the fields of objects that may leave, as lists, under the names that they leave with.

    Raises:
        InputValueError: there are no boxes.

    Example:

        >>> as_lists([{"bbox": [0, 0, 4, 4], "label": 2, "id": 7}])
        {'bbox': [[0, 0, 4, 4]], 'category': [2]}
    """
    if not objects:
        return {"bbox": []}
    if not isinstance(objects, Mapping):
        objects = {name: [entry.get(name) for entry in objects] for name in objects[0]}
    if "bbox" not in objects:
        raise InputValueError(
            "objects: 'bbox' is missing; give (x, y, width, height) in pixels for each object."
        )
    names = published_fields(objects)
    return {name: [] if objects[place] is None else objects[place] for name, place in names.items()}


def published_fields(fields: Iterable[str]) -> dict[str, str]:
    """Return the field of objects that each published one comes from.

    Example:

        >>> published_fields(["bbox", "label", "id"])
        {'bbox': 'bbox', 'category': 'label'}
    """
    fields = list(fields)
    category = next((name for name in CATEGORY_NAMES if name in fields), None)
    found = {name: name for name in OBJECT_FIELDS if name in fields} | (
        {"category": category} if category else {}
    )
    return {name: found[name] for name in OBJECT_FIELDS if name in found}
