"""The arguments that describe an encryption, which several commands share."""

import argparse
from typing import TYPE_CHECKING

from ..errors import InputValueError

if TYPE_CHECKING:
    from ..encryption.base import Encryption
    from ..encryption.placement import Sides

_SIZES = ("image_size", "shorter_side", "longer_side")  # those that go with a preset
_NAMES = (
    "preset",
    *_SIZES,
    "strategy",
    "patch_size",
    "interval",
    "drop_ratio",
    "sub_patch_grid",
    "sub_patch_symmetries",
    "patch_normalization",
    "shuffle_tones",
    "jpeg_decoding",
)


def add_settings(group: "argparse._ArgumentGroup") -> None:
    """Declare an encryption's settings; what is not given stays None or False, and takes its default."""
    group.add_argument(
        "--preset",
        metavar="NAME",
        help="Settings by name, which only a size goes with: classification, dense, strongest, reversible, "
        "paper-rs or paper-mi; `hipmr presets` tells what each leaves to an attacker. Default: "
        "classification, unless --strategy or a flag below it is given.",
    )
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
        help="Size before the encryption, or height and width. Default: 224, and for --strategy mi each "
        "image's own.",
    )
    group.add_argument(
        "--shorter-side",
        type=int,
        metavar="PIXELS",
        help="mi or dense, instead of --image-size: shorter side before the encryption; images keep their "
        "shape, as detectors need it, such as --shorter-side 800 --longer-side 1333.",
    )
    group.add_argument(
        "--longer-side",
        type=int,
        metavar="PIXELS",
        help="With it: most pixels of the longer side. Default: any.",
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
    group.add_argument(
        "--shuffle-tones",
        action="store_true",
        help="Deal the patches' means and contrasts out at random; not with --patch-normalization.",
    )
    group.add_argument(
        "--jpeg-decoding",
        choices=("reduced", "full"),
        help="reduced: a JPEG file to at least three times the size that it is resized to; full: all of "
        "it, as settings files that do not say mean. Default: reduced.",
    )


def given_settings(options: argparse.Namespace) -> list[str]:
    """Name the flags of the encryption that were given.

    Example:

        >>> given_settings(argparse.Namespace(**{**dict.fromkeys(_NAMES), "strategy": "mi"}))
        ['--strategy']
    """
    return [_flag(name) for name in _NAMES if getattr(options, name) not in (None, False)]


def settings_from(options: argparse.Namespace) -> "Encryption":
    """Build the encryption that the arguments describe.

    A preset is taken as a whole, and the default one where nothing but a size is given. Of settings that are
    given one by one, those that were not keep the strategy's default.
    """
    from ..encryption.base import Encryption
    from ..encryption.preset_table import DEFAULT_PRESET, PRESETS

    one_by_one = [flag for flag in given_settings(options) if flag not in map(_flag, ("preset", *_SIZES))]
    if options.preset is None and one_by_one:
        return _explicit(options)
    if one_by_one:
        raise InputValueError(
            f"--preset {options.preset}: got {' and '.join(one_by_one)} as well, but a preset is taken as a "
            f"whole; leave out either, or give all settings one by one as `hipmr presets` lists them."
        )
    name = options.preset or DEFAULT_PRESET
    mixes = name in PRESETS and PRESETS[name].strategy == "mi"
    size = _sides(options, mixes=mixes) or size_from(options.image_size)
    return Encryption.from_preset(name) if size is None else Encryption.from_preset(name, size)


def _explicit(options: argparse.Namespace) -> "Encryption":
    from ..encryption.mixing_up import MixingUp
    from ..encryption.random_shuffling import RandomShuffling

    shuffled_only = {"interval": options.interval, "drop_ratio": options.drop_ratio}
    given = {
        "image_size": _sides(options, mixes=options.strategy == "mi") or size_from(options.image_size),
        "patch_size": options.patch_size,
        "sub_patch_grid": options.sub_patch_grid,
        "sub_patch_symmetries": options.sub_patch_symmetries,
        "patch_normalization": options.patch_normalization,
        "shuffle_tones": options.shuffle_tones,
        "jpeg_decoding": options.jpeg_decoding,
        **shuffled_only,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if options.strategy != "mi":
        return RandomShuffling(**given)
    if foreign := [_flag(name) for name in shuffled_only if name in given]:
        raise InputValueError(f"{' and '.join(foreign)}: only --strategy rs has it; leave it out with mi.")
    return MixingUp(**given)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _sides(options: argparse.Namespace, *, mixes: bool) -> "Sides | None":
    from ..encryption.placement import Sides

    flags = {"--shorter-side": options.shorter_side, "--longer-side": options.longer_side}
    given = " and ".join(f"{flag} {value}" for flag, value in flags.items() if value is not None)
    if not given:
        return None
    if not mixes:
        raise InputValueError(
            f"{given}: only --strategy mi keeps the shape of each image, and --preset dense with it; leave "
            "it out with rs, which resizes to --image-size."
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


def size_from(values: list[int] | None) -> int | tuple[int, int] | None:
    """Read what `--image-size` was given: a number for a square, or height and width.

    Example:

        >>> size_from([64]), size_from([64, 64]), size_from([64, 96])
        (64, 64, (64, 96))
    """
    if values is None:
        return None
    if len(values) > 2:
        raise InputValueError(f"--image-size: got {values}, expected one number, or height and width.")
    # A square is written in one way, for settings that are written otherwise draw other permutations.
    return values[0] if len(set(values)) == 1 else (values[0], values[1])
