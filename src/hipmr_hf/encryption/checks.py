"""Checks of settings and arrays: each error names the argument, what came and what is allowed."""

from typing import Any

import numpy as np

from ..errors import InputTypeError, InputValueError

# Settings of a stranger must cost neither hours nor all memory.
MAX_SIDE = 65_535  # JPEG holds no longer side (ITU-T T.81, B.2.2)
MAX_AREA = 2**26
"""Most pixels of an image that settings ask for, such as 8192 x 8192."""

MAX_PATCHES = 2**17
"""Most patches of an image that settings ask for, such as 5792 x 5792 pixels in patches of 16."""


def check_whole(name: str, value: Any, *, minimum: int, maximum: int | None = None) -> None:
    """Refuse all but whole numbers from `minimum` to `maximum`."""
    allowed = f"a whole number >= {minimum}" + (f" and <= {maximum}" if maximum is not None else "")
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputTypeError(f"{name}: got {value!r} ({type(value).__name__}), expected {allowed}.")
    if value < minimum or (maximum is not None and value > maximum):
        raise InputValueError(f"{name}: got {value}, expected {allowed}.")


def check_image_size(image_size: Any, patch_size: int) -> None:
    """Refuse an image size, a whole number or (height, width), that is not whole patches."""
    sides = image_size if isinstance(image_size, tuple) else (image_size, image_size)
    if len(sides) != 2:
        raise InputValueError(f"image_size: got {image_size!r}, expected a whole number or (height, width).")
    for side in sides:
        check_whole("image_size", side, minimum=patch_size, maximum=MAX_SIDE)
        if side % patch_size:
            raise InputValueError(
                f"image_size: got {image_size!r}, expected whole patches of patch_size={patch_size}; "
                f"the nearest are {side - side % patch_size} and {side - side % patch_size + patch_size}."
            )
    check_cost(*sides, patch_size)


def check_cost(height: int, width: int, patch_size: int) -> None:
    """Refuse images that would take hours or all memory, before either is asked for."""
    area, count = height * width, (height // patch_size) * (width // patch_size)
    if area > MAX_AREA:
        raise InputValueError(
            f"image_size: got {height}x{width}, {area} pixels, expected <= {MAX_AREA}; choose a smaller one."
        )
    if count > MAX_PATCHES:
        raise InputValueError(
            f"image_size, patch_size: got {height}x{width} and {patch_size}, {count} patches, expected "
            f"<= {MAX_PATCHES}; choose larger patches."
        )


def check_divides(grid: int, size: int, name: str) -> None:
    """Refuse a sub-patch grid that does not divide a patch."""
    if size % grid:
        raise InputValueError(f"sub_patch_grid: got {grid}, expected a divisor of {name} = {size}.")


def check_array(name: str, array: Any, shape: str, ndim: int) -> None:
    """Refuse all but uint8 arrays of this number of axes."""
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
        got = f"an array of {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
        raise InputTypeError(
            f"{name}: got {got}, expected a uint8 array {shape}" + (" or a PIL image." if ndim == 3 else ".")
        )
    if array.ndim != ndim:
        raise InputValueError(f"{name}: got shape {array.shape}, expected {shape}.")
