import io

import numpy as np
import PIL.Image
import pytest

from hipmr_hf.errors import ImageReadingError
from hipmr_hf.images.chunks import foreign_parts
from hipmr_hf.images.label_maps import encode_label_map, read_label_map

LABELS = np.array([[0, 1, 2, 3], [3, 3, 1, 0]], np.uint8)


def file_of(image: PIL.Image.Image, image_format: str = "png", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def palette_map(bits: int) -> bytes:
    image = PIL.Image.fromarray(LABELS, mode="L").convert("P")
    image.putdata(LABELS.ravel().tolist())
    image.putpalette([200, 0, 0, 0, 90, 0, 7, 7, 7, 1, 2, 3])
    return file_of(image, bits=bits, transparency=0)


def gray_png(bits: int) -> bytes:
    """A gray PNG of few bits, which Pillow itself cannot write: Pillow stretches its values when it reads."""
    import struct
    import zlib

    packed = b"".join(
        b"\0" + bytes(np.packbits(np.unpackbits(row[:, None], axis=1)[:, 8 - bits :].ravel()))
        for row in LABELS
    )
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 4, 2, bits, 0, 0, 0, 0)), (b"IDAT", zlib.compress(packed))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in [*chunks, (b"IEND", b"")]
    )


@pytest.mark.parametrize(
    "file",
    [
        file_of(PIL.Image.fromarray(LABELS)),
        file_of(PIL.Image.fromarray(LABELS), "tiff"),
        file_of(PIL.Image.fromarray(LABELS.astype(np.uint16))),
        palette_map(8),
        palette_map(2),
        gray_png(2),
        gray_png(4),
    ],
)
def test_class_ids_come_as_they_are_whatever_the_file(file):
    np.testing.assert_array_equal(read_label_map(file), LABELS)


def test_a_mask_lies_as_its_upright_picture_does():
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    stored = file_of(PIL.Image.fromarray(LABELS), exif=exif)
    np.testing.assert_array_equal(read_label_map(stored), np.rot90(LABELS, -1))


def test_what_is_written_is_read_again_and_carries_nothing_else():
    file = encode_label_map(LABELS)
    np.testing.assert_array_equal(read_label_map(file), LABELS)
    assert foreign_parts(file) == [] and PIL.Image.open(io.BytesIO(file)).mode == "L"


GRAY = (np.add.outer(np.arange(64), np.arange(64)) + np.arange(64) % 7 * 9).astype(np.uint8)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (file_of(PIL.Image.new("RGB", (4, 4))), "PNG of mode RGB"),
        (file_of(PIL.Image.fromarray(LABELS), "jpeg"), "JPEG of mode L"),
        (file_of(PIL.Image.fromarray(np.full((4, 4), 300, np.uint16))), "numbers from 0 to 255"),
        (file_of(PIL.Image.fromarray(GRAY)), "is a picture and no map of classes"),
        (b"nothing", "corrupt, truncated or no image file"),
    ],
)
def test_what_could_be_a_picture_or_changes_labels_is_refused(file, message):
    with pytest.raises(ImageReadingError, match=message):
        read_label_map(file)


def test_many_classes_with_areas_are_no_picture():
    many = np.kron(np.arange(100, dtype=np.uint8).reshape(10, 10), np.ones((8, 8), np.uint8))
    np.testing.assert_array_equal(read_label_map(encode_label_map(many)), many)
