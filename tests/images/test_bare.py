"""Metadata is thrown away anyway: however large or broken, it costs no picture."""

import io
import logging
import zlib

import numpy as np
import PIL.Image
import pytest
from picture_files import chunk, file_of, noise, with_chunks, with_segment

from hipmr_hf import MixingUp
from hipmr_hf.images.bare import bare_file
from hipmr_hf.images.reading import read_image
from hipmr_hf.pixels import samples

PIXELS = noise(24, 32)
LARGE = zlib.compress(b"x" * (3 << 20))
BROKEN_EXIF = {
    "no header": b"Exif\0\0junkjunkjunk",
    "short": b"Exif\0\0II*\0",
    "empty": b"Exif\0\0",
    "entries that are not there": b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 4,
}
CHUNKS = {
    "zTXt of 3 MB": chunk(b"zTXt", b"k\0\0" + LARGE),
    "zTXt, unknown method": chunk(b"zTXt", b"k\0\x05" + LARGE),
    "iTXt of 3 MB": chunk(b"iTXt", b"k\0\x01\0\0\0" + LARGE),
    "70 MB of text": b"".join(chunk(b"tEXt", b"k%d\0" % i + b"y" * (1 << 20)) for i in range(70)),
    "tEXt, wrong sum": chunk(b"tEXt", b"k\0v")[:-1] + b"?",
    "text that names Pillow's own": chunk(b"tEXt", b"transparency\0x"),
    "ImageMagick's profile": chunk(b"tEXt", b"Raw profile type exif\0zzzz\n1\n2\n3\n4"),
    "gAMA": chunk(b"gAMA", b"1"),
    "pHYs": chunk(b"pHYs", b"1"),
    "an animation's chunk without animation": chunk(b"fcTL", b"p" * 26),
    "an animation's head, short": chunk(b"acTL", b"p"),
    **{f"eXIf, {name}": chunk(b"eXIf", exif[6:]) for name, exif in BROKEN_EXIF.items()},
}
PROFILES = {
    "iCCP of 3 MB": chunk(b"iCCP", b"p\0\0" + LARGE),
    "iCCP, unknown method": chunk(b"iCCP", b"p\0\7" + LARGE),
    "iCCP, short": chunk(b"iCCP", b"p"),
    "cHRM, short": chunk(b"cHRM", b"p"),
}
SEGMENTS = {
    "ICC, short": (0xE2, b"ICC_PROFILE\0"),
    "JFIF, short": (0xE0, b"JFIF"),
    "Adobe, short": (0xEE, b"Adobe"),
    "MPF": (0xE2, b"MPF\0junkjunk"),
    "Photoshop, short": (0xED, b"Photoshop 3.0\x008BIM\x03\xed"),
    "XMP": (0xE1, b"http://ns.adobe.com/xap/1.0/\0<junk"),
    "FlashPix": (0xE2, b"FPXR\0"),
    **{f"EXIF, {name}": (0xE1, exif) for name, exif in BROKEN_EXIF.items()},
}


@pytest.fixture(autouse=True)
def remarks_anew():
    samples.remark.cache_clear()


@pytest.mark.parametrize("at_end", [False, True], ids=["before the pixels", "after the pixels"])
@pytest.mark.parametrize("kind", CHUNKS)
def test_no_chunk_of_metadata_costs_a_png(kind, at_end):
    file = with_chunks(file_of(PIXELS, "PNG"), CHUNKS[kind], at_end=at_end)
    assert (read_image(file) == PIXELS).all()


@pytest.mark.parametrize("kind", PROFILES)
def test_no_profile_costs_a_png(kind):
    assert (read_image(with_chunks(file_of(PIXELS, "PNG"), PROFILES[kind])) == PIXELS).all()


@pytest.mark.parametrize("kind", SEGMENTS)
def test_no_segment_of_metadata_costs_a_jpeg(kind):
    file = file_of(PIXELS, "JPEG")
    assert (read_image(with_segment(file, *SEGMENTS[kind])) == read_image(file)).all()


@pytest.mark.parametrize("kind", BROKEN_EXIF)
def test_no_broken_exif_costs_a_webp(kind):
    assert (read_image(file_of(PIXELS, "WEBP", lossless=True, exif=BROKEN_EXIF[kind])) == PIXELS).all()


@pytest.mark.parametrize("image_format", ["PNG", "WEBP"])
@pytest.mark.parametrize("kind", BROKEN_EXIF)
def test_broken_exif_costs_a_client_no_picture_either(kind, image_format):
    file = file_of(PIXELS, image_format, lossless=True, exif=BROKEN_EXIF[kind])
    with PIL.Image.open(io.BytesIO(file)) as image:
        assert np.asarray(MixingUp(patch_size=8)(image)).shape == (12, 16, 3)


def test_broken_exif_is_remarked_on_once_without_a_quote(caplog):
    file = with_chunks(file_of(PIXELS, "PNG"), chunk(b"eXIf", b"john-doe-canary"))
    with caplog.at_level(logging.WARNING):
        read_image(file)
        read_image(file)
    assert [record.getMessage() for record in caplog.records] == [
        "The EXIF of some pictures cannot be read; they are taken to be upright as they are stored."
    ]


SIDEWAYS = PIL.Image.Exif()
SIDEWAYS[0x0112] = 6
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
PROFILE = b"\nexif\n    %d\n" % len(SIDEWAYS.tobytes()) + SIDEWAYS.tobytes().hex().encode() + b"\n"
PNG, JPEG = file_of(PIXELS, "PNG"), file_of(PIXELS, "JPEG")


@pytest.mark.parametrize(
    "file",
    [
        with_chunks(PNG, chunk(b"eXIf", SIDEWAYS.tobytes()[6:])),
        with_chunks(PNG, chunk(b"eXIf", SIDEWAYS.tobytes()[6:]), at_end=True),
        with_chunks(PNG, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)),
        with_chunks(PNG, chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP))),
        with_chunks(PNG, chunk(b"tEXt", b"Raw profile type exif\0" + PROFILE)),
        with_chunks(PNG, chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(PROFILE))),
        with_segment(JPEG, 0xE1, SIDEWAYS.tobytes()),
        with_segment(JPEG, 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP),
    ],
    ids=["eXIf", "late eXIf", "XMP", "packed XMP", "profile", "packed profile", "EXIF", "XMP in JPEG"],
)
def test_the_orientation_is_read_all_the_same(file):
    assert b"tiff:Orientation" not in bare_file(file)[0] and b"eXIf" not in bare_file(file)[0]
    upright = read_image(file)
    stored = PIXELS if file.startswith(b"\x89PNG") else read_image(JPEG)
    assert (upright == np.rot90(stored, -1)).all()


def test_a_file_without_metadata_is_not_copied():
    for file in (PNG, JPEG, file_of(PIXELS, "WEBP"), b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"):
        assert bare_file(file)[0] is file


@pytest.mark.parametrize("file", [PNG, JPEG], ids=["PNG", "JPEG"])
def test_the_rest_of_a_truncated_file_is_left_to_the_decoder(file):
    for end in range(len(file)):
        assert bare_file(file[:end])[0] == file[:end]


def test_colours_that_depend_on_adobes_segment_stay():
    file = file_of(PIL.Image.fromarray(PIXELS).convert("CMYK"), "JPEG")
    assert b"Adobe" in bare_file(file)[0]
    expected = PIL.Image.open(io.BytesIO(file)).convert("RGB")
    assert (read_image(file) == np.asarray(expected)).all()
