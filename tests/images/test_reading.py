import contextlib
import io
import struct
import traceback
import zlib

import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.ImageOps
import PIL.PngImagePlugin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipmr_hf.errors import ImageReadingError
from hipmr_hf.images.reading import read_image
from hipmr_hf.images.writing import encode_image, warn_of_smear

CANARY = "john-doe-canary"


def file_of(image: PIL.Image.Image, image_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def exif_with(orientation: int | None = None) -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[0x013B] = CANARY  # artist
    if orientation:
        exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "BMP", "PPM", "WEBP"])
def test_lossless_files_are_read_to_the_pixel(image_format):
    pixels = noise(20, 30)
    options = {"lossless": True} if image_format == "WEBP" else {}
    assert (read_image(file_of(PIL.Image.fromarray(pixels), image_format, **options)) == pixels).all()


def test_what_comes_back_is_fresh_contiguous_and_shares_no_memory():
    pixels = noise(6, 7)
    read = read_image(pixels)
    assert read.dtype == np.uint8 and read.flags.c_contiguous and read.flags.writeable
    assert not np.shares_memory(read, pixels)
    assert not np.shares_memory(read_image(PIL.Image.fromarray(pixels)), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied_as_pil_applies_it(orientation, image_format):
    options = {"lossless": True} if image_format == "WEBP" else {}
    picture = PIL.Image.fromarray(noise(8, 16))
    file = file_of(picture, image_format, exif=exif_with(orientation), **options)
    upright = PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(file)))
    assert (read_image(file) == np.asarray(upright)).all()
    assert read_image(file).shape == ((8, 16, 3) if orientation < 5 else (16, 8, 3))


def test_an_opened_pil_image_is_turned_upright_too():
    file = file_of(PIL.Image.fromarray(noise(8, 16)), "PNG", exif=exif_with(6))
    assert read_image(PIL.Image.open(io.BytesIO(file))).shape == (16, 8, 3)


def files_with_metadata() -> dict[str, bytes]:
    picture = PIL.Image.fromarray(noise(16, 16))
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    xmp = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{CANARY}</x:xmpmeta>".encode()
    text = PIL.PngImagePlugin.PngInfo()
    text.add_text("Author", CANARY)
    text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    common = {"exif": exif_with(), "icc_profile": profile}
    return {
        "jpeg": file_of(picture, "JPEG", comment=CANARY, xmp=xmp, **common),
        "png": file_of(picture, "PNG", pnginfo=text, **common),
        "webp": file_of(picture, "WEBP", lossless=True, xmp=xmp, **common),
    }


@pytest.mark.parametrize("source", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("target", ["jpeg", "png", "webp"])
def test_no_metadata_survives_reading_and_writing(source, target):
    file = files_with_metadata()[source]
    assert CANARY.encode() in file
    written = encode_image(read_image(file), target)
    image = PIL.Image.open(io.BytesIO(written))
    image.load()
    assert CANARY.encode() not in written
    assert not dict(image.getexif())
    harmless = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "loop", "background", "timestamp"}
    assert set(image.info) <= harmless | {"duration"}


def test_gray_and_one_bit_become_three_equal_channels():
    gray = noise(5, 6, 1)[:, :, 0]
    assert (read_image(file_of(PIL.Image.fromarray(gray), "PNG")) == gray[:, :, None]).all()
    bits = PIL.Image.fromarray(gray > 100)
    assert bits.mode == "1"
    assert (read_image(file_of(bits, "PNG")) == np.where(gray > 100, 255, 0)[:, :, None]).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_colours_below_full_transparency_vanish(mode):
    pixels = noise(4, 4, 4 if mode == "RGBA" else 2)
    pixels[..., -1] = 0
    assert (read_image(file_of(PIL.Image.fromarray(pixels, mode), "PNG")) == 255).all()


def test_half_transparency_is_laid_over_white():
    pixels = np.array([[[200, 100, 0, 128]]], dtype=np.uint8)
    expected = np.round(pixels[..., :3] * (128 / 255) + 255 * (1 - 128 / 255))
    assert (read_image(pixels) == expected).all()
    assert (read_image(PIL.Image.fromarray(pixels)) == expected).all()


def test_palette_is_resolved_and_its_transparent_entry_becomes_white():
    palette = PIL.Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.putdata([0, 1])
    assert read_image(file_of(palette, "PNG")).tolist() == [[[10, 20, 30], [200, 100, 50]]]
    assert read_image(file_of(palette, "PNG", transparency=1)).tolist() == [[[10, 20, 30], [255, 255, 255]]]
    assert read_image(file_of(palette, "GIF", transparency=1)).tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_a_transparent_colour_of_rgb_and_gray_files_becomes_white():
    rgb = PIL.Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], dtype=np.uint8))
    assert read_image(file_of(rgb, "PNG", transparency=(1, 2, 3)))[0, 0].tolist() == [255, 255, 255]
    deep = PIL.Image.fromarray(np.array([[1000, 30000]], dtype=np.uint16))
    assert read_image(file_of(deep, "PNG", transparency=1000))[0, :, 0].tolist() == [255, 117]


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
def test_cmyk_and_ycbcr_become_rgb(mode):
    source = PIL.Image.new("RGB", (16, 16), (200, 60, 30)).convert(mode)
    assert np.abs(read_image(source).astype(int) - (200, 60, 30)).max() <= 2
    assert np.abs(read_image(file_of(source, "JPEG", quality=95)).astype(int) - (200, 60, 30)).max() <= 4


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "array"])
def test_sixteen_bits_are_scaled_not_clipped(image_format):
    deep = np.array([[0, 128, 129, 257, 32768, 65535]], dtype=np.uint16)
    source = deep if image_format == "array" else file_of(PIL.Image.fromarray(deep), image_format)
    assert read_image(source)[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]


def test_thirty_two_bits_within_the_sixteen_bit_range_are_scaled_and_others_refused():
    within = PIL.Image.fromarray(np.array([[0, 65535]], dtype=np.int32))
    assert within.mode == "I" and read_image(within)[0, :, 0].tolist() == [0, 255]
    for value in (-1, 65536):
        with pytest.raises(ImageReadingError, match="scale is unknown"):
            read_image(PIL.Image.fromarray(np.array([[0, value]], dtype=np.int32)))


@pytest.mark.parametrize("mode", ["F", "HSV", "LAB"])
def test_other_modes_are_refused(mode):
    with pytest.raises(ImageReadingError, match=f"mode '{mode}'"):
        read_image(PIL.Image.new(mode, (4, 4)))


@pytest.mark.parametrize("image_format", ["GIF", "PNG", "TIFF", "WEBP", "AVIF"])
def test_several_frames_are_refused_and_one_is_not(image_format):
    frames = [PIL.Image.fromarray(noise(16, 16) // (i + 1)) for i in range(3)]
    file = file_of(frames[0], image_format, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageReadingError, match="several frames"):
        read_image(file)
    with pytest.raises(ImageReadingError, match="several frames"):
        read_image(PIL.Image.open(io.BytesIO(file)))
    assert read_image(file_of(frames[0], image_format)).shape == (16, 16, 3)


def png_header_of(width: int, height: int) -> bytes:
    """A PNG whose header promises a size and whose pixel data is rubbish: decoding it fails otherwise."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"rubbish") + chunk(b"IEND", b"")


@pytest.mark.parametrize("factor", [1.5, 3.0])  # PIL only warns below 2
def test_bombs_are_refused_from_the_header(factor, monkeypatch):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 10_000)
    bomb = png_header_of(100, int(100 * factor))
    with pytest.raises(ImageReadingError, match="decompression bomb"):
        read_image(bomb)
    with pytest.raises(ImageReadingError, match="corrupt"):
        read_image(png_header_of(100, 100))


def test_no_limit_means_no_limit(monkeypatch):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", None)
    assert read_image(PIL.Image.new("L", (400, 300))).shape == (300, 400, 3)
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 400 * 300 - 1)
    with pytest.raises(ImageReadingError, match="119999"):
        read_image(PIL.Image.new("L", (400, 300)))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_truncated_files_are_refused(image_format):
    file = file_of(PIL.Image.fromarray(noise(64, 64)), image_format)
    for share in (0.05, 0.5, 0.9):
        with pytest.raises(ImageReadingError):
            read_image(file[: int(len(file) * share)])


@pytest.mark.parametrize("file", [b"", b"not an image", b"%PDF-1.4"])
def test_what_is_no_image_is_refused(file):
    with pytest.raises(ImageReadingError, match="corrupt, truncated or no image file"):
        read_image(file)


@settings(max_examples=60, deadline=None)
@given(
    position=st.floats(0, 1, exclude_max=True),
    value=st.integers(0, 255),
    name=st.sampled_from(["jpeg", "png"]),
)
def test_damaged_files_give_pixels_or_the_one_documented_error(position, value, name):
    file = bytearray(files_with_metadata()[name])
    file[int(position * len(file))] = value
    with contextlib.suppress(ImageReadingError):
        assert read_image(bytes(file)).dtype == np.uint8


@pytest.mark.parametrize("image_format", ["PCX", "EPS", "ICO"])
def test_formats_beyond_those_of_datasets_are_not_even_opened(image_format):
    with pytest.raises(ImageReadingError, match="formats that can be read are PNG, JPEG"):
        read_image(file_of(PIL.Image.fromarray(noise(16, 16)), image_format))


def test_errors_hold_no_path_and_chain_nothing_of_pil(tmp_path):
    path = tmp_path / f"{CANARY}.png"
    path.write_bytes(file_of(PIL.Image.fromarray(noise(64, 64)), "PNG")[:500])
    with PIL.Image.open(path) as image, pytest.raises(ImageReadingError) as caught:
        read_image(image)
    report = "".join(traceback.format_exception(caught.value))
    assert CANARY not in report and caught.value.__context__ is None and caught.value.__cause__ is None


def test_reading_warns_of_nothing_that_quotes_metadata(recwarn, monkeypatch):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageReadingError):
        read_image(file_of(PIL.Image.new("L", (12, 12)), "PNG"))
    assert not recwarn.list


@pytest.mark.parametrize("source", ["jpeg", "png", "webp"])
def test_reading_logs_nothing_that_quotes_metadata(source, caplog):
    file = files_with_metadata()[source]
    caplog.set_level("DEBUG")
    caplog.clear()
    read_image(file)
    assert CANARY not in caplog.text
    PIL.Image.open(io.BytesIO(file)).getexif().get(0x013B)
    assert CANARY in caplog.text  # PIL is heard again


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4, 3), np.uint8)],
)
def test_arrays_of_other_kinds_are_refused(array):
    with pytest.raises(ImageReadingError, match="allowed are uint8"):
        read_image(array)


def test_other_types_are_refused_by_name():
    with pytest.raises(TypeError, match="image: got str"):
        read_image("photo.png")


def test_jpeg_keeps_the_colours_of_neighbouring_patches_apart():
    mosaic = np.zeros((16, 16, 3), dtype=np.uint8)
    mosaic[:, :8] = (255, 0, 0)
    mosaic[:, 8:] = (0, 0, 255)
    read = read_image(encode_image(mosaic, "jpeg", jpeg_quality=95)).astype(int)
    assert np.abs(read - mosaic).max() <= 4


@pytest.mark.parametrize(("patch_size", "smears"), [(8, False), (16, False), (12, True), (4, True)])
def test_jpeg_smears_over_patch_borders_exactly_where_the_warning_says(patch_size, smears, caplog):
    mosaic = noise(48, 48)
    changed = mosaic.copy()
    changed[:patch_size, :patch_size] = 255 - changed[:patch_size, :patch_size]
    before, after = (read_image(encode_image(pixels, "jpeg")) for pixels in (mosaic, changed))
    elsewhere = np.ones((48, 48), bool)
    elsewhere[:patch_size, :patch_size] = False
    assert (before[elsewhere] != after[elsewhere]).any() == smears

    for image_format in ("png", "jpeg"):
        warn_of_smear(image_format, patch_size)
    assert len(caplog.records) == smears
    if smears:
        assert f"patches of {patch_size} pixels" in caplog.text and "'webp' or 'png'" in caplog.text


@pytest.mark.parametrize("image_format", ["png", "webp"])
def test_flat_areas_still_compress(image_format):
    assert len(encode_image(np.full((224, 224, 3), 7, np.uint8), image_format)) < 2000


@pytest.mark.parametrize(
    ("pixels", "options", "message"),
    [
        (noise(4, 4), {"image_format": "gif"}, "image_format: got 'gif'"),
        (noise(4, 4), {"image_format": "jpeg", "jpeg_quality": 0}, "jpeg_quality: got 0"),
        (noise(4, 4), {"image_format": "jpeg", "jpeg_quality": 95.5}, "jpeg_quality: got 95.5"),
        (noise(4, 4, 4), {}, "pixels: got uint8"),
        (np.zeros((4, 17000, 3), np.uint8), {"image_format": "webp"}, "17000 x 4 pixels"),
    ],
)
def test_what_cannot_be_written_is_refused_with_the_remedy(pixels, options, message):
    with pytest.raises(ValueError, match=message):
        encode_image(pixels, **options)
