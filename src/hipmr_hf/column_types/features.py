"""The columns of a table by name, to and from Arrow's schema and the `Features` of `datasets`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from . import kinds
from .kinds import ClassLabel, Image, LargeList, List, Value, to_dict

if TYPE_CHECKING:
    import datasets

_METADATA = b"huggingface"
_PLAIN = {
    **{name: getattr(pa, name)() for name in ("null", "int8", "int16", "int32", "int64", "uint8", "uint16")},
    **{name: getattr(pa, name)() for name in ("uint32", "uint64", "float16", "float32", "float64", "date32")},
    **{name: getattr(pa, name)() for name in ("date64", "string", "large_string", "binary", "large_binary")},
    "bool": pa.bool_(),
}
_NAMES = {kind: name for name, kind in _PLAIN.items()}
_TIMESTAMP = re.compile(r"timestamp\[(s|ms|us|ns)(?:,\s*tz=([a-zA-Z0-9/_+\-:]*))?\]")
_FIXED_BYTES = re.compile(r"fixed_size_binary\[(\d+)\]")


class Features(dict[str, Any]):
    """What each column holds, as `datasets.Features` has it.

    Example:

        >>> from hipmr_hf.column_types.kinds import ClassLabel
        >>> features = Features({"label": ClassLabel(["cat", "dog"])})
        >>> Features.from_arrow_schema(features.arrow_schema)
        {'label': ClassLabel(names=['cat', 'dog'])}
    """

    @property
    def arrow_schema(self) -> pa.Schema:
        """Arrow's schema, in whose metadata stand the features, byte for byte as `datasets` writes them."""
        told = json.dumps({"info": {"features": to_dict(self)}})
        return pa.schema({name: arrow_type(kind) for name, kind in self.items()}, {_METADATA: told})

    @classmethod
    def from_arrow_schema(cls, schema: pa.Schema) -> Features:
        """Read a schema; metadata count where they fit the columns.

        Raises:
            ValueError, TypeError, KeyError, AttributeError, RecursionError: metadata that describe no
                features.
        """
        told: Any = json.loads((schema.metadata or {}).get(_METADATA, b"{}").decode())
        described = told["info"].get("features") or {} if "info" in told else {}
        known = {name: kinds.from_dict(described[name]) for name in described}
        found = cls()
        for field in schema:
            kind = known.get(field.name)
            fits = kind is not None and pa.field(field.name, arrow_type(kind)) == field
            found[field.name] = kind if fits else kind_of(field.type)
        return found

    @classmethod
    def from_datasets(cls, features: Mapping[str, Any]) -> Features:
        """Take features of `datasets`."""
        return cls(kinds.from_datasets(features))

    def to_datasets(self) -> datasets.Features:
        """Make features of `datasets`."""
        import datasets

        return datasets.Features(kinds.to_datasets(self))


def arrow_type(kind: Any) -> pa.DataType:
    """Return the type of Arrow that a column is stored as.

    Example:

        >>> arrow_type(List(Value("float32"), length=4))
        FixedSizeListType(fixed_size_list<item: float>[4])
    """
    if isinstance(kind, Mapping):
        return pa.struct({name: arrow_type(inner) for name, inner in kind.items()})
    if isinstance(kind, Value):
        return _value_type(kind.dtype)
    if isinstance(kind, ClassLabel):
        return pa.int64()
    if isinstance(kind, Image):
        return pa.struct({"bytes": pa.binary(), "path": pa.string()})
    if isinstance(kind, List):
        return pa.list_(arrow_type(kind.feature), kind.length)
    if isinstance(kind, LargeList):
        return pa.large_list(arrow_type(kind.feature))
    import datasets

    return datasets.Features({"column": kind}).arrow_schema.field("column").type


def _value_type(dtype: str) -> pa.DataType:
    if dtype in _PLAIN:
        return _PLAIN[dtype]
    if found := _TIMESTAMP.fullmatch(dtype):
        return pa.timestamp(*filter(None, found.groups()))
    if found := _FIXED_BYTES.fullmatch(dtype):
        return pa.binary(int(found[1]))
    import datasets  # which knows the rare ones, and what is none

    return datasets.Value(dtype).pa_type


def kind_of(stored: pa.DataType) -> Any:
    """Return what a column of a type of Arrow is, where nothing else tells.

    Example:

        >>> kind_of(pa.struct({"grade": pa.list_(pa.int8())}))
        {'grade': List(Value('int8'))}
    """
    if isinstance(stored, pa.StructType):
        return {field.name: kind_of(field.type) for field in stored}
    if isinstance(stored, pa.FixedSizeListType):
        return List(kind_of(stored.value_type), length=stored.list_size)
    if isinstance(stored, pa.ListType):
        return List(kind_of(stored.value_type))
    if isinstance(stored, pa.LargeListType):
        return LargeList(kind_of(stored.value_type))
    if isinstance(stored, pa.DictionaryType):
        return kind_of(stored.value_type)
    if stored in _NAMES:
        return Value(_NAMES[stored])
    if isinstance(stored, pa.TimestampType) and stored.tz is None:
        return Value(f"timestamp[{stored.unit}]")
    import datasets

    found = datasets.Features.from_arrow_schema(pa.schema({"column": stored}))["column"]
    return kinds.from_datasets(found)
