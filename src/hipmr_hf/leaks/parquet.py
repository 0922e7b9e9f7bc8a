"""Look at every value of Parquet files for what must not be published."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..column_types.features import Features
from ..column_types.kinds import Image
from ..encryption.keys import NONCE_BYTES, SecretKey
from ..errors import ImageReadingError
from ..images.chunks import foreign_parts
from ..images.reading import read_image
from ..layout import MASK_COLUMN, NONCE_COLUMN, has_masks, image_columns
from .borders import PLAIN_RATIO, border_ratio
from .column_remarks import ColumnWatch
from .masks import REMARK, mask_leaks

if TYPE_CHECKING:
    from ..encryption.base import Encryption

_BATCH_ROWS = 64
# Images of a split that are decoded, the rest being looked at as bytes; and how many must be able to tell.
_DECODED, _TELLING = 128, 4
_MAX_PLACES = 5
_FILE_NAME = re.compile(
    r"(?:^|[\\/])[^\\/\s]+\.(?:jpe?g|png|webp|tiff?|bmp|gif|dcm|heic|avif|nii|svs|mp4|zip|tar|parquet)\b"
    r"|^(?:[A-Za-z]:)?[\\/](?:[^\\/]+[\\/])+|^(?:file|s3|gs|hf|https?)://",
    re.IGNORECASE,
)
# What `datasets` writes, and no more: features, and how pages were cut.
_METADATA_KEYS = {b"huggingface", b"ARROW:schema", b"content_defined_chunking"}


@dataclasses.dataclass(frozen=True)
class RowGroup:
    """Some rows of a split, as they lie in one of its Parquet files.

    Args:
        path: of the file.
        number: of the row group in it.
        first_row: number of its first row in the split.
        step: every so many rows of the split, one image is decoded.
        encryption: the settings that the images must fit; None if they are not known.
    """

    path: Path
    number: int
    first_row: int
    step: int
    encryption: Encryption | None


def row_groups(shards: Sequence[Path], encryption: Encryption | None) -> list[RowGroup]:
    """List what there is to look into in a split, in order."""
    metadata = [pq.read_metadata(shard) for shard in shards]
    step = max(1, sum(each.num_rows for each in metadata) // _DECODED)
    groups, row = [], 0
    for shard, each in zip(shards, metadata, strict=True):
        for number in range(each.num_row_groups):
            groups.append(RowGroup(shard, number, row, step, encryption))
            row += each.row_group(number).num_rows
    return groups


def inspect_rows(group: RowGroup, keys: Sequence[SecretKey]) -> FoundInRows:
    """Look at every value of a row group.

    Args:
        group: which one.
        keys: keys that must not be in any value.
    """
    found = FoundInRows()
    try:
        _look(group, keys, found)
    except (pa.ArrowException, OSError):
        reason = "cannot be read, so nobody can look into it; encrypt again."
        found.note(f"row group {group.number} of {group.path.name}", reason, group.first_row + found.num_rows)
    return found


def _look(group: RowGroup, keys: Sequence[SecretKey], found: FoundInRows) -> None:
    # Arrow would keep what it read ahead until the file is closed.
    with pq.ParquetFile(group.path, pre_buffer=False) as file:
        features = features_of(file.schema_arrow)
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, row_groups=[group.number]):
            first_row, masked = group.first_row + found.num_rows, has_masks(features)
            for name, feature in features.items():
                values = batch.column(name).to_pylist()
                if masked and name == MASK_COLUMN:
                    pictures = batch.column(image_columns(features)[0]).to_pylist()
                    found.see_masks(values, pictures, first_row, group, keys)
                elif isinstance(feature, Image):
                    found.see_images(name, values, first_row, group, keys)
                else:
                    found.see_values(name, values, first_row, keys)
                    found.watches.setdefault(name, ColumnWatch(name, feature)).see(values)
            found.num_rows += len(batch)


def holds_key(content: bytes, key: SecretKey) -> bool:
    """Whether bytes hold a key, raw or as text.

    Example:

        >>> key = SecretKey(bytes(range(32)))
        >>> holds_key(b"..." + bytes(range(32)), key), holds_key(b"key id: " + key.key_id.encode(), key)
        (True, False)
    """
    secret = key._secret  # it must be known to be looked for; it leaves no trace
    texts = (base64.b64encode(secret), base64.urlsafe_b64encode(secret), secret.hex().encode())
    return any(needle in content for needle in (secret, *texts, secret.hex().upper().encode()))


@dataclasses.dataclass
class FoundInRows:
    """What was found in some rows; joins what was found in the next ones."""

    num_rows: int = 0
    places: dict[tuple[str, str], list[int]] = dataclasses.field(default_factory=dict)
    nonces: Counter[bytes] = dataclasses.field(default_factory=Counter)
    ratios: dict[int, float] = dataclasses.field(default_factory=dict)
    watches: dict[str, ColumnWatch] = dataclasses.field(default_factory=dict)
    masked: bool = False

    def join(self, later: FoundInRows) -> None:
        """Add what was found in rows that follow."""
        self.num_rows += later.num_rows
        for place, rows in later.places.items():
            self.places.setdefault(place, []).extend(rows)
        self.nonces.update(later.nonces)
        self.ratios.update(later.ratios)
        self.masked |= later.masked
        for name, watch in later.watches.items():
            self.watches[name].join(watch) if name in self.watches else self.watches.update({name: watch})

    def leaks(self) -> Iterator[tuple[str, str]]:
        """Tell what must not be published, as (place, reason)."""
        for (place, reason), rows in self.places.items():
            listed = ", ".join(map(str, rows[:_MAX_PLACES])) + (", ..." if len(rows) > _MAX_PLACES else "")
            yield f"{place}, {len(rows)} of {self.num_rows} rows ({listed})", reason
        if repeated := sum(count > 1 for count in self.nonces.values()):
            reason = "come more than once, so images share a permutation; encrypt those rows anew."
            yield f"column {NONCE_COLUMN!r}", f"{repeated} nonces {reason}"
        if len(self.ratios) >= _TELLING and median(self.ratios.values()) < PLAIN_RATIO:
            reason = "the patches continue each other, so the pictures look plain; encrypt them."
            yield f"image column, {len(self.ratios)} images compared", reason

    def remarks(self) -> Iterator[tuple[str, str]]:
        """Tell what a person must decide about, as (place, remark)."""
        if self.masked:
            yield f"column {MASK_COLUMN!r}", REMARK
        for watch in self.watches.values():
            yield from ((f"column {watch.name!r}", text) for text in watch.remarks())

    def note(self, place: str, reason: str, row: int) -> None:
        """Note a leak of a row."""
        self.places.setdefault((place, reason), []).append(row)

    def see_images(
        self, name: str, values: list[Any], first_row: int, group: RowGroup, keys: Sequence[SecretKey]
    ) -> None:
        """Look at some images."""
        place = f"column {name!r}"
        for row, value in enumerate(values, start=first_row):
            file = self._file_of(place, value or {}, row, keys)
            if file is not None and row % group.step == 0:
                self._see_pixels(place, file, row, group.encryption)

    def see_masks(
        self,
        values: list[Any],
        pictures: list[Any],
        first_row: int,
        group: RowGroup,
        keys: Sequence[SecretKey],
    ) -> None:
        """Look at some maps of classes, beside their pictures; every one is read."""
        self.masked, place = True, f"column {MASK_COLUMN!r}"
        strategy = None if group.encryption is None else group.encryption.strategy
        for row, (value, picture) in enumerate(zip(values, pictures, strict=True), start=first_row):
            file = self._file_of(place, value or {}, row, keys)
            if file is not None and (reason := mask_leaks(file, picture, strategy=strategy)):
                self.note(place, reason, row)

    def _file_of(
        self, place: str, value: dict[str, Any], row: int, keys: Sequence[SecretKey]
    ) -> bytes | None:
        """Return an image's file, after a look at what it carries beside pixels."""
        if value.get("path") is not None:
            self.note(place, "the image has a path or file name; encrypt with `hipmr encrypt`.", row)
        file = value.get("bytes")
        if file is None:
            self.note(place, "the image has no bytes; encrypt with `hipmr encrypt`.", row)
            return None
        for part in _foreign_parts(file):
            self.note(place, f"the image file carries {part}; encrypt with `hipmr encrypt`.", row)
        if any(holds_key(file, key) for key in keys):
            self.note(place, "the image file holds a secret key; use another key from now on.", row)
        return file

    def _see_pixels(self, place: str, file: bytes, row: int, encryption: Encryption | None) -> None:
        try:
            pixels = read_image(file)
        except ImageReadingError:
            return self.note(place, "the image cannot be read; encrypt with `hipmr encrypt`.", row)
        if encryption is None:
            return None
        height, width = pixels.shape[:2]
        patch_size, expected = encryption.encrypted_patch_size, encryption.encrypted_size
        if (height, width) != (expected or (height, width)) or height % patch_size or width % patch_size:
            reason = f"{height}x{width} pixels do not fit the settings, so it may be plain; encrypt it."
            return self.note(place, reason, row)
        ratio = border_ratio(pixels, patch_size)
        if ratio is not None:
            self.ratios[row] = ratio
        return None

    def see_values(self, name: str, values: list[Any], first_row: int, keys: Sequence[SecretKey]) -> None:
        """Look at some values of another column."""
        place = f"column {name!r}"
        for row, value in enumerate(values, start=first_row):
            if name == NONCE_COLUMN:
                if not isinstance(value, bytes) or len(value) != NONCE_BYTES:
                    self.note(place, f"no nonce of {NONCE_BYTES} bytes; encrypt the row anew.", row)
                else:
                    self.nonces[value] += 1
            for text in _texts(value):
                if isinstance(text, str) and _FILE_NAME.search(text):
                    self.note(place, "a path, an address or a file name; leave the column out.", row)
                content = text.encode(errors="replace") if isinstance(text, str) else text
                if any(holds_key(content, key) for key in keys):
                    self.note(place, "a secret key; leave it out, and use another key from now on.", row)


def schema_leaks(shard: Path, *, keyed: bool) -> Iterator[tuple[str, str]]:
    """Tell what the types and the metadata of a file give away, as (place, reason).

    Args:
        shard: a Parquet file.
        keyed: its rows were encrypted with a key, so each needs a nonce.
    """
    schema, footer = pq.read_schema(shard), pq.read_metadata(shard)
    features = features_of(schema)
    metadata = {**(footer.metadata or {}), **(schema.metadata or {})}
    for name in metadata.keys() - _METADATA_KEYS:
        yield "metadata", f"an entry {name.decode(errors='replace')!r} that no loader needs; write it anew."
    if _tells_more_than_features(metadata.get(b"huggingface")):
        yield "metadata", "more than the features (description, source or fingerprint); write it anew."
    images = image_columns(features)
    if len(images) > 1:
        yield f"columns {images}", "more than one image column, so one may be plain; keep the encrypted one."
    for name, field in zip(schema.names, schema, strict=True):
        if has_masks(features) and name == MASK_COLUMN:
            continue
        if name not in images and name != NONCE_COLUMN and _can_hold_pixels(field):
            yield f"column {name!r}", f"{field.type} can hold a plain picture; leave it out."
    if keyed and NONCE_COLUMN not in features:
        yield f"column {NONCE_COLUMN!r}", "missing, though the rows were encrypted with a key."


def features_of(schema: pa.Schema) -> Features:
    """Read the features; a file's struct of bytes and path is an image, whatever its metadata say."""
    features = Features.from_arrow_schema(schema)
    for field in schema:
        if pa.types.is_struct(field.type) and {"bytes", "path"} <= {inner.name for inner in field.type}:
            features[field.name] = Image()
    return features


def _tells_more_than_features(content: bytes | None) -> bool:
    if content is None:
        return False
    told = json.loads(content)
    return told.keys() != {"info"} or told["info"].keys() - {"features"} != set()


def _can_hold_pixels(field: pa.Field) -> bool:
    kind = field.type
    # Arrays of `datasets`, whether it was imported or not.
    if isinstance(kind, pa.BaseExtensionType) or b"ARROW:extension:name" in (field.metadata or {}):
        return True
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return True
    if pa.types.is_struct(kind):
        return any(map(_can_hold_pixels, kind))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.types.is_uint8(kind.value_type) or _can_hold_pixels(kind.value_field)
    return False


def _foreign_parts(file: bytes) -> list[str]:
    try:
        return foreign_parts(file)
    except ValueError:
        return ["a format that is not PNG, JPEG or WebP, or damage"]


def _texts(value: Any) -> Iterator[str | bytes]:
    """Yield every text and every bytes in a value, however deep."""
    if isinstance(value, (str, bytes)):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
