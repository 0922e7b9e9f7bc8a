"""Presets: settings with names, by what they are for, which fit pictures of many sizes.

Each is one strategy with one set of knobs. The width of a patch follows from the size of the pictures: of the
widths that divide both sides, the one that makes a side about 16 patches long (8 pixels for pictures of 64,
16 for 224, 24 for 384). What attackers find under each, and what it costs, is measured and told by
`hipmr presets`. A preset's meaning never changes: data are encrypted alike by the same name and size.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..errors import InputValueError
from .checks import check_image_size, check_whole
from .preset_table import PRESETS

if TYPE_CHECKING:
    from .placement import Sides

_PATCHES_A_SIDE = 16


def settings_of_preset(
    name: str, image_size: int | tuple[int, int] | Sides | None
) -> tuple[str, dict[str, Any]]:
    """Tell the strategy and the arguments that a preset stands for.

    Args:
        name: one of `preset_table.PRESETS`.
        image_size: pixels of the plain image, as `RandomShuffling` and `MixingUp` take it. `Sides` and None,
            which keep an image's shape, are for presets that mix.

    Raises:
        TypeError, ValueError: an unknown name, a size that is not whole patches of any width, or one that
            leaves the shape open for a preset that shuffles.

    Example:
        >>> settings_of_preset("reversible", 64)
        ('rs', {'image_size': 64, 'patch_size': 8, 'interval': 0, 'sub_patch_symmetries': True})
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise InputValueError(
            f"preset: got {name!r}, expected one of {', '.join(PRESETS)}; see hipmr presets."
        )
    preset = PRESETS[name]
    if preset.strategy == "rs" and (image_size is None or hasattr(image_size, "shorter")):
        mixing = " or ".join(other for other, one in PRESETS.items() if one.strategy == "mi")
        raise InputValueError(
            f"image_size: got {image_size}, but preset {name} shuffles the patches of pictures of one size; "
            f"give it in pixels, or take {mixing}."
        )
    width = _width(image_size, preset.widths)
    settings = {"image_size": image_size, "patch_size": width}
    if preset.strategy == "rs":
        settings["interval"] = round(preset.interval * width)
    return preset.strategy, {**settings, **preset.knobs}


def _width(image_size: int | tuple[int, int] | Sides | None, widths: tuple[int, ...]) -> int:
    """The width of a patch that makes the shorter side about `_PATCHES_A_SIDE` patches long."""
    if image_size is None:
        return 16  # as everywhere, where nothing is said
    if hasattr(image_size, "shorter"):  # Sides
        shorter, fitting = image_size.shorter, list(widths)
        check_whole("shorter", shorter, minimum=widths[0])
    else:
        sides = tuple(image_size) if isinstance(image_size, list | tuple) else (image_size, image_size)
        check_image_size(sides, widths[0])
        shorter = min(sides)
        fitting = [width for width in widths if not any(side % width for side in sides)]
    return min(fitting, key=lambda width: (abs(math.log(shorter / width / _PATCHES_A_SIDE)), width))
