"""`hipmr decrypt`: the way back, for the holder of the key."""

import argparse
import sys
from typing import TYPE_CHECKING

from .hub_arguments import add_revision, add_token

if TYPE_CHECKING:
    from pathlib import Path

    from ..encryption import Encryption

EPILOG = """\
examples:
  hipmr decrypt encrypted --key-file my.key --output-dir plain
  hipmr decrypt me/scans --key-file my.key --output-dir plain --format png

What comes back are the pictures as they were resized and cropped for the encryption, not the original files,
and without their names. More: docs/owner.md"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `hipmr decrypt` takes."""
    parser.add_argument("encrypted", metavar="DIR", help="Folder or Hub repository of the encrypted dataset.")
    parser.add_argument("--key-file", metavar="KEY", required=True, help="Key that it was encrypted with.")
    parser.add_argument(
        "--output-dir", metavar="DIR", required=True, help="New folder; it is readable by you alone."
    )
    parser.add_argument(
        "--format",
        choices=("parquet", "png"),
        default="parquet",
        help="parquet: as load_dataset reads it; png: picture files, SPLIT/CLASS/NUMBER.png, with other "
        "columns in metadata.jsonl. Default: parquet.",
    )
    hub = parser.add_argument_group("the Hub")
    add_revision(hub)
    add_token(hub)


def run(options: argparse.Namespace) -> None:
    """Write the plain images and the other columns."""
    from pathlib import Path

    from ..dataset.decrypt import decrypt_dataset_folder
    from ..encryption.keys import SecretKey

    told: list[str] = []
    folder = decrypt_dataset_folder(
        options.encrypted,
        SecretKey.load(options.key_file),
        Path(options.output_dir),
        picture_files=options.format == "png",
        revision=options.revision,
        token=options.token,
        on_start=lambda encryption: told.append(_tell_before(encryption)),
    )
    _tell_after(folder, options.format, *told)


def _tell_before(encryption: "Encryption") -> str:
    from .settings_words import pixels_of

    size = pixels_of(encryption.encrypted_size)  # nothing was lost, so it is the plain one too
    told = (
        f"each picture comes back as it was resized and cropped for the encryption, {size} pixels, without "
        "a name; it is not the original file"
    )
    print(f"Decrypting: {told}.", file=sys.stderr)
    return told


def _tell_after(folder: "Path", format: str, told: str) -> None:
    from .summary import Summary, counted, rows_of, size_of

    if format == "png":
        rows = {place.name: sum(1 for _ in place.rglob("*.png")) for place in sorted(folder.iterdir())}
    else:
        rows = rows_of(folder)
    counts = ", ".join(f"{split}: {counted(count, 'picture')}" for split, count in rows.items())
    Summary(
        f"Plain dataset: {folder}",
        [f"{counts}; {size_of(folder)}", told],
        next_step="use it where only you can read it, and delete it after that: it is plain.",
    ).say()
