"""The arguments that describe an encryption, which several commands share."""

import argparse
from typing import TYPE_CHECKING

from ..errors import InputValueError

if TYPE_CHECKING:
    from ..encryption import Encryption, Sides

_NAMES = (
    "strategy",
    "image_size",
    "shorter_side",
    "longer_side",
    "patch_size",
    "interval",
    "drop_ratio",
    "sub_patch_grid",
    "sub_patch_symmetries",
    "patch_normalization",
)


def add_settings(group: "argparse._ArgumentGroup") -> None:
    """Declare an encryption's settings; what is not given stays None or False, and takes its default."""
    group.add_argument(
        "--strategy",
        choices=("rs", "mi"),
        help="rs: random shuffling of the patches; mi: mixing-up inside the patches. Default: rs.",
    )
    group.add_argument(
        "--image-size",
        type=int,
        nargs="+",
        metavar="PIXELS",
        help="Size before the encryption, or height and width. Default: 224 for rs, each image's own for mi.",
    )
    group.add_argument(
        "--shorter-side",
        type=int,
        metavar="PIXELS",
        help="mi, instead of --image-size: shorter side before the encryption; images keep their shape, as "
        "detectors need it, such as --shorter-side 800 --longer-side 1333.",
    )
    group.add_argument(
        "--longer-side", type=int, metavar="PIXELS", help="mi: most pixels of the longer side. Default: any."
    )
    group.add_argument("--patch-size", type=int, metavar="PIXELS", help="Default: 16.")
    group.add_argument(
        "--interval", type=int, metavar="PIXELS", help="rs: pixels lost between patches. Default: 0."
    )
    group.add_argument(
        "--drop-ratio", type=float, metavar="SHARE", help="rs: share of patches left out. Default: 0."
    )
    group.add_argument(
        "--sub-patch-grid",
        type=int,
        metavar="N",
        help="Replace a patch by the mean of its N x N sub-patches. Default: 1 for rs, 2 for mi.",
    )
    group.add_argument(
        "--sub-patch-symmetries", action="store_true", help="Turn and flip each sub-patch at random first."
    )
    group.add_argument(
        "--patch-normalization", action="store_true", help="Take away each patch's mean and contrast."
    )


def given_settings(options: argparse.Namespace) -> list[str]:
    """Name the flags of the encryption that were given.

    Example:

        >>> given_settings(argparse.Namespace(strategy="mi", **dict.fromkeys(_NAMES[1:])))
        ['--strategy']
    """
    values = {name: getattr(options, name) for name in _NAMES}
    given = [name for name, value in values.items() if value is not None and value is not False]
    return [f"--{name.replace('_', '-')}" for name in given]


def settings_from(options: argparse.Namespace) -> "Encryption":
    """Build the encryption that the arguments describe; those that were not given keep its defaults."""
    from ..encryption import MixingUp, RandomShuffling

    shuffled_only = {"interval": options.interval, "drop_ratio": options.drop_ratio}
    given = {
        "image_size": _sides(options) or _size(options.image_size),
        "patch_size": options.patch_size,
        "sub_patch_grid": options.sub_patch_grid,
        "sub_patch_symmetries": options.sub_patch_symmetries,
        "patch_normalization": options.patch_normalization,
        **shuffled_only,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if options.strategy != "mi":
        return RandomShuffling(**given)
    if foreign := [f"--{name.replace('_', '-')}" for name in shuffled_only if name in given]:
        raise InputValueError(f"{' and '.join(foreign)}: only --strategy rs has it; leave it out with mi.")
    return MixingUp(**given)


def _sides(options: argparse.Namespace) -> "Sides | None":
    from ..encryption import Sides

    flags = {"--shorter-side": options.shorter_side, "--longer-side": options.longer_side}
    given = " and ".join(f"{flag} {value}" for flag, value in flags.items() if value is not None)
    if not given:
        return None
    if options.strategy != "mi":
        raise InputValueError(
            f"{given}: only --strategy mi keeps the shape of each image; leave it out with rs, which resizes "
            "to --image-size."
        )
    if options.image_size is not None:
        raise InputValueError(
            f"{given}: got --image-size as well, which fixes both sides; leave one of them out."
        )
    if options.shorter_side is None:
        raise InputValueError(
            f"{given}: it only limits --shorter-side; give that too, or --image-size instead."
        )
    return Sides(options.shorter_side, options.longer_side)


def _size(values: list[int] | None) -> int | tuple[int, int] | None:
    if values is None:
        return None
    if len(values) > 2:
        raise InputValueError(f"--image-size: got {values}, expected one number, or height and width.")
    return values[0] if len(values) == 1 else (values[0], values[1])
