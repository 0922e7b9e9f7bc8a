"""Picture files that Pillow does not write: chunk by chunk, segment by segment."""

import io
import struct
import zlib

import numpy as np
import PIL.Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, RGB = 0, 2


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def file_of(image: PIL.Image.Image | np.ndarray, image_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture = PIL.Image.fromarray(image) if isinstance(image, np.ndarray) else image
    picture.save(buffer, image_format, **options)
    return buffer.getvalue()


def chunk(name: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(lines: list[bytes], width: int, bits: int, colour: int, *others: bytes) -> bytes:
    """A PNG of these lines of packed samples, with other chunks before them."""
    header = struct.pack(">IIBBBBB", width, len(lines), bits, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + line for line in lines))
    return SIGNATURE + chunk(b"IHDR", header) + b"".join(others) + chunk(b"IDAT", data) + chunk(b"IEND")


def with_chunks(file: bytes, *chunks: bytes, at_end: bool = False) -> bytes:
    """A PNG with more chunks, after the header or before the end."""
    place = len(file) - 12 if at_end else len(SIGNATURE) + 25
    return file[:place] + b"".join(chunks) + file[place:]


def with_segment(file: bytes, marker: int, data: bytes) -> bytes:
    """A JPEG with one more segment at its beginning."""
    return file[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data + file[2:]
