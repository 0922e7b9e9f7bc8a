"""What the columns of an encrypted dataset hold, in words for its card."""

from collections.abc import Mapping
from typing import Any

from ..layout import MASK_COLUMN, has_masks


def columns_in_words(features: Mapping[str, Any]) -> dict[str, str]:
    """Describe the type of each column.

    Example:

        >>> from datasets import ClassLabel, Image
        >>> columns_in_words({"image": Image(), "mask": Image(), "label": ClassLabel(names=["cat", "dog"])})
        {'image': 'encrypted image', 'mask': 'map of classes, as it is', 'label': 'one of 2 classes'}
        >>> from datasets import List, Value
        >>> columns_in_words({"label": List(ClassLabel(names=["cat", "dog"])), "age": Value("float32")})
        {'label': 'any of 2 classes', 'age': 'float32'}
    """
    told = {name: _in_words(feature) for name, feature in features.items()}
    return told | ({MASK_COLUMN: "map of classes, as it is"} if has_masks(features) else {})


def _in_words(feature: Any) -> str:
    if hasattr(feature, "names"):
        return f"one of {len(feature.names)} classes"
    if type(feature).__name__ == "Image":
        return "encrypted image"
    if hasattr(inner := getattr(feature, "feature", None), "names"):
        return f"any of {len(inner.names)} classes"
    if isinstance(feature, dict):
        return f"lists of {', '.join(feature)}"
    return "bytes" if getattr(feature, "dtype", "") == "binary" else getattr(feature, "dtype", "list")
