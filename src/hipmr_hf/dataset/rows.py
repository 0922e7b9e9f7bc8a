"""Turn one batch of plain rows into encrypted rows: the function that `datasets` maps."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ..encryption.box_formats import suspicious, to_coco
from ..encryption.boxes import OBJECT_FIELDS, as_lists, move_objects
from ..encryption.decoding import Sized
from ..encryption.keys import SecretKey, new_nonce
from ..encryption.masks import move_mask
from ..encryption.placement import place
from ..errors import ImageReadingError, InputValueError
from ..images.label_maps import encode_label_map, read_label_map
from ..images.reading import read_image
from ..images.writing import encode_image
from ..layout import MASK_COLUMN, NONCE_COLUMN, OBJECTS_COLUMN, __version__

if TYPE_CHECKING:
    from ..encryption.base import Encryption

# Carried through the map and dropped after it, so that the counts are right when the result comes from a
# cache.
ROW_NUMBER_COLUMN = "__hipmr_row_number"
DROPPED_BOXES_COLUMN = "__hipmr_dropped_boxes"

# Prepared images of one size wait until a stack has this many bytes, so that large images do not fill the
# memory.
_STACK_BYTES = 64 * 2**20


class RowEncryptionError(InputValueError):
    """A row cannot be encrypted. The message tells its number and the reason, never a path or a name.

    Args:
        row: its number, counted from 0.
        reason: why.
        split: its split, where that is known.
    """

    def __init__(self, row: int, reason: str, split: str | None = None) -> None:
        super().__init__(row, reason, split)

    def __str__(self) -> str:
        row, reason, split = self.args
        return (
            f"{f'{split}, ' if split else ''}row {row} (counted from 0) cannot be encrypted: {reason} "
            "Mend or remove the row, or leave such rows out with on_error='skip' (--on-error skip)."
        )

    def in_split(self, split: str, before: int) -> RowEncryptionError:
        """Return the same error, with the row counted from the beginning of its split."""
        return RowEncryptionError(self.args[0] + before, self.args[1], split)


@dataclasses.dataclass(frozen=True)
class RowEncryption:
    """Encrypt the images of a batch of rows, and let the kept columns go along.

    `datasets` hashes the pickled state of this object to find a cached result. So the state holds all that
    the result depends on: settings, options, the release, and the key, which pickles as its id. The class
    stands in a module of its own, so that workers import numpy, PIL and `datasets` with it, and never torch.

    Args:
        encryption: the settings.
        image_column: the column of plain images, as {"bytes", "path"} dicts, files' bytes, PIL images or
            arrays.
        kept_columns: columns that go along; "objects" follow the encryption.
        key: draws the permutations again; None for permutations that nobody can draw again.
        image_format, jpeg_quality: see `encode_image`.
        on_error: "raise" or "skip" a row that cannot be encrypted.
        object_fields: what an object holds when it leaves, in each row.
        count_rows: add the columns that `encrypt_dataset` counts rows and boxes with.
        on_refused: called with the numbers of the skipped rows of a batch. For streaming only: it is part of
            the pickled state.
        box_format: how the boxes of objects are given, a name of `box_formats.BOX_FORMATS`.
        max_pixels: see `read_image`.
        mask_column: a column of maps of classes, which follow the encryption and leave as "mask".
        version: the release whose code makes the rows.

    Example:

        >>> from hipmr_hf.encryption import MixingUp
        >>> encrypt = RowEncryption(MixingUp(patch_size=8), "image", ("label",))
        >>> rows = encrypt({"image": [np.zeros((16, 24, 3), np.uint8)], "label": [3]}, [0])
        >>> rows["label"], read_image(rows["image"][0]["bytes"]).shape, rows["image"][0]["path"]
        ([3], (8, 12, 3), None)
    """

    encryption: Encryption
    image_column: str
    kept_columns: tuple[str, ...]
    key: SecretKey | None = None
    image_format: str = "png"
    jpeg_quality: int = 95
    on_error: str = "raise"
    object_fields: tuple[str, ...] = OBJECT_FIELDS
    count_rows: bool = False
    on_refused: Callable[[list[int]], None] | None = None
    box_format: str = "coco"
    max_pixels: int | None = None
    mask_column: str | None = None
    version: str = __version__

    @property
    def source_columns(self) -> list[str]:
        """Columns of the plain rows that are read."""
        return [self.image_column, *self.kept_columns, *([self.mask_column] if self.mask_column else [])]

    def __call__(
        self, batch: Mapping[str, Sequence[Any]], row_numbers: Sequence[int]
    ) -> dict[str, list[Any]]:
        """Encrypt a batch; rows that are skipped are missing in what comes back.

        Raises:
            RowEncryptionError: a row cannot be encrypted and on_error is "raise".
        """
        columns, refused = self.encrypt(batch, row_numbers)
        if self.on_refused is not None and refused:
            self.on_refused([number for number, _ in refused])
        return columns

    def encrypt(
        self, batch: Mapping[str, Sequence[Any]], row_numbers: Sequence[int]
    ) -> tuple[dict[str, list[Any]], list[tuple[int, str]]]:
        """Encrypt a batch, and tell the numbers of the rows that are skipped, with the reason.

        Raises:
            RowEncryptionError: a row cannot be encrypted and on_error is "raise".
        """
        columns = {name: batch[name] for name in self.source_columns}
        rows = [_Row(number, **self._split(columns, i)) for i, number in enumerate(row_numbers)]
        stacks: dict[tuple[int, ...], list[_Row]] = defaultdict(list)
        for row in rows:
            self._attempt(self._prepare, row)
            if row.pixels is None:
                continue
            stack = stacks[row.pixels.shape]
            stack.append(row)
            if len(stack) * row.pixels.nbytes >= _STACK_BYTES:
                self._encrypt_in_memory(stacks.pop(row.pixels.shape))
        for stack in stacks.values():
            self._encrypt_in_memory(stack)
        return self._collect(rows), [(row.number, row.reason) for row in rows if row.file is None]

    def _split(self, columns: dict[str, Sequence[Any]], position: int) -> dict[str, Any]:
        kept = {name: columns[name][position] for name in self.kept_columns}
        mask = columns[self.mask_column][position] if self.mask_column else None
        return {"image": columns[self.image_column][position], "kept": kept, "mask": mask}

    def _attempt(self, step: Callable[[_Row], None], row: _Row) -> None:
        """Do a step on a row; a row that cannot be encrypted raises here or stays without a file."""
        try:
            return step(row)
        except InputValueError as error:  # of this package: its text holds no path and no name
            row.reason = str(error)
        except MemoryError:
            row.reason = "the image needs more memory than there is."
        row.pixels = None
        if self.on_error == "raise":
            raise RowEncryptionError(row.number, row.reason)

    def _prepare(self, row: _Row) -> None:
        sized = Sized(self.encryption)
        plain = read_image(file_of(row.image), max_pixels=self.max_pixels, least=sized)
        height, width = sized.size or plain.shape[:2]  # as it was before it was decoded to fewer pixels
        placement = self.encryption.placement(height, width)
        pixels = place(plain, placement, stretches=sized.stretches(plain))
        if OBJECTS_COLUMN in row.kept:
            objects, row.dropped_boxes = move_objects(
                self._in_coco(row.kept[OBJECTS_COLUMN], (height, width)),
                placement,
                image_size=(height, width),
                sub_patch_grid=self.encryption.sub_patch_grid,
            )
            row.kept[OBJECTS_COLUMN] = {name: objects.get(name, []) for name in self.object_fields}
        if self.mask_column is not None:
            row.mask = self._moved_mask(row.mask, (height, width))
        row.pixels = pixels

    def _moved_mask(self, mask: Any, size: tuple[int, int]) -> bytes:
        """Return the file of a mask that went where its picture did."""
        if mask is None or (isinstance(mask, dict) and mask.get("bytes") is mask.get("path") is None):
            raise InputValueError("mask: the row has none.")
        try:
            labels = read_label_map(file_of(mask), max_pixels=self.max_pixels)
        except ImageReadingError as error:  # of this package: its text holds no path and no name
            raise InputValueError(f"mask: {error}") from None
        if labels.shape != size:
            raise InputValueError(
                f"mask: it has {labels.shape[0]}x{labels.shape[1]} pixels (height x width), and its picture "
                f"{size[0]}x{size[1]}."
            )
        grid = self.encryption.sub_patch_grid
        return encode_label_map(move_mask(labels, self.encryption.placement(*size), sub_patch_grid=grid))

    def _in_coco(self, objects: Any, size: tuple[int, int]) -> dict[str, Sequence[Any]]:
        """Bring boxes to COCO's format, and refuse those that can hardly be what they are said to be."""
        fields = as_lists(objects)
        if self.box_format == "coco":
            if (problem := suspicious(fields["bbox"], size)) is not None:
                raise InputValueError(f"objects: {problem}.")
            return fields
        return {**fields, "bbox": [to_coco(box, self.box_format, size) for box in fields["bbox"]]}

    def _encrypt_in_memory(self, stack: list[_Row]) -> None:
        """Encrypt a stack, or, where memory does not last for it, its rows one by one."""
        with contextlib.suppress(MemoryError):
            return self._encrypt(stack)
        for row in stack:
            self._attempt(lambda row: self._encrypt([row]), row)

    def _encrypt(self, stack: list[_Row]) -> None:
        pixels = np.stack([row.pixels for row in stack])
        nonces = None if self.key is None else [new_nonce() for _ in stack]
        # Nonces of 16 random bytes do not come twice, and need not be remembered by each worker.
        encrypted = self.encryption.encrypt_batch(pixels, key=self.key, nonces=nonces, remember_nonces=False)
        for i, row in enumerate(stack):
            row.pixels, row.nonce = encrypted[i], nonces[i] if nonces else None
            self._attempt(self._write, row)

    def _write(self, row: _Row) -> None:
        row.file = encode_image(row.pixels, self.image_format, jpeg_quality=self.jpeg_quality)
        row.pixels = None

    def _collect(self, rows: list[_Row]) -> dict[str, list[Any]]:
        done = [row for row in rows if row.file is not None]
        # Fresh bytes and no path: with a path, `datasets` may store the plain file or its name instead.
        columns: dict[str, list[Any]] = {
            self.image_column: [{"bytes": row.file, "path": None} for row in done]
        }
        columns |= {name: [row.kept[name] for row in done] for name in self.kept_columns}
        if self.mask_column is not None:
            columns[MASK_COLUMN] = [{"bytes": row.mask, "path": None} for row in done]
        if self.key is not None:
            columns[NONCE_COLUMN] = [row.nonce for row in done]
        if self.count_rows:
            columns[ROW_NUMBER_COLUMN] = [row.number for row in done]
            columns[DROPPED_BOXES_COLUMN] = [row.dropped_boxes for row in done]
        return columns


@dataclasses.dataclass
class _Row:
    """A row on its way: `pixels` while it is worked on, `file` once encrypted, or the `reason`.

    `mask` is what the source has, and then the file that leaves.
    """

    number: int
    image: Any
    kept: dict[str, Any]
    mask: Any = None
    dropped_boxes: int = 0
    pixels: np.ndarray | None = None
    nonce: bytes | None = None
    file: bytes | None = None
    reason: str = ""


def file_of(value: Any) -> Any:
    """Return what `read_image` takes for one value of an undecoded image column.

    Raises:
        ImageReadingError: there is no image, or its file cannot be opened; the message holds no path.

    Example:

        >>> file_of({"bytes": b"file", "path": None})
        b'file'
    """
    if isinstance(value, ImageReadingError):  # of whoever tried to read it before
        raise value
    if not isinstance(value, dict):
        image, path = value, None
    else:
        image, path = value.get("bytes"), value.get("path")
    if image is not None:
        return image
    if path is None:
        raise ImageReadingError("the row has no image.")
    try:
        with _opened(path) as file:
            return file.read()
    except Exception as error:  # of the file system, local or remote; its text holds the path
        problem = f"the file of the image cannot be opened ({type(error).__name__})."
    raise ImageReadingError(problem)  # outside of the except clause, so that the path is not chained to it


def _opened(path: str) -> IO[bytes]:
    """Open a file of this machine, or one whose address `datasets` understands."""
    if ":" not in str(path):
        return open(path, "rb")
    from datasets.utils.file_utils import xopen

    return xopen(path, "rb")
