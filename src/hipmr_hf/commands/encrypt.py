"""`hipmr encrypt`: from plain images to a folder or repository that may be published."""

import argparse
import functools
from typing import TYPE_CHECKING

from ..errors import InputValueError
from .settings_arguments import add_settings, settings_from

if TYPE_CHECKING:
    from pathlib import Path

    from ..dataset.sources.listing import SourceOptions
    from ..encryption.keys import SecretKey

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
    settings = parser.add_argument_group("encryption")
    add_settings(settings)
    settings.add_argument(
        "--key-file", metavar="KEY", help="Key of `hipmr keygen`. Default: nobody can undo it."
    )
    _add_data_options(parser.add_argument_group("data"))
    hub = parser.add_argument_group("publishing")
    hub.add_argument("--push-to-hub", metavar="REPO", help="Dataset repository to publish the result in.")
    hub.add_argument("--license", metavar="ID", help="License for the dataset card, such as cc-by-4.0.")
    hub.add_argument("--private", action="store_true", help="Create that repository private.")


def _add_data_options(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--config-name", metavar="NAME", help="Which configuration of a Hub dataset.")
    group.add_argument(
        "--splits",
        choices=("folders", "none"),
        help="folders: each folder of SOURCE is a split; none: all is one. Default: as it looks.",
    )
    group.add_argument(
        "--labels",
        metavar="folders|none|COLUMN",
        help="folders: each folder is a class; none: no classes; or a column of SOURCE's table. Default: as "
        "it looks.",
    )
    group.add_argument(
        "--box-format",
        choices=("coco", "xyxy", "yolo", "xywh_share", "xyxy_share"),
        default="coco",
        help="How a table gives the boxes of objects: x, y, width, height in pixels (coco), corners (xyxy), "
        "centre and size as shares (yolo), or the first two as shares. Default: coco.",
    )
    group.add_argument(
        "--follow-links", action="store_true", help="Follow links that lead outside of SOURCE's folder."
    )
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
        help="Stop at, or leave out, a picture that cannot be encrypted. Its row is told, counted from 0; "
        "a folder's pictures are counted in the order of their paths. Default: raise.",
    )
    group.add_argument(
        "--max-pixels",
        type=int,
        metavar="N",
        help="Most pixels that a picture may have, against decompression bombs. Default: Pillow's 89478485.",
    )
    group.add_argument(
        "--shuffle-rows", action="store_true", help="Put the rows into random order, for order tells as well."
    )
    group.add_argument("--num-proc", type=int, metavar="N", help="Worker processes. Default: 1.")
    group.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="local: this machine; ray: all machines of a Ray cluster (docs/clusters.md). Default: local.",
    )
    group.add_argument(
        "--num-shards",
        type=int,
        metavar="N",
        help="Parquet files a split. Default: one for each 500 MB.",
    )


def run(options: argparse.Namespace) -> None:
    """Encrypt, write and, if asked, publish."""
    from pathlib import Path

    from ..dataset.job import EncryptionJob
    from ..dataset.run import encrypt_source

    key = _key(options)
    job = EncryptionJob(
        settings_from(options),
        key=None if options.engine == "ray" else key,
        image_column=options.image_column,
        keep_columns=None if options.keep_columns is None else tuple(options.keep_columns),
        image_format=options.image_format,
        jpeg_quality=options.jpeg_quality,
        on_error=options.on_error,
        shuffle_rows=options.shuffle_rows,
        box_format=options.box_format,
        max_pixels=options.max_pixels,
    )
    folder = encrypt_source(
        job,
        options.source,
        Path(options.output_dir),
        options=_source_options(options),
        num_proc=1 if options.num_proc is None else options.num_proc,
        engine=options.engine,
        key_file=options.key_file if options.engine == "ray" else None,
        num_shards=options.num_shards,
        repo_id=options.push_to_hub,
        license=options.license,
        on_complete=None if options.push_to_hub is None else functools.partial(_publish, options, key),
    )
    print(f"Encrypted dataset: {folder}")


def _source_options(options: argparse.Namespace) -> "SourceOptions":
    from ..dataset.sources.listing import SourceOptions

    return SourceOptions(
        image_column=options.image_column,
        config_name=options.config_name,
        splits=options.splits,
        labels=options.labels,
        follow_links=options.follow_links,
    )


def _key(options: argparse.Namespace) -> "SecretKey | None":
    from ..encryption.keys import SecretKey

    if options.engine == "ray" and options.num_proc is not None:
        raise InputValueError(
            f"--num-proc: got {options.num_proc} with --engine ray, which uses the processors that each "
            "machine gave to Ray; leave it out."
        )
    return None if options.key_file is None else SecretKey.load(options.key_file)


def _publish(options: argparse.Namespace, key: "SecretKey | None", folder: "Path") -> None:
    from ..hub.publishing import push_encrypted_folder

    keys = [] if key is None else [key]
    address = push_encrypted_folder(folder, options.push_to_hub, private=options.private, keys=keys)
    print(f"Published: {address}")
