"""Drop what is not pixels from a PNG or JPEG file, before anything reads it."""

import zlib
from typing import Any

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Chunks that may be left out (PNG specification, third edition, 5.4: a small first letter) and are kept, for
# they say what is transparent, or that the picture moves.
_KEPT_CHUNKS = (b"tRNS", b"acTL", b"fcTL", b"fdAT")
_ANIMATION_CHUNKS = (b"fcTL", b"fdAT")
_RAW_PROFILE = "Raw profile type exif"  # ImageMagick's text chunk
_XMP_KEYWORD = b"XML:com.adobe.xmp"
# Text is read for the orientation alone, which stands in its beginning.
_MOST_TEXT = 2**16

_JPEG_SCAN, _JPEG_COMMENT = 0xDA, 0xFE
_JPEG_APPLICATION = range(0xE0, 0xF0)
# What decoders take colours and previews from, and the bytes that it needs (libjpeg's jdmarker.c ignores
# shorter ones).
_KEPT_SEGMENTS = {0xE0: (b"JFIF\0", 14), 0xE2: (b"MPF\0", 8), 0xEE: (b"Adobe", 12)}
_EXIF_MARK, _XMP_MARK = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"


def bare_file(file: bytes) -> tuple[bytes, dict[str, Any]]:
    """Leave out of a PNG or JPEG file what is neither pixels nor needed to show them.

    So text, profiles and EXIF, however large or broken, never cost a picture, and no decoder unpacks them.

    Args:
        file: a picture file; of another format, or damaged from the beginning on, it comes back as it is.

    Returns:
        The file without its metadata; and, under Pillow's names for `Image.info`, what may hold the
        orientation: "exif", "xmp" and ImageMagick's profile.

    Example:

        >>> import io, PIL.Image, PIL.PngImagePlugin
        >>> text, file = PIL.PngImagePlugin.PngInfo(), io.BytesIO()
        >>> text.add_text("Author", "Jane Doe")
        >>> PIL.Image.new("RGB", (4, 4)).save(file, "PNG", pnginfo=text)
        >>> b"Jane" in file.getvalue(), b"Jane" in bare_file(file.getvalue())[0]
        (True, False)
    """
    if file.startswith(_PNG_SIGNATURE):
        return _bare_png(file)
    if file.startswith(b"\xff\xd8\xff"):
        return _bare_jpeg(file)
    return file, {}


def _bare_png(file: bytes) -> tuple[bytes, dict[str, Any]]:
    view, found, kept = memoryview(file), {}, [memoryview(_PNG_SIGNATURE)]
    place, moves = len(_PNG_SIGNATURE), False
    while place + 12 <= len(file):
        size, kind = int.from_bytes(view[place : place + 4], "big"), file[place + 4 : place + 8]
        end = place + 12 + size
        if end > len(file) or not kind.isalpha():
            break  # the decoder judges what is left
        moves = moves or (kind == b"acTL" and size >= 8)
        if _is_needed(kind, moves):
            kept.append(view[place:end])
        else:
            found |= _orientation_in_chunk(kind, view[place + 8 : end - 4])
        place = end
    bare = b"".join([*kept, view[place:]])
    return (file if len(bare) == len(file) else bare), found


def _is_needed(kind: bytes, moves: bool) -> bool:
    if kind[:1].isupper():
        return True
    return kind in _KEPT_CHUNKS and (moves or kind == b"tRNS")


def _orientation_in_chunk(kind: bytes, data: memoryview) -> dict[str, Any]:
    if kind == b"eXIf":
        return {"exif": _EXIF_MARK + data}
    if kind not in (b"tEXt", b"zTXt", b"iTXt"):
        return {}
    keyword, _, text = bytes(data[:80]).partition(b"\0")  # 79 bytes at the most, and the 0
    text = data[len(keyword) + 1 :]
    if keyword == _RAW_PROFILE.encode():
        raw = text if kind == b"tEXt" else _unpacked(text[1:])
        return {_RAW_PROFILE: bytes(raw[:_MOST_TEXT]).decode("latin-1")} if kind != b"iTXt" else {}
    if keyword == _XMP_KEYWORD and kind == b"iTXt":
        # Compressed or not, method; then language and translated keyword, each with a 0 (11.3.2.4).
        rest = bytes(text[2:]).split(b"\0", 2)[-1]
        return {"xmp": _unpacked(rest) if text[:1] == b"\1" else rest[:_MOST_TEXT]}
    return {}


def _unpacked(data: bytes | memoryview) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _MOST_TEXT)
    except zlib.error:
        return b""


def _bare_jpeg(file: bytes) -> tuple[bytes, dict[str, Any]]:
    view, found, kept, place = memoryview(file), {}, [memoryview(b"\xff\xd8")], 2
    while place + 4 <= len(file) and file[place] == 0xFF:
        marker, size = file[place + 1], int.from_bytes(view[place + 2 : place + 4], "big")
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        end = place + 2 + size
        if marker < 0xC0 or marker == _JPEG_SCAN or size < 2 or end > len(file):
            break  # the decoder judges what is left
        if not _is_metadata(marker, view[place + 4 : end]):
            kept.append(view[place:end])
        elif marker == 0xE1:
            _note_orientation(found, bytes(view[place + 4 : end]))
        place = end
    bare = b"".join([*kept, view[place:]])
    return (file if len(bare) == len(file) else bare), found


def _is_metadata(marker: int, data: memoryview) -> bool:
    if marker in _KEPT_SEGMENTS:
        mark, least = _KEPT_SEGMENTS[marker]
        return bytes(data[: len(mark)]) != mark or len(data) < least
    return marker in _JPEG_APPLICATION or marker == _JPEG_COMMENT


def _note_orientation(found: dict[str, Any], data: bytes) -> None:
    if data.startswith(_EXIF_MARK):  # longer ones go on in another segment
        found["exif"] = found["exif"] + data[len(_EXIF_MARK) :] if "exif" in found else data
    elif data.startswith(_XMP_MARK):
        found["xmp"] = data[len(_XMP_MARK) :]
