"""Features of plain rows, and which of their columns are pictures."""

from collections.abc import Sequence

import pyarrow as pa

from ...column_types.features import Features
from ...column_types.kinds import Image, Value


def features_of(schema: pa.Schema) -> Features:
    """Read the features; metadata that are no features of `datasets` are passed over.

    Example:

        >>> features_of(pa.schema({"image": pa.binary()}, {b"huggingface": b"{"}))
        {'image': Value('binary')}
    """
    try:
        return Features.from_arrow_schema(schema)
    except Exception:  # whatever somebody wrote into the metadata
        return Features.from_arrow_schema(schema.remove_metadata())


def with_images(features: Features, columns: Sequence[str]) -> Features:
    """Take files' bytes, as other programs write them to Parquet, for pictures.

    Example:

        >>> with_images(Features({"image": Value("binary")}), ["image"])["image"]
        Image(mode=None, decode=True)
    """
    told = {name: features[name] for name in columns if name in features}
    files = {
        name: Image()
        for name, feature in told.items()
        if feature == Value("binary") or (isinstance(feature, dict) and "bytes" in feature)
    }
    return Features({**features, **files}) if files else features
