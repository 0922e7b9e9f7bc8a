"""`hipmr keygen`: make a key file."""

import argparse

from ..errors import FileInUseError

EPILOG = """\
examples:
  hipmr keygen my.key
  hipmr encrypt my_pictures --output-dir encrypted --preset reversible --key-file my.key
  hipmr decrypt encrypted --output-dir plain --key-file my.key

A key undoes the shuffling, and --sub-patch-symmetries without a grid. It brings back pictures as they were
resized and cropped for the encryption, without their names. What --interval, --drop-ratio, --sub-patch-grid,
--patch-normalization and --shuffle-tones lose, and --strategy mi always loses, no key brings back.
More: docs/owner.md"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `hipmr keygen` takes."""
    parser.add_argument(
        "key_file", metavar="KEY", help="New key file. It is readable by you alone and never overwritten."
    )


def run(options: argparse.Namespace) -> None:
    """Write the key file and print the key's id, which is no secret."""
    from ..encryption.keys import SecretKey
    from .summary import Summary, command

    key = SecretKey.generate()
    try:
        key.save(options.key_file)
    except FileExistsError as error:
        raise FileInUseError(
            f"KEY: {options.key_file} exists, and a key is never overwritten; name another file."
        ) from error
    Summary(
        f"Key: {options.key_file}",
        [f"its id is {key.key_id}, which is no secret, and goes into the card of what it encrypts"],
        for_good="if this file is lost, nothing can be decrypted; keep a copy where others cannot read it.",
        next_step="hipmr encrypt SOURCE --output-dir DIR "
        + command("--preset", "reversible", "--key-file", options.key_file),
    ).say()
