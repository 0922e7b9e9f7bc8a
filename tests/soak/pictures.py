"""Plain pictures for the soak: made from their number, recognisable anywhere, some of them ruined."""

import csv
import functools
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq

SIZE, PATCH_SIZE = 64, 8
# Stands behind the last byte of every plain file and in every plain name: a copy of either is found by it.
MARKER = b"hipmr-soak-plain-canary"
# The first row of pixels of many pictures. It crosses the borders of patches, so no encrypted picture has it.
ROW = np.random.default_rng(0).integers(0, 256, (1, SIZE, 3), dtype=np.uint8)
# A run encrypts and keeps so many pictures, or a row group of Parquet, at a time.
PIECE_ROWS = 64
_SHARD_ROWS = 78 * PIECE_ROWS
_FORMATS = (
    ("RGB", "PNG", {"compress_level": 1}),
    ("RGB", "JPEG", {"quality": 90}),
    ("L", "PNG", {"compress_level": 1}),
    ("CMYK", "JPEG", {"quality": 80}),
    ("RGBA", "PNG", {"compress_level": 1}),
    ("RGB", "BMP", {}),
    ("P", "GIF", {}),
    ("RGB", "WEBP", {"quality": 80, "method": 0}),
)


def picture(number: int) -> bytes:
    """Return the plain file of a row: colours that flow, in a size, mode and format that go with the number.

    Example:

        >>> picture(3) == picture(3), picture(3) == picture(4), picture(3).endswith(MARKER)
        (True, False, True)
    """
    chance = np.random.default_rng(number)
    mode, image_format, options = _FORMATS[number % len(_FORMATS)]
    sides = (SIZE, SIZE) if number % 3 else tuple(int(side) for side in chance.integers(40, 100, 2))
    coarse = chance.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    pixels = np.array(PIL.Image.fromarray(coarse).resize(sides, PIL.Image.Resampling.BILINEAR))
    pixels[0, :SIZE] = ROW[0, : sides[0]]
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).convert(mode).save(file, image_format, **options)
    return file.getvalue() + MARKER


def is_ruined(number: int) -> bool:
    """Tell whether a row's file is ruined on purpose; one of twenty is."""
    return zlib.crc32(b"%d" % number) % 20 == 0


def ruined(number: int) -> bytes | None:
    """Return a file that cannot be encrypted, of a kind that goes with the number; None for no file."""
    return _RUINS[zlib.crc32(b"%d" % number) // 20 % len(_RUINS)](number)


def _written(image: PIL.Image.Image, image_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue() + MARKER


def _truncated(number: int) -> bytes:
    return picture(number)[:400]


def _wrong_sum(number: int) -> bytes:
    file = bytearray(_written(PIL.Image.new("RGB", (SIZE, SIZE), (number % 256, 1, 2)), "PNG"))
    file[file.index(b"IDAT") + 8] ^= 0xFF
    return bytes(file)


def _bomb(number: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + MARKER
    )


@functools.cache
def _flat_bomb() -> bytes:
    return _written(PIL.Image.new("1", (10_000, 10_000)), "PNG")  # 100 million pixels in 12 kB


_RUINS = (
    _truncated,
    _wrong_sum,
    _bomb,
    lambda number: _flat_bomb(),
    lambda number: b"",
    lambda number: bytes(700) + MARKER,
    lambda number: b"\x89PNH" + picture(number)[4:],
    lambda number: b"this is not a picture " + MARKER,
    lambda number: _written(PIL.Image.new("F", (SIZE, SIZE)), "TIFF"),
    lambda number: _written(PIL.Image.new("RGB", (4, 4)), "PNG"),  # smaller than a patch
    lambda number: _written(
        PIL.Image.new("L", (SIZE, SIZE)),
        "GIF",
        save_all=True,
        append_images=[PIL.Image.new("L", (64, 64), 9)],
    ),
    lambda number: None,
)


def write_parquet(folder: Path, numbers: range) -> list[Path]:
    """Write rows as Parquet files: image, label (the row's number) and a name that is to be left out."""
    folder.mkdir(parents=True)
    paths = []
    for start in range(numbers.start, numbers.stop, _SHARD_ROWS):
        rows = range(start, min(start + _SHARD_ROWS, numbers.stop))
        files = [ruined(number) if is_ruined(number) else picture(number) for number in rows]
        names = [f"{MARKER.decode()}-{number}.png" for number in rows]
        table = pa.table(
            {
                "image": [{"bytes": file, "path": name} for file, name in zip(files, names, strict=True)],
                "label": list(rows),
                "patient": names,
            }
        )
        paths.append(folder / f"{start:08d}.parquet")
        pq.write_table(table, paths[-1], compression="none", row_group_size=PIECE_ROWS)
    return paths


def write_folder(folder: Path, numbers: range) -> Path:
    """Write rows as an image folder with metadata.csv; without a file, a folder or a broken link is there."""
    folder.mkdir(parents=True)
    with (folder / "metadata.csv").open("w", newline="") as metadata:
        writer = csv.writer(metadata)
        writer.writerow(["file_name", "label", "patient"])
        for number in numbers:
            path = folder / f"{MARKER.decode()}-{number:06d}.png"
            file = ruined(number) if is_ruined(number) else picture(number)
            if file is not None:
                path.write_bytes(file)
                writer.writerow([path.name, number, MARKER.decode()])
            elif number % 2:
                path.mkdir()
            else:
                path.symlink_to("nowhere.png")
    return folder
