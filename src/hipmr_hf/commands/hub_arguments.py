"""The arguments that say who asks the Hub, and for which revision, which several commands share."""

import argparse
import contextlib
import os
from collections.abc import Iterator


def add_token(group: "argparse._ArgumentGroup") -> None:
    """Declare `--token`."""
    group.add_argument(
        "--token", metavar="TOKEN", help="Access token. Default: that of `hf auth login`, or HF_TOKEN."
    )


def add_revision(group: "argparse._ArgumentGroup") -> None:
    """Declare `--revision`."""
    group.add_argument(
        "--revision", metavar="REVISION", help="Branch, tag or commit to read. Default: the main branch."
    )


@contextlib.contextmanager
def token_in_use(token: str | None) -> Iterator[None]:
    """Have all that asks the Hub in this process, and in those it starts, use a token.

    Example:

        >>> with token_in_use("hf_mine"):
        ...     os.environ["HF_TOKEN"]
        'hf_mine'
    """
    before = os.environ.get("HF_TOKEN")
    if token is not None:
        os.environ["HF_TOKEN"] = token
    try:
        yield
    finally:
        if token is not None and before is None:
            del os.environ["HF_TOKEN"]
        elif token is not None:
            os.environ["HF_TOKEN"] = before
