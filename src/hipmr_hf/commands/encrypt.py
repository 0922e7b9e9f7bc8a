"""`hipmr encrypt`: from plain images to a folder or repository that may be published."""

import argparse
import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ..encryption import Encryption, Sides
    from ..keys import SecretKey

HELP = "Encrypt an image folder, parquet files or a Hub dataset; no plain copy is made."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `hipmr encrypt` takes."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        nargs="+",
        help="Image folder (classes as sub-folders, or metadata.csv), folder or files of parquet, "
        "or a dataset on the Hub.",
    )
    parser.add_argument("--output-dir", metavar="DIR", required=True, help="New folder for the result.")
    _add_settings(parser.add_argument_group("encryption"))
    _add_data_options(parser.add_argument_group("data"))
    hub = parser.add_argument_group("publishing")
    hub.add_argument("--push-to-hub", metavar="REPO", help="Dataset repository to publish the result in.")
    hub.add_argument("--license", metavar="ID", help="License for the dataset card, such as cc-by-4.0.")
    hub.add_argument("--private", action="store_true", help="Create that repository private.")


def _add_settings(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--strategy",
        choices=("rs", "mi"),
        default="rs",
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
    group.add_argument("--patch-size", type=int, default=16, metavar="PIXELS", help="Default: 16.")
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
        "--key-file", metavar="KEY", help="Key of `hipmr keygen`. Default: nobody can undo it."
    )


def _add_data_options(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--config-name", metavar="NAME", help="Which configuration of a Hub dataset.")
    group.add_argument("--image-column", default="image", metavar="NAME", help="Default: image.")
    group.add_argument(
        "--keep-columns",
        nargs="*",
        metavar="NAME",
        help="Columns to publish beside the image, as they are. Default: label, objects.",
    )
    group.add_argument("--image-format", choices=("png", "jpeg", "webp"), default="png", help="Default: png.")
    group.add_argument("--jpeg-quality", type=int, default=95, metavar="1..100", help="Default: 95.")
    group.add_argument(
        "--on-error",
        choices=("raise", "skip"),
        default="raise",
        help="Stop at, or leave out, a picture that cannot be encrypted. Default: raise.",
    )
    group.add_argument(
        "--shuffle-rows", action="store_true", help="Put the rows into random order, for order tells as well."
    )
    group.add_argument("--num-proc", type=int, default=1, metavar="N", help="Worker processes. Default: 1.")


def run(options: argparse.Namespace) -> None:
    """Encrypt, write and, if asked, publish."""
    from pathlib import Path

    from ..keys import SecretKey
    from ..resumable_encryption import EncryptionJob, encrypt_source

    encryption = settings_from(options)
    key = None if options.key_file is None else SecretKey.load(options.key_file)
    job = EncryptionJob(
        encryption,
        key=key,
        image_column=options.image_column,
        keep_columns=None if options.keep_columns is None else tuple(options.keep_columns),
        image_format=options.image_format,
        jpeg_quality=options.jpeg_quality,
        on_error=options.on_error,
        shuffle_rows=options.shuffle_rows,
    )
    folder = encrypt_source(
        job,
        options.source,
        Path(options.output_dir),
        config_name=options.config_name,
        num_proc=options.num_proc,
        repo_id=options.push_to_hub,
        license=options.license,
        on_complete=None if options.push_to_hub is None else functools.partial(_publish, options, key),
    )
    print(f"Encrypted dataset: {folder}")


def _publish(options: argparse.Namespace, key: "SecretKey | None", folder: "Path") -> None:
    from ..publishing import push_encrypted_folder

    keys = [] if key is None else [key]
    address = push_encrypted_folder(folder, options.push_to_hub, private=options.private, keys=keys)
    print(f"Published: {address}")


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
    if options.strategy == "rs":
        return RandomShuffling(**given)
    if foreign := [f"--{name.replace('_', '-')}" for name in shuffled_only if name in given]:
        raise ValueError(f"{' and '.join(foreign)}: only --strategy rs has it; leave it out with mi.")
    return MixingUp(**given)


def _sides(options: argparse.Namespace) -> "Sides | None":
    from ..encryption import Sides

    flags = {"--shorter-side": options.shorter_side, "--longer-side": options.longer_side}
    given = " and ".join(f"{flag} {value}" for flag, value in flags.items() if value is not None)
    if not given:
        return None
    if options.strategy != "mi":
        raise ValueError(
            f"{given}: only --strategy mi keeps the shape of each image; leave it out with rs, which resizes "
            "to --image-size."
        )
    if options.image_size is not None:
        raise ValueError(f"{given}: got --image-size as well, which fixes both sides; leave one of them out.")
    if options.shorter_side is None:
        raise ValueError(f"{given}: it only limits --shorter-side; give that too, or --image-size instead.")
    return Sides(options.shorter_side, options.longer_side)


def _size(values: list[int] | None) -> int | tuple[int, int] | None:
    if values is None:
        return None
    if len(values) > 2:
        raise ValueError(f"--image-size: got {values}, expected one number, or height and width.")
    return values[0] if len(values) == 1 else (values[0], values[1])
