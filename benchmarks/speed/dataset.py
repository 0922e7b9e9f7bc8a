"""A dataset of JPEG photographs, decoded, resized, encrypted, encoded and written to Parquet.

    python benchmarks/speed/run_all.py --only dataset

Beside it the same pipeline without the encryption step, and what a user would write with `datasets.map` and
PIL. One process, processor time.
"""

import dataclasses
import tempfile
from pathlib import Path

import datasets
import numpy as np
from datasets import Dataset, Features, Value
from PIL import Image, ImageOps

from benchmarks.harness.by_hand import shuffle_patches
from benchmarks.harness.photographs import jpeg_file, photographs, rows_of_files
from benchmarks.harness.settings import HARDENED, PATCH, SIDE, shuffling
from benchmarks.harness.timing import Row, interleaved, row
from hipmr_hf import RandomShuffling, encrypt_dataset, save_encrypted_dataset

PIL_MAP = "datasets.map with PIL"
FORMATS = {"png": "PNG", "webp": "lossless WebP", "jpeg": "JPEG 95"}
SETTINGS = {
    "RS": shuffling(),
    "RS+MI, symmetries, normalization": shuffling(**HARDENED),
}
HARDER = (
    "shuffled pixels take 3 % longer to write as PNG, and 4 % more bytes; JPEG takes as long, and 2 % more"
)
REASONS = {
    "png": "the topic `folder` measures the steps alone, PNG by zlib among them; png-fast encodes in a "
    "quarter of the time, and the bytes of settings that exist stay",
    "webp": "the topic `folder` measures the steps alone, which take nearly all of it",
}


@dataclasses.dataclass(frozen=True)
class NoEncryption(RandomShuffling):
    """Settings that place an image and then leave it as it is."""

    def encrypt_batch(self, images: np.ndarray, **kwargs) -> np.ndarray:
        """Return the images."""
        return images


def shuffle_with_pil(example: dict) -> dict:
    """Shuffle one row as a user would who knows PIL and NumPy."""
    image = ImageOps.fit(example["image"].convert("RGB"), (SIDE, SIDE), Image.Resampling.BICUBIC)
    shuffled = shuffle_patches(np.asarray(image), PATCH, np.random.default_rng())
    return {"image": Image.fromarray(shuffled), "label": example["label"]}


def plain_dataset(rows: int) -> Dataset:
    """Every row has a picture of its own: Parquet stores equal ones once, which no encryption leaves."""
    files = [jpeg_file(crop) for crop in photographs(rows)]
    features = Features({"image": datasets.Image(), "label": Value("int64")})
    return Dataset.from_dict(rows_of_files(files, rows), features=features)


def run(plain: Dataset, encryption: RandomShuffling, image_format: str, folder: Path) -> None:
    encrypted = encrypt_dataset(plain, encryption, image_format=image_format)
    target = folder / f"{len(list(folder.iterdir()))}"
    save_encrypted_dataset(encrypted, RandomShuffling(**dataclasses.asdict(encryption)), target)


def run_with_pil(plain: Dataset, folder: Path) -> None:
    mapped = plain.map(shuffle_with_pil, remove_columns=plain.column_names, features=plain.features)
    mapped.to_parquet(folder / f"{len(list(folder.iterdir()))}.parquet")


def measure(quick: bool) -> list[Row]:
    """Encrypt the same dataset again and again, in every format and way, to fresh folders."""
    datasets.disable_caching()
    datasets.disable_progress_bars()
    plain = plain_dataset(8 if quick else 192)
    unencrypted = NoEncryption(SIDE, PATCH)
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        functions = {PIL_MAP: lambda: run_with_pil(plain, folder)}
        for image_format in FORMATS:
            for name, encryption in {**SETTINGS, "none": unencrypted}.items():
                functions[name, image_format] = lambda encryption=encryption, image_format=image_format: run(
                    plain, encryption, image_format, folder
                )
        seconds = interleaved(functions, repeats=1 if quick else 5)
    datasets.enable_caching()
    return table_rows(seconds, len(plain))


def table_rows(seconds: dict, count: int) -> list[Row]:
    options = {"amount": count, "unit": "images/s"}
    rows = [row(f"photographs of 500x375 to {SIDE}, {PIL_MAP}", seconds[PIL_MAP], **options)]
    for image_format in FORMATS:
        for name in SETTINGS:
            own = seconds[name, image_format]
            without = ("no encryption", seconds["none", image_format])
            lossless = image_format != "jpeg"
            what = f"{name}, {FORMATS[image_format]}"
            least = 0.95 if name == "RS" else None
            rows.append(row(what, own, **options, against=without, aim=least, reason=HARDER))
            if name == "RS":
                aims = {"aim": 3.0, "reason": REASONS[image_format]} if lossless else {}
                rows.append(row(what, own, **options, against=(PIL_MAP, seconds[PIL_MAP]), **aims))
    return rows
