"""Names in a published folder or checkpoint, which stored data depend on: they are typed here alone."""

import re
from collections.abc import Mapping
from typing import Any

__version__ = "0.1.0"

SETTINGS_FILE = "encryption_config.json"
"""The encryption's settings, in every encrypted dataset and every checkpoint trained on one."""

CARD_FILE = "README.md"
ONNX_FILES = {
    "fp32": "onnx/model.onnx",
    "fp16": "onnx/model_fp16.onnx",
    "int8": "onnx/model_quantized.onnx",
}
"""A checkpoint as ONNX, by data type: as transformers.js names what it calls fp32, fp16 and q8."""

DATA_FOLDER = "data"
SHARD_PATTERN = re.compile(r"(?P<split>\w+(?:\.\w+)*)-\d{5}-of-\d{5}(?:-[0-9a-f]+)?\.parquet")
SPLIT_PATTERN = re.compile(r"\w+(\.\w+)*")

IMAGE_COLUMN = "image"
OBJECTS_COLUMN = "objects"
MASK_COLUMN = "mask"
"""Maps of classes leave under this name, so that everybody knows which column of pictures is none."""
NONCE_COLUMN = "nonce"
DEFAULT_KEEP_COLUMNS = ("label", OBJECTS_COLUMN)

_KEY_ID = re.compile(r"^ *key_id: *['\"]?([0-9a-f]{16})\b", re.MULTILINE)


def shard_name(split: str, number: int, count: int) -> str:
    """Name a Parquet file of a split.

    Example:

        >>> shard_name("train", 2, 12)
        'train-00002-of-00012.parquet'
    """
    return f"{split}-{number:05d}-of-{count:05d}.parquet"


def split_of(shard: str) -> str | None:
    """Return the split that a shard is named after; None for any other file name.

    Example:

        >>> split_of("train-00002-of-00012.parquet"), split_of("patients.parquet")
        ('train', None)
    """
    match = SHARD_PATTERN.fullmatch(shard)
    return match["split"] if match else None


def image_columns(features: Mapping[str, Any]) -> list[str]:
    """Return the columns of pictures; beside another one, `mask` holds maps of classes and is none.

    Example:

        >>> from datasets import Image, Value
        >>> image_columns({"image": Image(), "mask": Image(), "label": Value("int64")})
        ['image']
    """
    found = [name for name, feature in features.items() if type(feature).__name__ == "Image"]
    return [name for name in found if name != MASK_COLUMN] or found


def has_masks(features: Mapping[str, Any]) -> bool:
    """Whether one of the columns holds maps of classes.

    Example:

        >>> from datasets import Image
        >>> has_masks({"image": Image(), "mask": Image()}), has_masks({"mask": Image()})
        (True, False)
    """
    is_image = type(features.get(MASK_COLUMN)).__name__ == "Image"
    return is_image and MASK_COLUMN not in image_columns(features)


def key_id_in(card: str) -> str | None:
    """Return the id of the key that a dataset card names: its rows were encrypted with that key.

    Example:

        >>> key_id_in("  key_id: 9a9b3f5443294efc")
        '9a9b3f5443294efc'
    """
    match = _KEY_ID.search(card)
    return match[1] if match else None
