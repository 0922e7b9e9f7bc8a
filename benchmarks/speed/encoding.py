"""What each image format costs on shuffled patches: time to write and read, bytes, and pixels lost.

    python benchmarks/speed/run_all.py --only encoding

PIL's own defaults stand beside what `hipmr_hf` writes. JPEG is measured with patches that are whole blocks of
8 pixels and with ones that are not; the error is told for pixels at a patch border and for the others.
"""

import io

import numpy as np
from PIL import Image

from benchmarks.harness.photographs import photographs
from benchmarks.harness.settings import SIDE, shuffling
from benchmarks.harness.timing import Row, interleaved, quartiles, row
from hipmr_hf.images.reading import read_image
from hipmr_hf.images.writing import encode_image

ALIGNED, MISALIGNED = shuffling(), shuffling(interval=4)


def measure(quick: bool) -> list[Row]:
    """Encode the same encrypted photographs in every way, then look at what JPEG lost."""
    plain = photographs(2 if quick else 16, SIDE, SIDE)
    images = [ALIGNED(image) for image in plain]
    writers = {
        "PNG as PIL writes it": lambda image: with_pil(image, "PNG"),
        "PNG": lambda image: encode_image(image, "png"),
        "lossless WebP as PIL writes it": lambda image: with_pil(image, "WEBP", lossless=True),
        "PNG by ISA-L": lambda image: encode_image(image, "png-fast"),
        "lossless WebP": lambda image: encode_image(image, "webp"),
        "JPEG, quality 95": lambda image: encode_image(image, "jpeg", jpeg_quality=95),
        "JPEG, quality 75": lambda image: encode_image(image, "jpeg", jpeg_quality=75),
    }
    files = {name: [write(image) for image in images] for name, write in writers.items()}
    repeats = 1 if quick else 5
    writing = {name: lambda write=write: [write(i) for i in images] for name, write in writers.items()}
    reading = {name: lambda name=name: [read_image(file) for file in files[name]] for name in files}
    written, read = interleaved(writing, repeats=repeats), interleaved(reading, repeats=repeats)
    return [*time_rows(files, images, written, read), *pixel_rows(plain)]


def with_pil(image: np.ndarray, image_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, image_format, **options)
    return buffer.getvalue()


def time_rows(files: dict, images: list[np.ndarray], written: dict, read: dict) -> list[Row]:
    rows = []
    base = "PNG as PIL writes it"
    for name in files:
        share = sum(map(len, files[name])) / sum(image.nbytes for image in images)
        options = {"amount": len(images), "unit": "images/s"}
        what = f"{name}, {share:.2f} of the raw bytes: write"
        rows.append(row(what, written[name], **options, against=(base, written[base])))
        rows.append(row(f"{name}: read", read[name], **options, against=(base, read[base])))
    return rows


def pixel_rows(plain: list[np.ndarray]) -> list[Row]:
    """PSNR of JPEG at and away from borders of patches, in dB: the distance between the two is the smear."""
    rows = []
    for encryption in (ALIGNED, MISALIGNED):
        width = encryption.encrypted_patch_size
        for quality in (95, 75):
            at, away = zip(*(losses(encryption(image), width, quality) for image in plain), strict=True)
            for place, values in (("at patch borders", at), ("elsewhere", away)):
                what = f"JPEG, quality {quality}, patches of {width} pixels: PSNR {place}"
                rows.append({"what": what, "unit": "dB", "rate": quartiles(values), "rounds": len(values)})
    return rows


def losses(image: np.ndarray, patch_size: int, quality: int) -> tuple[float, float]:
    """PSNR of a JPEG file, in dB, on pixels that touch a patch border and on the others."""
    error = read_image(encode_image(image, "jpeg", jpeg_quality=quality)).astype(float) - image
    place = np.arange(image.shape[0]) % patch_size
    edge = (place == 0) | (place == patch_size - 1)
    other = np.arange(image.shape[1]) % patch_size
    border = edge[:, None] | (other == 0) | (other == patch_size - 1)
    return tuple(10 * np.log10(255**2 / np.square(error[mask]).mean()) for mask in (border, ~border))
