"""`hipmr keygen`: make a key file."""

import argparse

from ..errors import FileInUseError

HELP = "Make a secret key, for encryptions that its holder can undo or repeat."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `hipmr keygen` takes."""
    parser.add_argument(
        "key_file", metavar="KEY", help="New key file. It is readable by you alone and never overwritten."
    )


def run(options: argparse.Namespace) -> None:
    """Write the key file and print the key's id, which is no secret."""
    from ..encryption.keys import SecretKey

    key = SecretKey.generate()
    try:
        key.save(options.key_file)
    except FileExistsError as error:
        raise FileInUseError(
            f"KEY: {options.key_file} exists, and a key is never overwritten; name another file."
        ) from error
    print(
        f"Wrote {options.key_file} with key {key.key_id}. Keep a copy: without it nothing can be decrypted."
    )
