"""A dataset of JPEG photographs, decoded, resized, encrypted, encoded and written to Parquet.

    python benchmarks/speed_dataset.py

Beside it the same pipeline without the encryption step, and what a user would write with `datasets.map` and
PIL. One process, processor time.
"""

import dataclasses
import tempfile
from pathlib import Path

import datasets
import numpy as np
from datasets import Dataset, Features, Value
from photographs import jpeg_files, photographs
from PIL import Image, ImageOps
from timing import Row, interleaved, row, run_alone

from hipmr_hf import RandomShuffling, encrypt_dataset, save_encrypted_dataset

SIZE, PATCH = 224, 16
PIL_MAP = "datasets.map with PIL"
STRONG = {"sub_patch_grid": 2, "sub_patch_symmetries": True, "patch_normalization": True}
SETTINGS = {
    "RS": RandomShuffling(SIZE, PATCH),
    "RS+MI, symmetries, normalization": RandomShuffling(SIZE, PATCH, **STRONG),
}
_SHARED = (
    "timed apart, in milliseconds an image: decoding the JPEG file 1.0 and resizing 1.9, which PIL's "
    "pipeline does too (it resizes the cropped part only, and ours may not without moving pixels of "
    "keyed data by a grey level), then {}; PIL's takes 14 in all, 9 to 12 of them for PNG"
)
REASONS = {"png": _SHARED.format("3.0 for PNG"), "webp": _SHARED.format("1.2 to 1.7 for WebP")}


@dataclasses.dataclass(frozen=True)
class NoEncryption(RandomShuffling):
    """Settings that place an image and then leave it as it is."""

    def encrypt_batch(self, images: np.ndarray, **kwargs) -> np.ndarray:
        """Return the images."""
        return images


def shuffle_with_pil(example: dict) -> dict:
    """Shuffle one row as a user would who knows PIL and NumPy."""
    image = ImageOps.fit(example["image"].convert("RGB"), (SIZE, SIZE), Image.Resampling.BICUBIC)
    pixels, grid = np.asarray(image), SIZE // PATCH
    tiled = pixels.reshape(grid, PATCH, grid, PATCH, 3).swapaxes(1, 2).reshape(grid * grid, PATCH, PATCH, 3)
    tiled = tiled[np.random.default_rng().permutation(grid * grid)].reshape(grid, grid, PATCH, PATCH, 3)
    return {"image": Image.fromarray(tiled.swapaxes(1, 2).reshape(SIZE, SIZE, 3)), "label": example["label"]}


def plain_dataset(rows: int) -> Dataset:
    files = jpeg_files(photographs(min(rows, 32)))
    images = [{"bytes": files[index % len(files)], "path": None} for index in range(rows)]
    features = Features({"image": datasets.Image(), "label": Value("int64")})
    return Dataset.from_dict({"image": images, "label": list(range(rows))}, features=features)


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
    unencrypted = NoEncryption(SIZE, PATCH)
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        functions = {PIL_MAP: lambda: run_with_pil(plain, folder)}
        for image_format in ("png", "webp", "jpeg"):
            for name, encryption in {**SETTINGS, "none": unencrypted}.items():
                functions[name, image_format] = lambda encryption=encryption, image_format=image_format: run(
                    plain, encryption, image_format, folder
                )
        seconds = interleaved(functions, repeats=1 if quick else 5)
    datasets.enable_caching()
    return table_rows(seconds, len(plain))


def table_rows(seconds: dict, count: int) -> list[Row]:
    options = {"amount": count, "unit": "images/s"}
    rows = [row(f"photographs of 500x375 to {SIZE}, {PIL_MAP}", seconds[PIL_MAP], **options)]
    for image_format in ("png", "webp", "jpeg"):
        names = {"png": "PNG", "webp": "lossless WebP", "jpeg": "JPEG 95"}
        for name in SETTINGS:
            own = seconds[name, image_format]
            without = ("no encryption", seconds["none", image_format])
            lossless = image_format != "jpeg"
            what = f"{name}, {names[image_format]}"
            rows.append(row(what, own, **options, against=without, aim=0.95 if name == "RS" else None))
            if name == "RS":
                aims = {"aim": 3.0, "reason": REASONS[image_format]} if lossless else {}
                rows.append(row(what, own, **options, against=(PIL_MAP, seconds[PIL_MAP]), **aims))
    return rows


if __name__ == "__main__":
    run_alone("dataset", __doc__, measure)
