"""What must hold when a soak is over: every good row once, no other row, and nothing plain in any file."""

import dataclasses
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow.parquet as pq

from hipmr_hf.encryption import Encryption
from hipmr_hf.images.reading import read_image
from soak.pictures import MARKER, PATCH_SIZE, ROW, is_ruined, picture

_NEEDLES = {
    "a plain file or name": MARKER,
    "plain pixels": ROW[:, :40].tobytes(),
    "plain gray pixels": np.array(PIL.Image.fromarray(ROW).convert("L"))[:, :40].tobytes(),
}
_PIECE_BYTES = 2**24


@dataclasses.dataclass
class RowCheck:
    """What the rows of an encrypted dataset are.

    Args:
        rows: how many there are.
        lost, doubled: labels of good rows that are missing, or stand more than once.
        unwanted: labels of rows that were ruined, or never given.
        foreign: labels whose pixels are not those of their plain picture.
        plain: labels whose patches lie where they were.
        shared_nonces: nonces that come more than once.
    """

    rows: int = 0
    lost: list[int] = dataclasses.field(default_factory=list)
    doubled: list[int] = dataclasses.field(default_factory=list)
    unwanted: list[int] = dataclasses.field(default_factory=list)
    foreign: list[int] = dataclasses.field(default_factory=list)
    plain: list[int] = dataclasses.field(default_factory=list)
    shared_nonces: int = 0


def check_rows(folder: Path, numbers: Iterable[int], encryption: Encryption, *, every: int = 1) -> RowCheck:
    """Compare every row of an encrypted dataset with the plain picture that its label names.

    Args:
        folder: with Parquet files, of a finished dataset or of pieces of one.
        numbers: of the rows that were given; those that are not ruined are wanted.
        encryption: random shuffling that loses nothing.
        every: look into the pixels of one row of so many; counts are of all rows.
    """
    found, labels, nonces = RowCheck(), Counter(), Counter()
    for path in sorted(folder.rglob("*.parquet")):
        for batch in pq.ParquetFile(path, pre_buffer=False).iter_batches(batch_size=256):
            for row in batch.to_pylist():
                labels[row["label"]] += 1
                nonces[row.get("nonce")] += 1
                if labels.total() % every == 0:
                    _check_pixels(row["image"]["bytes"], row["label"], encryption, found)
    wanted = {number for number in numbers if not is_ruined(number)}
    found.rows = labels.total()
    found.lost = sorted(wanted - labels.keys())
    found.doubled = sorted(label for label, count in labels.items() if count > 1)
    found.unwanted = sorted(labels.keys() - wanted)
    found.shared_nonces = sum(count > 1 for nonce, count in nonces.items() if nonce is not None)
    return found


def _check_pixels(file: bytes, label: int, encryption: Encryption, found: RowCheck) -> None:
    encrypted, plain = read_image(file), encryption.prepare(read_image(picture(label)))
    if encrypted.shape != plain.shape or (_sorted_patches(encrypted) != _sorted_patches(plain)).any():
        found.foreign.append(label)
    elif (encrypted == plain).all():
        found.plain.append(label)


def _sorted_patches(pixels: np.ndarray) -> np.ndarray:
    """Return the patches as sorted byte strings: their order is gone."""
    rows, columns = (side // PATCH_SIZE for side in pixels.shape[:2])
    cut = pixels.reshape(rows, PATCH_SIZE, columns, PATCH_SIZE, 3).swapaxes(1, 2)
    return np.sort(
        np.ascontiguousarray(cut).reshape(rows * columns, -1).view(f"S{PATCH_SIZE**2 * 3}"), axis=0
    )


def find_plain(root: Path, *, apart_from: set[Path], seen: dict[Path, tuple[int, int]]) -> list[str]:
    """Search every file below a folder for plain files, names and rows of pixels.

    Args:
        root: the folder; names of files count as well.
        apart_from: the folder of the plain source, and what is for the owner alone.
        seen: size and time of files that were searched before; searched again only if they changed.

    Returns:
        A line for each finding.
    """
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if Path(folder, name) not in apart_from]
        for path in {Path(folder, name) for name in names} - apart_from:
            try:
                state = path.stat()
                if seen.get(path) != (state.st_size, state.st_mtime_ns):
                    seen[path] = state.st_size, state.st_mtime_ns
                    found += [f"{path.relative_to(root)} holds {what}" for what in _needles_in(path)]
            except FileNotFoundError:  # a run is at work
                continue
    return found


def _needles_in(path: Path) -> list[str]:
    tail = os.fsencode(path.name)
    found = {what for what, needle in _NEEDLES.items() if needle in tail}
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            found |= {what for what, needle in _NEEDLES.items() if needle in tail + piece}
            tail = piece[-256:]
    return sorted(found)
