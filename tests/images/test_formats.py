"""Every format is read, or named."""

import io
import sys

import numpy as np
import PIL.Image
import pytest
from picture_files import file_of, noise

from hipmr_hf.errors import ImageReadingError
from hipmr_hf.images import formats
from hipmr_hf.images.reading import read_image

HEIC_HEAD = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (b"8BPS" + bytes(60), "PSD"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "EPS"),
        (bytes(128) + b"DICM" + bytes(64), "DICOM"),
        (b"\xff\x0a" + bytes(64), "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(64), "JPEG XL"),
        (b"\x76\x2f\x31\x01" + bytes(64), "OpenEXR"),
        (file_of(noise(16, 16), "ICO"), "ICO"),
    ],
)
def test_what_cannot_be_read_is_named(file, name):
    with pytest.raises(ImageReadingError, match=f"of the format {name}.*convert it to PNG") as caught:
        read_image(file)
    assert caught.value.__context__ is None


def test_heic_names_the_library_that_reads_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    monkeypatch.delitem(PIL.Image.OPEN, "HEIF", raising=False)
    with pytest.raises(ImageReadingError, match="pip install pillow-heif"):
        read_image(HEIC_HEAD)


def test_heic_is_read_where_its_library_is_installed():
    pillow_heif = pytest.importorskip("pillow_heif", reason="optional: reads HEIC")
    pixels, file = np.full((64, 48, 3), (200, 60, 30), np.uint8), io.BytesIO()
    pillow_heif.from_pillow(PIL.Image.fromarray(pixels)).save(file, quality=90)
    read = read_image(file.getvalue())
    assert read.shape == pixels.shape and np.abs(read.astype(int) - pixels).max() <= 6


def test_a_format_that_this_pillow_lacks_is_named(monkeypatch):
    monkeypatch.setitem(PIL.Image.OPEN, "AVIF", (None, lambda prefix: "AVIF support is not installed"))
    with pytest.raises(ImageReadingError, match="of the format AVIF"):
        read_image(file_of(noise(16, 16), "AVIF"))


@pytest.mark.parametrize("image_format", ["JPEG2000", "AVIF"])
def test_jpeg_2000_and_avif_are_read(image_format):
    pixels = np.full((32, 48, 3), (200, 60, 30), np.uint8)
    assert np.abs(read_image(file_of(pixels, image_format)).astype(int) - pixels).max() <= 6


def test_nothing_is_told_of_what_is_no_picture():
    assert formats.why_unreadable(b"not an image") is None
