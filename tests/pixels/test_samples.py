"""Samples of few bits and of many: what is transparent vanishes, what is dark for a reason is remarked on."""

import io
import logging

import numpy as np
import PIL.Image
import pytest
from picture_files import GRAY, RGB, chunk, file_of, noise, png

from hipmr_hf import MixingUp
from hipmr_hf.errors import ImageReadingError
from hipmr_hf.images.reading import read_image
from hipmr_hf.pixels import samples
from hipmr_hf.pixels.upright import upright_pixels


@pytest.fixture(autouse=True)
def remarks_anew():
    samples.remark.cache_clear()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_the_transparent_gray_is_found_whatever_the_bits(bits):
    values, hidden = np.arange(2 ** min(bits, 3)), 1
    packed = "".join(f"{value:0{bits}b}" for value in values).ljust(-(-len(values) * bits // 8) * 8, "0")
    line = int(packed, 2).to_bytes(len(packed) // 8, "big")
    file = png([line], len(values), bits, GRAY, chunk(b"tRNS", hidden.to_bytes(2, "big")))
    expected = np.where(values == hidden, 255, values * 255 // (2**bits - 1))
    assert read_image(file)[0, :, 0].tolist() == expected.tolist()
    with PIL.Image.open(io.BytesIO(file)) as image:
        assert (upright_pixels(image) == read_image(file)).all()


# The transparent colour, and others that share its upper or lower bytes.
DEEP = np.array([[[0x0102, 0x0304, 0x0506], [0x0103, 0x0304, 0x0506], [0x0202, 0x0304, 0x0506]]], ">u2")


def deep_png(*colour: int) -> bytes:
    hidden = chunk(b"tRNS", np.array(colour, ">u2").tobytes())
    return png([DEEP.tobytes()], 3, 16, RGB, hidden)


def test_the_transparent_colour_of_16_bits_is_one_colour_and_not_its_neighbours():
    expected = [[255, 255, 255], [1, 3, 5], [2, 3, 5]]
    assert read_image(deep_png(0x0102, 0x0304, 0x0506))[0].tolist() == expected
    assert read_image(deep_png(1, 3, 5))[0].tolist() == [[1, 3, 5], [1, 3, 5], [2, 3, 5]]


def test_a_client_with_an_opened_file_gets_the_same():
    with PIL.Image.open(io.BytesIO(deep_png(0x0102, 0x0304, 0x0506))) as image:
        pixels = upright_pixels(image)
        assert pixels[0, :, 0].tolist() == [255, 1, 2]
        with pytest.raises(ImageReadingError, match="give the bytes of its file"):  # it is loaded now
            upright_pixels(image)


def test_a_large_picture_is_the_same_strip_by_strip(monkeypatch):
    pictures = [
        file_of(PIL.Image.fromarray(noise(50, 40, 4)).convert(mode), "PNG") for mode in ("RGBA", "P", "LA")
    ]
    pictures += [file_of(noise(50, 40)[..., 0].astype(np.uint16) * 257, "PNG"), noise(50, 40, 4)]
    pictures += [deep_png(0x0102, 0x0304, 0x0506)]
    whole = [read_image(picture) for picture in pictures]
    monkeypatch.setattr(samples, "_STRIP_PIXELS", 100)
    for picture, expected in zip(pictures, whole, strict=True):
        assert (read_image(picture) == expected).all()


@pytest.mark.parametrize("source", ["array", "PNG", "TIFF"])
@pytest.mark.parametrize(("deepest", "remarks"), [(4095, 1), (4096, 0), (0, 0)])
def test_twelve_bits_in_sixteen_are_remarked_on_once(source, deepest, remarks, caplog):
    deep = np.full((8, 8), deepest, np.uint16)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            read_image(deep if source == "array" else file_of(deep, source))
    assert len([record for record in caplog.records if "12 bits or fewer" in record.getMessage()]) == remarks


MODES = {
    "RGB": PIL.Image.fromarray(noise(16, 24)),
    "opaque RGBA": PIL.Image.fromarray(noise(16, 24)).convert("RGBA"),
    "RGBA": PIL.Image.fromarray(noise(16, 24, 4)),
    "LA": PIL.Image.fromarray(noise(16, 24, 4)).convert("LA"),
    "P": PIL.Image.fromarray(noise(16, 24)).convert("P"),
    "I;16": PIL.Image.fromarray(noise(16, 24)[..., 0].astype(np.uint16) * 257),
    "I": PIL.Image.fromarray(noise(16, 24)[..., 0].astype(np.int32) * 257),
    "L": PIL.Image.fromarray(noise(16, 24)[..., 0]),
    "1": PIL.Image.fromarray(noise(16, 24)[..., 0] > 99),
    "CMYK": PIL.Image.fromarray(noise(16, 24)).convert("CMYK"),
    "YCbCr": PIL.Image.fromarray(noise(16, 24)).convert("YCbCr"),
}


@pytest.mark.parametrize("mode", MODES)
def test_client_and_owner_take_the_same_pixels(mode):
    image = MODES[mode]
    assert (MixingUp(patch_size=8).prepare(image) == read_image(image)).all()
    if mode != "YCbCr":
        file = file_of(image, "TIFF")
        with PIL.Image.open(io.BytesIO(file)) as opened:
            assert (MixingUp(patch_size=8).prepare(opened) == read_image(file)).all()


@pytest.mark.parametrize("mode", ["F", "HSV", "LAB"])
def test_client_and_owner_refuse_the_same_pictures(mode):
    for take in (read_image, MixingUp(patch_size=8)):
        with pytest.raises(ImageReadingError, match=f"mode '{mode}'"):
            take(PIL.Image.new(mode, (16, 16)))
