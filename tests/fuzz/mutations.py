"""Damage files as faulty disks, broken writers and attackers do: at random, and where it hurts most."""

import random
import struct
import zlib
from collections.abc import Callable

# Values at which counters, lengths and offsets overflow, or mean something special.
_INTERESTING = (0, 1, 2, 3, 4, 7, 8, 16, 32, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000)
_INTERESTING += (0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def mutate(file: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Damage a file one to eight times; half of the blows fall on its headers.

    Args:
        file: a valid file.
        others: valid files to take pieces from.
        chance: where the choices come from; the same state gives the same damage.

    Returns:
        The bytes of the damaged file; check sums and lengths are right again in most cases, so that readers
        come past their first look.

    Example:

        >>> mutate(b"GIF89a" + bytes(20), [b"BM"], random.Random(1)) == b"GIF89a" + bytes(20)
        False
    """
    damaged = bytearray(file)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        if not damaged:
            break
        if chance.random() < 0.5:
            _overwrite_field(damaged, header_fields(bytes(damaged)), chance)
        else:
            chance.choice(_BLOWS)(damaged, others, chance)
    return mend_sums(bytes(damaged)) if chance.random() < 0.8 else bytes(damaged)


def header_fields(file: bytes) -> list[int]:
    """Return offsets at which the format's headers, lengths and tags begin.

    Example:

        >>> header_fields(b"BM" + bytes(2))
        [0, 1, 2, 3]
    """
    if file.startswith(_PNG_SIGNATURE):
        found = [place for start, _ in _png_chunks(file) for place in range(start, start + 24)]
    elif file.startswith(b"\xff\xd8"):
        found = [place + i for place in _jpeg_segments(file) for i in range(20)]
    elif file[:4] == b"RIFF":
        found = [*range(12), *(place + i for place in _riff_chunks(file) for i in range(18))]
    elif file[:2] in (b"II", b"MM"):
        found = _tiff_fields(file)
    else:
        found = list(range(64))
    return [place for place in found if place < len(file)] or list(range(len(file)))


def mend_sums(file: bytes) -> bytes:
    r"""Make a PNG's check sums and a RIFF's length fit what they stand for.

    Example:

        >>> mend_sums(b"RIFF" + bytes(8))[4:8]
        b'\x04\x00\x00\x00'
    """
    if file.startswith(_PNG_SIGNATURE):
        mended = bytearray(file)
        for start, size in _png_chunks(file):
            end = start + 8 + size
            if end + 4 <= len(file):
                mended[end : end + 4] = struct.pack(">I", zlib.crc32(file[start + 4 : end]))
        return bytes(mended)
    if file[:4] == b"RIFF" and len(file) >= 8:
        return file[:4] + struct.pack("<I", len(file) - 8) + file[8:]
    return file


def _overwrite_field(file: bytearray, places: list[int], chance: random.Random) -> None:
    place, width = chance.choice(places), chance.choice((1, 2, 4))
    value = chance.choice(_INTERESTING) if chance.random() < 0.7 else chance.getrandbits(32)
    order = chance.choice(("big", "little"))
    field = (value % 256**width).to_bytes(width, order)
    file[place : place + width] = field[: max(0, len(file) - place)]


def _png_chunks(file: bytes) -> list[tuple[int, int]]:
    place, found = len(_PNG_SIGNATURE), []
    while place + 8 <= len(file):
        size = int.from_bytes(file[place : place + 4], "big")
        found.append((place, size))
        place += 12 + size
    return found


def _jpeg_segments(file: bytes) -> list[int]:
    place, found = 2, []
    while place + 4 <= len(file) and file[place] == 0xFF:
        found.append(place)
        place += 2 + int.from_bytes(file[place + 2 : place + 4], "big")
    return found


def _riff_chunks(file: bytes) -> list[int]:
    place, found = 12, []
    while place + 8 <= len(file):
        found.append(place)
        size = int.from_bytes(file[place + 4 : place + 8], "little")
        place += 8 + size + size % 2
    return found


def _tiff_fields(file: bytes) -> list[int]:
    order = "little" if file[:2] == b"II" else "big"
    start = int.from_bytes(file[4:8], order)
    count = int.from_bytes(file[start : start + 2], order)
    return [*range(8), *range(start, min(start + 2 + 12 * count + 4, len(file)))]


def _flip(file: bytearray, others: list[bytes], chance: random.Random) -> None:
    file[chance.randrange(len(file))] ^= 1 << chance.randrange(8)


def _cut_off(file: bytearray, others: list[bytes], chance: random.Random) -> None:
    del file[chance.randrange(len(file)) :]


def _cut_out(file: bytearray, others: list[bytes], chance: random.Random) -> None:
    start = chance.randrange(len(file))
    del file[start : start + chance.randint(1, 64)]


def _blank(file: bytearray, others: list[bytes], chance: random.Random) -> None:
    start = chance.randrange(len(file))
    end = min(len(file), start + chance.randint(1, 512))  # a lost sector
    file[start:end] = bytes([chance.choice((0, 255))]) * (end - start)


def _repeat(file: bytearray, others: list[bytes], chance: random.Random) -> None:
    start = chance.randrange(len(file))
    piece = file[start : start + chance.randint(1, 256)]
    file[start:start] = piece * chance.choice((1, 1, 2, 40))


def _fill_in(file: bytearray, others: list[bytes], chance: random.Random) -> None:
    start = chance.randrange(len(file) + 1)
    file[start:start] = chance.randbytes(chance.randint(1, 32))


def _graft(file: bytearray, others: list[bytes], chance: random.Random) -> None:
    other = chance.choice(others)
    start, end = sorted(chance.randrange(len(other) + 1) for _ in range(2))
    place = chance.randrange(len(file) + 1)
    file[place : place + chance.choice((0, end - start))] = other[start:end]


_BLOWS: tuple[Callable[[bytearray, list[bytes], random.Random], None], ...] = (
    _flip, _flip, _cut_off, _cut_out, _blank, _repeat, _fill_in, _graft
)  # fmt: skip
