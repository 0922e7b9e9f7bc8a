"""Encrypted images on their way into training: read, decoded, normalised and collated, beside the model.

    python benchmarks/speed/run_all.py --only training_input

One thread, processor time. The input must be faster than the model takes it, or training waits for it; a
GPU takes more, and DataLoader workers share the input.
"""

import tempfile
from pathlib import Path

import torch
from datasets import Dataset, Features, Image, Value, disable_progress_bars, load_dataset
from transformers import default_data_collator

from benchmarks.harness.photographs import photographs, rows_of_files
from benchmarks.harness.timing import Row, interleaved, row
from hipmr_hf import RandomShuffling
from hipmr_hf.images.writing import encode_image
from hipmr_hf.training.classification import build_pevit, input_transform

SHUFFLING = RandomShuffling()
FORMATS = {"png": "PNG", "webp": "lossless WebP", "jpeg": "JPEG 95"}
BATCH = 16


def encrypted_dataset(rows: int, image_format: str, folder: Path) -> Dataset:
    """Write encrypted rows to Parquet and open them as a training script does."""
    plain = photographs(min(rows, 16), 224, 224)
    files = [encode_image(SHUFFLING(image), image_format) for image in plain]
    features = Features({"image": Image(), "label": Value("int64")})
    table = Dataset.from_dict(rows_of_files(files, rows), features=features)
    path = folder / f"{image_format}.parquet"
    table.to_parquet(path)
    return load_dataset("parquet", data_files=str(path), split="train", cache_dir=str(folder / "cache"))


def measure(quick: bool) -> list[Row]:
    """Compare reading with the forward and backward pass of PEViT tiny on as many images."""
    disable_progress_bars()
    torch.set_num_threads(1)
    batch = 4 if quick else BATCH
    rows = batch if quick else 4 * batch
    model, processor = build_pevit(SHUFFLING, size="tiny", num_labels=10)
    inputs = {"pixel_values": torch.rand(batch, 3, 224, 224), "labels": torch.zeros(batch, dtype=torch.long)}

    def train() -> None:
        model.zero_grad()
        model(**inputs).loss.backward()

    with tempfile.TemporaryDirectory() as folder:
        functions = {}
        for image_format in FORMATS:
            dataset = encrypted_dataset(rows, image_format, Path(folder))
            dataset = dataset.with_transform(input_transform(processor))
            loader = torch.utils.data.DataLoader(
                dataset, batch, shuffle=True, collate_fn=default_data_collator
            )
            functions[image_format] = lambda loader=loader: [None for _ in loader]
        functions["model"] = train
        seconds = interleaved(functions, repeats=1 if quick else 5)
    # the same number of images as the loaders, so that the ratio is one of speeds
    training = [value * rows / batch for value in seconds["model"]]
    options = {"amount": rows, "unit": "images/s"}
    against = ("PEViT tiny, forward and backward", training)
    return [
        row("training input: what PEViT tiny takes", training, **options),
        *(
            row(f"training input, {FORMATS[name]}", seconds[name], **options, against=against, aim=1.0)
            for name in FORMATS
        ),
    ]
