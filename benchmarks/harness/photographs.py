"""Photographs to measure with: collections beside the checkout, and crops of those in scikit-learn."""

import io
from pathlib import Path

import numpy as np
from datasets import load_dataset
from PIL import Image

ATTACKED = range(4, 16)
"""Kodak photographs under attack; 0 to 3 were looked at while the solver was built."""


def collection(data_dir: Path, *names: str, smallest: int = 0) -> list[Image.Image]:
    """Return the photographs of collections, those whose sides have so many pixels, as RGB."""
    photos = []
    for name in names:
        rows = load_dataset("parquet", data_files=str(data_dir / f"{name}.parquet"), split="train")
        photos += [row["image"].convert("RGB") for row in rows]
    return [photo for photo in photos if min(photo.size) >= smallest]


def divide(data_dir: Path, *others: str, smallest: int = 0) -> tuple[dict[int, np.ndarray], list[np.ndarray]]:
    """Return Kodak photographs under attack by their number, and those to learn from: Kodak's and others."""
    kodak = [np.asarray(photo) for photo in collection(data_dir, "photos_kodak")]
    learned_from = [photo for number, photo in enumerate(kodak) if number not in ATTACKED]
    learned_from += [np.asarray(photo) for photo in collection(data_dir, *others, smallest=smallest)]
    return {number: kodak[number] for number in ATTACKED}, learned_from


def random_crop(photo: Image.Image, side: int, rng: np.random.Generator) -> np.ndarray:
    """Resize by a random factor, never up, and cut a square of `side` pixels out."""
    smallest = side / min(photo.size)
    scale = np.exp(rng.uniform(np.log(smallest), np.log(max(smallest, min(1, 2 * smallest)))))
    size = tuple(max(side, round(length * scale)) for length in photo.size)
    left, top = (int(rng.integers(0, length - side + 1)) for length in size)
    return np.asarray(photo.resize(size, Image.Resampling.BICUBIC).crop((left, top, left + side, top + side)))


def photographs(count: int, height: int = 375, width: int = 500) -> list[np.ndarray]:
    """Cut crops out of scikit-learn's photographs, as `crops_of` does."""
    return crops_of(None, count, height, width)


def crops_of(
    photos: list[Image.Image] | None, count: int, height: int = 375, width: int = 500
) -> list[np.ndarray]:
    """Cut crops out of photographs, each at a place and a scale of its own: uint8 (height, width, 3).

    500 x 375 pixels is what most files of ImageNet have. The seed only chooses the crops.

    Args:
        photos: None for those that come with scikit-learn.
        count: of crops; the photographs take turns.
        height, width: of a crop.
    """
    from sklearn.datasets import load_sample_images  # slow to import, and not every process needs it

    generator = np.random.default_rng(0)
    sources = photos or [Image.fromarray(image) for image in load_sample_images().images]
    crops = []
    for index in range(count):
        source = sources[index % len(sources)]
        scale = generator.uniform(0.6, 1.0) * min(source.width / width, source.height / height)
        left = generator.uniform(0, source.width - scale * width)
        top = generator.uniform(0, source.height - scale * height)
        box = (left, top, left + scale * width, top + scale * height)
        crop = np.asarray(source.resize((width, height), Image.Resampling.BICUBIC, box=box))
        crops.append(crop[:, ::-1] if generator.random() < 0.5 else crop)
    return crops


def jpeg_file(pixels: np.ndarray | Image.Image, quality: int = 90) -> bytes:
    """Encode a picture as a camera or the web would: JPEG with chroma at half the resolution (4:2:0)."""
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.ascontiguousarray(pixels))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return file.getvalue()


def rows_of_files(files: list[bytes], count: int) -> dict[str, list]:
    """Return so many rows of a dataset, image and label, that hold the files again and again."""
    images = [{"bytes": files[index % len(files)], "path": None} for index in range(count)]
    return {"image": images, "label": list(range(count))}
