"""A photograph of 12 megapixels, from a JPEG file's bytes to an encrypted array, beside what users of PIL do.

    python benchmarks/speed/run_all.py --only large_photographs

One thread, processor time. PIL's own `draft` to at least twice the target, then resize, is the fastest that
PIL has; a full decode, then resize, is what its users write.
"""

import io

import numpy as np
from PIL import Image

from benchmarks.harness.photographs import jpeg_file, photographs
from benchmarks.harness.settings import SIDE, shuffling
from benchmarks.harness.timing import Row, interleaved, row
from hipmr_hf import Encryption
from hipmr_hf.metrics.image_similarity import psnr

HEIGHT, WIDTH = 3000, 4000


def encrypt(file: bytes, encryption: Encryption) -> np.ndarray:
    return np.asarray(encryption(Image.open(io.BytesIO(file))))


def with_pil(file: bytes, *, draft: bool) -> np.ndarray:
    image = Image.open(io.BytesIO(file))
    width = SIDE * image.width // image.height
    if draft:
        image.draft("RGB", (2 * width, 2 * SIDE))
    return np.asarray(image.resize((width, SIDE), Image.Resampling.BICUBIC))


def measure(quick: bool) -> list[Row]:
    """Time one photograph in every way, then tell how far the reduced decoding is from the full one."""
    height, width = (600, 800) if quick else (HEIGHT, WIDTH)
    crops = photographs(1 if quick else 4, 375, 500)
    files = [
        jpeg_file(Image.fromarray(crop).resize((width, height), Image.Resampling.BICUBIC)) for crop in crops
    ]
    reduced, full = shuffling(jpeg_decoding="reduced"), shuffling(jpeg_decoding="full")
    functions = {
        "reduced": lambda: encrypt(files[0], reduced),
        "full": lambda: encrypt(files[0], full),
        "draft": lambda: with_pil(files[0], draft=True),
        "PIL": lambda: with_pil(files[0], draft=False),
    }
    seconds = interleaved(functions, repeats=2 if quick else 11)
    options = {"amount": 1, "unit": "images/s"}
    what = f"RS of a JPEG of {width}x{height}"
    times = row(what, seconds["reduced"], **options, against=("PIL: draft, resize", seconds["draft"]))
    far = [psnr(*(one.prepare(Image.open(io.BytesIO(file))) for one in (reduced, full))) for file in files]
    return [
        times | {"aim": round(1 / 1.4, 3), "reason": None},
        row(what, seconds["reduced"], **options, against=("PIL: full decode, resize", seconds["PIL"]))
        | {"aim": round(1 / 0.35, 2), "reason": None},
        row(
            f"{what}, full decoding",
            seconds["full"],
            **options,
            against=("PIL: full decode, resize", seconds["PIL"]),
        ),
        {
            "what": f"{what}: reduced beside full decoding",
            "unit": "dB",
            "rate": np.quantile(far, [0.25, 0.5, 0.75]).tolist(),
            "rounds": len(far),
        },
    ]
