"""`hipmr encrypt`: from plain images to a folder or repository that may be published."""

import argparse
import functools
import sys
from typing import TYPE_CHECKING

from ..errors import InputValueError
from .hub_arguments import add_token, token_in_use
from .settings_arguments import add_settings, settings_from

if TYPE_CHECKING:
    from pathlib import Path

    from ..dataset.job import EncryptionJob
    from ..dataset.phases import Phases
    from ..dataset.source import PlainSource
    from ..dataset.sources.listing import SourceOptions
    from ..encryption.keys import SecretKey

EPILOG = """\
examples:
  hipmr encrypt my_pictures --output-dir encrypted
  hipmr encrypt my_pictures --output-dir encrypted --preset strongest
                                                   leaves an attacker less, and a model too
  hipmr encrypt my_pictures --output-dir encrypted --preset dense --shorter-side 800
                                                   for boxes and masks
  hipmr encrypt my_pictures --output-dir encrypted --preset reversible --key-file my.key
                                                   whoever has the key can undo it
  hipmr encrypt my_pictures --output-dir encrypted --push-to-hub me/scans --private

A run that was stopped goes on when the same command is given again. More: docs/owner.md"""

_MAX_NAMES = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `hipmr encrypt` takes."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        nargs="+",
        help="A folder of pictures (flat, or folders of classes or splits, or with metadata.csv), a CSV of "
        "paths, COCO, YOLO or Pascal VOC, a zip or tar of these, WebDataset's tar files, Parquet files or a "
        "folder of them, one picture, or a dataset on the Hub.",
    )
    parser.add_argument("--output-dir", metavar="DIR", required=True, help="New folder for the result.")
    settings = parser.add_argument_group("encryption", "Default: --preset classification.")
    add_settings(settings)
    settings.add_argument(
        "--key-file",
        metavar="KEY",
        help="Key of `hipmr keygen`, with which pictures can be brought back as they were resized and "
        "cropped; for settings that lose no pixels, such as --preset reversible. Default: nobody can undo "
        "it.",
    )
    settings.add_argument(
        "--irreversible",
        action="store_true",
        help="Take a key with settings that lose pixels: it can repeat the encryption, and undo nothing.",
    )
    _add_data_options(parser.add_argument_group("data"))
    _add_hub_options(parser.add_argument_group("the Hub"))


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
        help="folders: each folder is a class; none: no classes; or a column of SOURCE, whose values become "
        "classes; lists make several classes a picture. Default: as it looks.",
    )
    group.add_argument(
        "--box-format",
        choices=("coco", "xyxy", "yolo", "xywh_share", "xyxy_share"),
        help="How the boxes of objects are given: x, y, width, height in pixels (coco), corners (xyxy), "
        "centre and size as shares (yolo), or the first two as shares. Default: as SOURCE's layout has them, "
        "else coco.",
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
    group.add_argument(
        "--mask-column",
        metavar="NAME",
        help="Column of maps of classes (masks), to publish beside the image, for --strategy mi; for a "
        "folder with images/ and masks/ say mask. They follow the pictures, and show each scene's outline.",
    )
    group.add_argument(
        "--image-format",
        choices=("png", "png-fast", "jpeg", "webp"),
        default="png",
        help="png-fast: PNG, written in a quarter of the time, some 8 %% larger; needs the extra fast. "
        "webp: lossless. Default: png.",
    )
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


def _add_hub_options(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--push-to-hub",
        metavar="REPO_ID",
        help="Dataset repository to publish the result in. Login and rights are checked before the work.",
    )
    group.add_argument("--private", action="store_true", help="Create that repository private.")
    group.add_argument("--license", metavar="ID", help="License for the dataset card, such as cc-by-4.0.")
    group.add_argument(
        "--commit-message", metavar="TEXT", help="Of the commit that publishes it. Default: one of ours."
    )
    group.add_argument(
        "--revision",
        metavar="REVISION",
        help="Branch, tag or commit of a SOURCE on the Hub. Default: its main branch.",
    )
    add_token(group)


def run(options: argparse.Namespace) -> None:
    """Encrypt, write and, if asked, publish."""
    with token_in_use(options.token):
        _encrypt(options)


def _encrypt(options: argparse.Namespace) -> None:
    from pathlib import Path

    from ..dataset.phases import Phases
    from ..dataset.run import encrypt_source

    key = _key(options)
    job = _job(options, key)
    published: list[str] = []
    if options.push_to_hub is not None:
        from ..dataset.unfinished import check_is_free_or_unfinished
        from ..hub.publishing import check_can_push

        check_is_free_or_unfinished(Path(options.output_dir))
        check_can_push(options.push_to_hub)
    phases = Phases()
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
        on_start=functools.partial(_tell_before, job),
        on_complete=None
        if options.push_to_hub is None
        else functools.partial(_publish, options, key, published),
        phases=phases,
    )
    _tell_after(options, job, key, folder, published, phases)


def _job(options: argparse.Namespace, key: "SecretKey | None") -> "EncryptionJob":
    import dataclasses

    from ..dataset.job import EncryptionJob

    job = EncryptionJob(
        settings_from(options),
        key=key,
        image_column=options.image_column,
        keep_columns=None if options.keep_columns is None else tuple(options.keep_columns),
        image_format=options.image_format,
        jpeg_quality=options.jpeg_quality,
        on_error=options.on_error,
        shuffle_rows=options.shuffle_rows,
        irreversible=options.irreversible,
        box_format=options.box_format,
        max_pixels=options.max_pixels,
        mask_column=options.mask_column,
    )
    # With Ray a key never travels: each machine reads it.
    return dataclasses.replace(job, key=None) if options.engine == "ray" else job


def _source_options(options: argparse.Namespace) -> "SourceOptions":
    from pathlib import Path

    from ..dataset.sources.listing import SourceOptions

    if options.revision is not None and Path(options.source[0]).exists():
        raise InputValueError(
            f"--revision: got {options.revision!r}, but SOURCE lies on this machine; leave it out."
        )
    return SourceOptions(
        image_column=options.image_column,
        config_name=options.config_name,
        splits=options.splits,
        labels=options.labels,
        follow_links=options.follow_links,
        revision=options.revision,
        mask_column=options.mask_column,
    )


def _key(options: argparse.Namespace) -> "SecretKey | None":
    from ..encryption.keys import SecretKey

    if options.engine == "ray" and options.num_proc is not None:
        raise InputValueError(
            f"--num-proc: got {options.num_proc} with --engine ray, which uses the processors that each "
            "machine gave to Ray; leave it out."
        )
    return None if options.key_file is None else SecretKey.load(options.key_file)


def _publish(
    options: argparse.Namespace, key: "SecretKey | None", published: list[str], folder: "Path"
) -> None:
    from ..errors import hub_told
    from ..hub.publishing import push_encrypted_folder

    with hub_told(f"the push to {options.push_to_hub}"):
        address = push_encrypted_folder(
            folder,
            options.push_to_hub,
            private=options.private,
            keys=[] if key is None else [key],
            commit_message=options.commit_message,
        )
    published.append(address)


def _tell_before(job: "EncryptionJob", source: "PlainSource") -> None:
    from .settings_words import left_to_attackers, size_change
    from .size_warnings import warn_of_sizes

    print(f"Found {source.told()}.", file=sys.stderr)
    print(f"Encrypting: {size_change(job.encryption)}.", file=sys.stderr)
    print(left_to_attackers(job.encryption), file=sys.stderr)
    warn_of_sizes(job.encryption, source, job.image_column)


def _tell_after(
    options: argparse.Namespace,
    job: "EncryptionJob",
    key: "SecretKey | None",
    folder: "Path",
    published: list[str],
    phases: "Phases",
) -> None:
    from .settings_words import left_to_attackers, size_change
    from .summary import Summary, command, size_of

    facts = [*_account(folder), size_of(folder), phases.told(), size_change(job.encryption)]
    facts.append(left_to_attackers(job.encryption))
    Summary(
        f"Encrypted dataset: {folder}",
        facts + [f"Published: {address}" for address in published],
        for_good=_for_good(options, job, key),
        next_step=command(
            "hipmr", "audit", *options.source, "--card", folder, "--output-dir", f"{folder}-audit"
        ),
    ).say()


def _account(folder: "Path") -> list[str]:
    """Say what became of every file; names are for the owner's eyes, and go to no log."""
    from ..dataset.sources.account import Account, account_path
    from .summary import counted, rows_of

    path = account_path(folder)
    if not path.exists():  # the owner has put it away before the push was repeated
        return [f"{split}: {counted(count, 'row')}" for split, count in rows_of(folder).items()]
    account = Account.load(path)
    if not account.num_skipped:
        return account.lines()
    if sys.stderr.isatty():
        names = [item for skipped in account.skipped.values() for item in skipped.items()]
        for name, reason in names[:_MAX_NAMES]:
            print(f"Left out: {name}: {reason}", file=sys.stderr)
    return [*account.lines(), f"each by name: {path} (yours alone; it is never published)"]


def _for_good(options: argparse.Namespace, job: "EncryptionJob", key: "SecretKey | None") -> str:
    if key is None:
        return "without a key you cannot bring the pictures back from it; keep your own."
    if job.encryption.losses:
        return (
            f"{', '.join(job.encryption.losses)} lost pixels, and key {key.key_id} does not bring them back; "
            "keep your own."
        )
    return (
        f"whoever has key {key.key_id} can undo the encryption, but not the resizing and cropping, and names "
        f"are gone; keep your own, and a copy of {options.key_file}."
    )
