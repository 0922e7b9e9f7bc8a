"""Name the parts of an image file that hold anything but its pixels, without decoding it."""

from collections.abc import Iterator

from ..errors import InputValueError

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# PNG specification, third edition, 5.6: what is needed to show the pixels.
_PNG_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_WEBP_PIXELS = {b"VP8 ", b"VP8L", b"ALPH"}
_JPEG_START, _JPEG_END, _JPEG_SCAN, _JPEG_APP0 = 0xD8, 0xD9, 0xDA, 0xE0
# ITU-T T.81, table B.1: tables, frame headers and restart intervals.
_JPEG_PIXELS = {0xDB, 0xC4, 0xCC, 0xDD, *(marker for marker in range(0xC0, 0xD0) if marker != 0xC8)}
_JPEG_NAMES = {0xE1: "EXIF or XMP (APP1)", 0xE2: "ICC profile (APP2)", 0xED: "IPTC (APP13)", 0xFE: "comment"}
# A JFIF header without a thumbnail and with the neutral pixel density that Pillow writes.
_JFIF_BYTES = 14


def foreign_parts(file: bytes) -> list[str]:
    """List what an image file carries besides pixels.

    Args:
        file: the bytes of a PNG, JPEG or WebP file.

    Returns:
        Names of chunks or segments, such as "tEXt" or "comment", and "bytes after the end"; empty for a file
        that `encode_image` wrote.

    Raises:
        ValueError: the file is of another format, or damaged.

    Example:

        >>> import io, PIL.Image, PIL.PngImagePlugin
        >>> text, file = PIL.PngImagePlugin.PngInfo(), io.BytesIO()
        >>> text.add_text("Author", "Jane Doe")
        >>> PIL.Image.new("RGB", (4, 4)).save(file, "PNG", pnginfo=text)
        >>> foreign_parts(file.getvalue())
        ['tEXt']
    """
    if file.startswith(_PNG_SIGNATURE):
        read = _in_png
    elif file.startswith(b"\xff\xd8\xff"):
        read = _in_jpeg
    elif file[:4] == b"RIFF" and file[8:12] == b"WEBP":
        read = _in_webp
    else:
        raise InputValueError("the file is no PNG, JPEG or WebP; write it with encode_image.")
    try:
        return list(dict.fromkeys(read(file)))
    except (IndexError, StopIteration, RuntimeError) as error:
        raise InputValueError("the image file is truncated or damaged.") from error


def _in_png(file: bytes) -> Iterator[str]:
    place = len(_PNG_SIGNATURE)
    while True:
        kind = _exactly(file, place + 4, 4)
        if kind not in _PNG_PIXELS:
            yield kind.decode("latin-1")
        place += 12 + int.from_bytes(file[place : place + 4], "big")
        if kind == b"IEND":
            break
    if place != len(file):
        yield "bytes after the end"


def _in_webp(file: bytes) -> Iterator[str]:
    place, end = 12, 8 + int.from_bytes(file[4:8], "little")
    while place < min(end, len(file)):
        kind = _exactly(file, place, 4)
        # VP8X only announces what else is there; without other chunks it tells nothing.
        if kind not in _WEBP_PIXELS and kind != b"VP8X":
            yield kind.decode("latin-1").strip()
        size = int.from_bytes(file[place + 4 : place + 8], "little")
        place += 8 + size + size % 2
    if place != end or end != len(file):
        yield "bytes after the end"


def _in_jpeg(file: bytes) -> Iterator[str]:
    place = 2
    while True:
        if _exactly(file, place, 1) != b"\xff":
            raise IndexError
        marker = file[place + 1]
        if marker == _JPEG_END:
            break
        size = int.from_bytes(_exactly(file, place + 2, 2), "big")
        if (
            marker not in _JPEG_PIXELS
            and marker != _JPEG_SCAN
            and not _is_bare_jfif(file, place, marker, size)
        ):
            yield _JPEG_NAMES.get(marker, f"segment {marker:02X}")
        place += 2 + size
        if marker == _JPEG_SCAN:
            place = _end_of_scan(file, place)
    if place + 2 != len(file):
        yield "bytes after the end"


def _is_bare_jfif(file: bytes, place: int, marker: int, size: int) -> bool:
    return marker == _JPEG_APP0 and size == _JFIF_BYTES + 2 and file[place + 4 : place + 9] == b"JFIF\0"


def _end_of_scan(file: bytes, place: int) -> int:
    """Return where coded data end: at a marker that is neither a stuffed 0 nor a restart."""
    while True:
        place = file.find(b"\xff", place)
        if place < 0 or place + 1 >= len(file):
            raise IndexError
        if file[place + 1] != 0 and not 0xD0 <= file[place + 1] <= 0xD7:
            return place
        place += 2


def _exactly(file: bytes, place: int, count: int) -> bytes:
    if place + count > len(file):
        raise IndexError
    return file[place : place + count]
