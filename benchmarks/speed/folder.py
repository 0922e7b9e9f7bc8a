"""A folder of photographs to one that may be published, its card and the search for leaks included.

    python benchmarks/speed/run_all.py --only folder [--photographs 400]

Beside it what a user would write: `load_dataset("imagefolder")`, `map` with PIL and NumPy, `save_to_disk`,
which neither looks for leaks nor writes a card. Files of 500x375 pixels, one process, processor time.
"""

import itertools
import tempfile
from pathlib import Path

import datasets
import numpy as np

from benchmarks.harness.photographs import jpeg_file, photographs
from benchmarks.harness.settings import shuffling
from benchmarks.harness.steps import decode, resize
from benchmarks.harness.timing import Row, interleaved, row
from benchmarks.speed.dataset import shuffle_with_pil
from hipmr_hf.dataset.job import EncryptionJob
from hipmr_hf.dataset.run import encrypt_source
from hipmr_hf.images.writing import encode_image

PHOTOGRAPHS, WARM_UP, ALONE = 2000, 160, 300
BY_HAND = "datasets.map with PIL, save_to_disk"
FORMATS = {
    "png": ("PNG", 3.0),
    "png-fast": ("PNG by ISA-L", 3.0),
    "webp": ("lossless WebP", 4.0),
    "jpeg": ("JPEG 95", None),
}
_ALONE = "beside it stands what decoding, resizing, shuffling and encoding take alone, in the same rounds"
REASONS = {
    "png": f"{_ALONE}; png-fast encodes in a quarter of the time, and the bytes of settings that exist stay",
    "png-fast": _ALONE,
    "webp": f"{_ALONE}; imagecodecs calls the same library as Pillow does, in the same time",
}


def write_photographs(folder: Path, count: int) -> Path:
    """Write JPEG files in two folders of classes."""
    files = [jpeg_file(crop) for crop in photographs(min(count, 32))]
    for number in range(count):
        path = folder / f"class_{number % 2}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[number % len(files)])
    return folder


def by_hand(source: Path, target: Path) -> None:
    """Shuffle the patches of a folder's pictures as a user would who knows datasets, PIL and NumPy."""
    plain = datasets.load_dataset("imagefolder", data_dir=str(source), split="train", streaming=False)
    mapped = plain.map(shuffle_with_pil, remove_columns=plain.column_names, features=plain.features)
    mapped.save_to_disk(target)


def steps_alone(files: list[bytes], image_format: str) -> None:
    """Do what no way around leads past, without files, tables, card and search for leaks."""
    encryption = shuffling()
    pixels = [resize(decode(file, encryption), encryption) for file in files]
    for start in range(0, len(pixels), 64):
        for encrypted in encryption.encrypt_batch(np.stack(pixels[start : start + 64])):
            encode_image(encrypted, image_format)


def measure(quick: bool, count: int | None = None, repeats: int = 3) -> list[Row]:
    """Encrypt the same folder again and again, in every format, to fresh folders."""
    count = 8 if quick else count or PHOTOGRAPHS
    datasets.disable_caching()
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory(prefix="hipmr-folder-") as parent:
        place = Path(parent)
        source, targets = write_photographs(place / "plain", count), iter(range(10**6))
        few = write_photographs(place / "few", min(count, WARM_UP))
        # The first call of each warms up, what is compiled for many pictures included.
        sources = itertools.chain([few] * (1 + len(FORMATS)), itertools.repeat(source))
        functions = {BY_HAND: lambda: by_hand(next(sources), place / str(next(targets)))}
        for image_format in FORMATS:
            job = EncryptionJob(shuffling(), image_format=image_format)
            functions[image_format] = lambda job=job: encrypt_source(
                job, [str(next(sources))], place / str(next(targets))
            )
        files = [path.read_bytes() for path in sorted(source.rglob("*.jpg"))[:ALONE]]
        for image_format in REASONS:
            functions["alone", image_format] = lambda name=image_format: steps_alone(files, name)
        seconds = interleaved(functions, repeats=1 if quick else repeats)
    datasets.enable_caching()
    return table_rows(seconds, count)


def table_rows(seconds: dict[str, list[float]], count: int) -> list[Row]:
    """Make the lines of the table."""
    options = {"amount": count, "unit": "images/s"}
    rows = [row(f"a folder of {count:,} photographs of 500x375, {BY_HAND}", seconds[BY_HAND], **options)]
    for image_format, (name, aim) in FORMATS.items():
        told = {"against": (BY_HAND, seconds[BY_HAND]), "aim": aim, "reason": REASONS.get(image_format)}
        rows.append(
            row(f"RS, the same folder, hipmr encrypt, {name}", seconds[image_format], **options, **told)
        )
    for image_format in REASONS:
        alone = [each * count / min(count, ALONE) for each in seconds["alone", image_format]]
        what = f"RS, decoding to encoding alone, {FORMATS[image_format][0]}"
        rows.append(row(what, alone, **options, against=(BY_HAND, seconds[BY_HAND])))
    return rows
