"""One file of each kind that browsers show, made of one photograph: what people drop on the page."""

import struct
import zlib
from typing import NamedTuple

import numpy as np
import PIL.Image
import PIL.ImageCms
from picture_files import RGB, SIGNATURE, chunk, file_of, png, with_chunks

# Adam7 (PNG specification, 8.2): first column and row of each pass, and the steps.
_PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


class Kind(NamedTuple):
    """A file, and whether every decoder gets the same pixels out of it."""

    file: bytes
    lossless: bool


def picture_kinds(photo: np.ndarray) -> dict[str, Kind]:
    """Name each kind.

    Args:
        photo: uint8 (height, width, 3).
    """
    picture = PIL.Image.fromarray(photo)
    return {**_jpegs(picture), **_pngs(picture, photo), **_others(picture)}


def _jpegs(picture: PIL.Image.Image) -> dict[str, Kind]:
    kinds = {
        f"jpeg, orientation {i}": file_of(picture, "JPEG", quality=90, exif=_turned(i)) for i in range(1, 9)
    }
    kinds |= {
        "jpeg, 4:4:4": file_of(picture, "JPEG", quality=95, subsampling=0),
        "jpeg, 4:2:2": file_of(picture, "JPEG", quality=85, subsampling=1),
        "jpeg, progressive": file_of(picture, "JPEG", quality=85, progressive=True),
        "jpeg, gray": file_of(picture.convert("L"), "JPEG", quality=90),
        "jpeg, ICC": file_of(picture, "JPEG", quality=90, icc_profile=_profile()),
        "jpeg, CMYK": file_of(picture.convert("CMYK"), "JPEG", quality=90),
    }
    return {name: Kind(file, lossless=False) for name, file in kinds.items()}


def _pngs(picture: PIL.Image.Image, photo: np.ndarray) -> dict[str, Kind]:
    height, width = photo.shape[:2]
    alpha = np.broadcast_to(np.linspace(0, 255, width).astype(np.uint8), (height, width))
    gray = np.asarray(picture.convert("L"))
    deep = (gray.astype(np.uint16) << 8) + photo[..., 0]
    deep_colours = (photo.astype(">u2") << 8) + photo[..., ::-1]
    palette = picture.quantize(64)
    plain = file_of(picture, "PNG")
    kinds = {
        "png": plain,
        "png, alpha": file_of(np.dstack([photo, alpha]), "PNG"),
        "png, gray and alpha": file_of(PIL.Image.fromarray(np.dstack([gray, alpha]), "LA"), "PNG"),
        "png, gray": file_of(gray, "PNG"),
        "png, 1 bit": file_of(picture.convert("1"), "PNG"),
        "png, gray of 4 bits": png([_packed(row >> 4) for row in gray], width, 4, 0),
        "png, palette": file_of(palette, "PNG"),
        "png, palette of 4 bits": file_of(picture.quantize(12), "PNG", bits=4),
        "png, palette with alpha": file_of(palette, "PNG", transparency=bytes(range(0, 256, 4))),
        "png, transparent colour": file_of(picture, "PNG", transparency=tuple(map(int, photo[50, 50]))),
        "png, gray of 16 bits": file_of(PIL.Image.fromarray(deep), "PNG"),
        "png, colours of 16 bits": png([row.tobytes() for row in deep_colours], width, 16, RGB),
        "png, interlaced": _interlaced(photo),
        "png, gAMA": with_chunks(plain, chunk(b"gAMA", struct.pack(">I", 100_000))),
        "png, gAMA and cHRM": with_chunks(
            plain,
            chunk(b"gAMA", struct.pack(">I", 55_555)),
            chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)),
        ),
        "png, ICC": file_of(picture, "PNG", icc_profile=_profile()),
        "png, orientation 6": file_of(picture, "PNG", exif=_turned(6)),
    }
    return {name: Kind(file, lossless=True) for name, file in kinds.items()}


def _others(picture: PIL.Image.Image) -> dict[str, Kind]:
    half = picture.copy()
    half.putalpha(PIL.Image.linear_gradient("L").resize(picture.size))
    palette = picture.quantize(200)
    lossless = {
        "webp, lossless": file_of(picture, "WEBP", lossless=True),
        "webp, lossless, orientation 8": file_of(picture, "WEBP", lossless=True, exif=_turned(8)),
        "webp, lossless, alpha": file_of(half, "WEBP", lossless=True),
        "gif": file_of(palette, "GIF"),
        "gif, transparent": file_of(palette, "GIF", transparency=3),
        "bmp": file_of(picture, "BMP"),
        "bmp, palette": file_of(palette, "BMP"),
    }
    lossy = {
        "webp, lossy": file_of(picture, "WEBP", quality=85),
        "avif": file_of(picture, "AVIF", quality=85),
    }
    return {name: Kind(file, lossless=True) for name, file in lossless.items()} | {
        name: Kind(file, lossless=False) for name, file in lossy.items()
    }


def _turned(orientation: int) -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[0x0112], exif[0x013B] = orientation, "Jane Doe"
    return exif


def _profile() -> bytes:
    """A profile whose colours are far from sRGB's: a browser that manages colours would change all."""
    return PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("LAB")).tobytes()


def _packed(row: np.ndarray) -> bytes:
    even = np.append(row, np.zeros(len(row) % 2, np.uint8))
    return ((even[::2] << 4) + even[1::2]).astype(np.uint8).tobytes()


def _interlaced(photo: np.ndarray) -> bytes:
    height, width = photo.shape[:2]
    lines = b"".join(
        b"\0" + row.tobytes() for x, y, dx, dy in _PASSES for row in np.ascontiguousarray(photo[y::dy, x::dx])
    )
    header = struct.pack(">IIBBBBB", width, height, 8, RGB, 0, 0, 1)
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND")
