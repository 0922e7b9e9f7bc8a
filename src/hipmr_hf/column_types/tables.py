"""Build tables of Arrow from lists of values."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from .features import Features, arrow_type
from .kinds import ClassLabel, Image, Value

_NUMBERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)} | {"float32", "float64"}


def table_of(columns: Mapping[str, Sequence[Any]], features: Features) -> pa.Table:
    """Make a table with the schema of some features.

    Args:
        columns: values of every row, by column; pictures as {"bytes", "path"} dicts.
        features: of the same columns.

    Example:

        >>> features = Features({"image": Image(), "label": Value("int64")})
        >>> rows = {"image": [{"bytes": b"PNG", "path": None}], "label": [3]}
        >>> table_of(rows, features).to_pylist()
        [{'image': {'bytes': b'PNG', 'path': None}, 'label': 3}]
    """
    arrays = [array_of(kind, columns[name]) for name, kind in features.items()]
    return pa.Table.from_arrays(arrays, schema=features.arrow_schema)


def array_of(kind: Any, values: Sequence[Any]) -> pa.Array:
    """Make a column.

    Pictures, numbers and texts that are all there go by hand: the first call of `pa.array` imports pandas,
    where it is installed, which takes longer than to encrypt a picture.
    """
    dtype = "int64" if isinstance(kind, ClassLabel) else kind.dtype if isinstance(kind, Value) else None
    if isinstance(kind, Image) and all(isinstance(value, Mapping) for value in values):
        stored = [_bytes_array([value["bytes"] for value in values], pa.binary())]
        if stored[0] is not None and all(value["path"] is None for value in values):
            fields = list(arrow_type(kind))
            return pa.StructArray.from_arrays([*stored, pa.nulls(len(values), pa.string())], fields=fields)
    if dtype in _NUMBERS and set(map(type, values)) <= ({float} if "float" in dtype else {int}):
        numbers = np.array(values, dtype)
        return pa.Array.from_buffers(arrow_type(kind), len(values), [None, pa.py_buffer(numbers)])
    if dtype == "string" and set(map(type, values)) <= {str}:
        return _bytes_array([value.encode() for value in values], pa.string())
    if dtype == "binary" and (found := _bytes_array(values, pa.binary())) is not None:
        return found
    return pa.array(values, type=arrow_type(kind))


def _bytes_array(values: Sequence[Any], stored: pa.DataType) -> pa.Array | None:
    """Make a column of bytes that are all there; None if some are not, or are more than an offset tells."""
    if not set(map(type, values)) <= {bytes}:
        return None
    ends = np.fromiter(itertools.accumulate(map(len, values), initial=0), np.int64, len(values) + 1)
    if ends[-1] >= 2**31:
        return None
    buffers = [None, pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(stored, len(values), buffers)
