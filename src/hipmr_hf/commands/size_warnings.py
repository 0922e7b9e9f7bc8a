"""What `hipmr encrypt` says where the patch does not fit the faces and letters of the pictures."""

import itertools
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from ..dataset.source import PlainSource
    from ..dataset.sources.splits import Split
    from ..encryption.base import Encryption

PICTURES = 8
"""Most pictures that are looked at."""
SECONDS = 3.0
"""After which no further one is."""


def warn_of_sizes(encryption: "Encryption", source: "PlainSource", image_column: str) -> None:
    """Look at a few pictures of this machine, where the recognisers are installed, and warn at the terminal.

    Args:
        encryption: the settings.
        source: that is to be encrypted; streams from the Hub are left alone.
        image_column: of the pictures.
    """
    from ..recognisers.base import FACE_LIBRARIES, WORD_LIBRARIES, is_there

    if not is_there(*FACE_LIBRARIES) and not is_there(*WORD_LIBRARIES):
        return
    from ..recognisers.sizes import measure_sizes, size_warnings

    sizes = measure_sizes(_sampled(encryption, source, image_column), seconds=SECONDS)
    for warning in size_warnings(encryption, sizes):
        print(f"Warning, of {sizes.pictures} pictures that were looked at: {warning}.", file=sys.stderr)


def _sampled(encryption: "Encryption", source: "PlainSource", image_column: str) -> Iterator["np.ndarray"]:
    """Yield pictures as the settings prepare them; one that cannot be read is told when it is encrypted."""
    from ..dataset.rows import file_of
    from ..images.reading import read_image

    rows = itertools.chain.from_iterable(_rows(split, image_column) for split in source.splits.values())
    for image in itertools.islice(rows, PICTURES):
        try:
            yield encryption.prepare(read_image(file_of(image())))
        except UserError:
            continue


def _rows(split: "Split", image_column: str) -> Iterator[Any]:
    """Yield what reads a picture's file, from all over a folder, but from the start of Parquet files."""
    from ..dataset.sources.splits import ListedSplit
    from ..dataset.sources.streams import StreamSplit

    if isinstance(split, StreamSplit):  # to read it twice may mean to download it twice
        return
    step = max(1, (split.num_rows or 1) // PICTURES) if isinstance(split, ListedSplit) else 1
    for image, _ in itertools.islice(split.unread(image_column, None), 0, None, step):
        yield image
