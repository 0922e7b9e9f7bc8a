"""`hipmr decrypt`: the way back, for the holder of the key."""

import argparse

HELP = "Decrypt a dataset that was shuffled with a key and lost no pixels."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `hipmr decrypt` takes."""
    parser.add_argument("encrypted", metavar="DIR", help="Folder or Hub repository of the encrypted dataset.")
    parser.add_argument("--key-file", metavar="KEY", required=True, help="Key that it was encrypted with.")
    parser.add_argument(
        "--output-dir", metavar="DIR", required=True, help="New folder; it is readable by you alone."
    )


def run(options: argparse.Namespace) -> None:
    """Write the plain images and the other columns as parquet files."""
    from pathlib import Path

    from ..dataset.decrypt import decrypt_dataset_folder
    from ..encryption.keys import SecretKey

    folder = decrypt_dataset_folder(
        options.encrypted, SecretKey.load(options.key_file), Path(options.output_dir)
    )
    print(f"Plain dataset: {folder}")
