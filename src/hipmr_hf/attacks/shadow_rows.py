"""Which rows a shadow model saw: how they are dealt, named and remembered beside its checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..errors import InputValueError, MissingFileError
from ..files import write_whole

ROWS_FILE = "trained_on.txt"
"""In the folder of a shadow model: a line for each row that it was trained on."""
_DIGEST_BYTES = 16


def row_name(encrypted: bytes) -> str:
    """Name a row by its encrypted picture, as the published file holds it.

    Example:
        >>> row_name(b"a PNG file")
        '7bf57f5d17466b5e98a5a889ee538ad4'
    """
    return hashlib.blake2b(encrypted, digest_size=_DIGEST_BYTES).hexdigest()


def deal_rows(num_rows: int, num_models: int, seed: int = 0) -> np.ndarray:
    """Deal every row to half of the models, to one more or less where they are odd.

    Args:
        num_rows: that there are.
        num_models: at least 2.
        seed: of the dealing.

    Returns:
        bool (num_models, num_rows).

    Raises:
        InputValueError: fewer than 2 models.

    Example:
        >>> dealt = deal_rows(100, 4)
        >>> dealt.shape, set(dealt.sum(axis=0).tolist())
        ((4, 100), {2})
    """
    if num_models < 2:
        raise InputValueError(
            f"num_models: got {num_models}, expected at least 2, so that each row is left out once."
        )
    order = np.random.default_rng(seed).random((num_models, num_rows)).argsort(axis=0)
    half = np.where(np.arange(num_rows) % 2, num_models // 2, (num_models + 1) // 2)
    return order < half


def save_rows(folder: Path, names: Iterable[str]) -> None:
    """Write down which rows a shadow model was trained on; a folder that has this file is finished."""
    write_whole(folder / ROWS_FILE, "".join(f"{name}\n" for name in sorted(names)))


def shadow_folders(root: Path) -> dict[Path, set[str]]:
    """Find the shadow models below a folder, each with the names of the rows that it saw.

    Raises:
        MissingFileError: there are none.
    """
    found = {path.parent: set(path.read_text().split()) for path in sorted(root.glob(f"*/{ROWS_FILE}"))}
    if not found:
        raise MissingFileError(
            f"--shadows: {root} has no folder with a {ROWS_FILE}; train shadow models with "
            "examples/train_shadow_models.py."
        )
    return found
