"""Types of columns, with the names, fields, text and JSON that those of `datasets` have."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


class Kind:
    """A type of a column; equal to the type of `datasets` that it stands for."""

    def __eq__(self, other: object) -> bool:
        if type(self).__name__ != type(other).__name__:
            return NotImplemented
        missing = object()
        names = [field.name for field in dataclasses.fields(self)]
        return all(getattr(self, name) == getattr(other, name, missing) for name in names)


@dataclasses.dataclass(eq=False, repr=False)
class Value(Kind):
    """A number, a text, a time, or bytes.

    Args:
        dtype: as `datasets` calls it, such as "int64", "string" or "timestamp[us, tz=UTC]".
        id: passed on as it is.
    """

    dtype: str
    id: str | None = None

    def __post_init__(self) -> None:
        self.dtype = {"double": "float64", "float": "float32"}.get(self.dtype, self.dtype)

    def __repr__(self) -> str:
        return f"Value({self.dtype!r})"


@dataclasses.dataclass(eq=False)
class ClassLabel(Kind):
    """The number of a class.

    Args:
        names: of the classes, each once.
        id: passed on as it is.

    Raises:
        ValueError: two classes have one name.
    """

    names: list[str]
    id: str | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        if len(set(map(str, self.names))) < len(self.names):
            raise ValueError("Some label names are duplicated. Each label name should be unique.")

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.names)


@dataclasses.dataclass(eq=False)
class Image(Kind):
    """A picture: the bytes of its file, and a path.

    Args:
        mode: of PIL, that it is decoded to; None for its own.
        decode: whether `datasets` decodes it.
        id: passed on as it is.
    """

    mode: str | None = None
    decode: bool = True
    id: str | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(eq=False, repr=False)
class List(Kind):
    """A list.

    Args:
        feature: the type of its members.
        length: of every list; -1 for any.
        id: passed on as it is.
    """

    feature: Any
    length: int = -1
    id: str | None = None

    def __repr__(self) -> str:
        return f"List({self.feature}{'' if self.length == -1 else f', length={self.length}'})"


@dataclasses.dataclass(eq=False, repr=False)
class LargeList(Kind):
    """A list that may have more than 2^31 members.

    Args:
        feature: the type of its members.
        id: passed on as it is.
    """

    feature: Any
    id: str | None = None

    def __repr__(self) -> str:
        return f"LargeList({self.feature})"


KINDS: dict[str, type[Kind]] = {kind.__name__: kind for kind in (Value, ClassLabel, Image, List, LargeList)}


def to_dict(kind: Any) -> Any:
    """Write a type as JSON values, as it stands in a file's metadata; what has its default is left out.

    Example:

        >>> to_dict({"bbox": List(Value("float32"), length=4)})
        {'bbox': {'feature': {'dtype': 'float32', '_type': 'Value'}, 'length': 4, '_type': 'List'}}
    """
    if isinstance(kind, Mapping):
        return {name: to_dict(inner) for name, inner in kind.items()}
    if not isinstance(kind, Kind):
        import datasets

        return datasets.Features({"column": kind}).to_dict()["column"]
    told = {
        field.name: to_dict(value) if field.name == "feature" else value
        for field in dataclasses.fields(kind)
        if (value := getattr(kind, field.name)) != field.default
    }
    return told | {"_type": type(kind).__name__}


def from_dict(told: Any) -> Any:
    """Read what `to_dict`, or `datasets`, wrote.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it describes no type.

    Example:

        >>> from_dict({"names": ["cat", "dog"], "_type": "ClassLabel"})
        ClassLabel(names=['cat', 'dog'])
    """
    if isinstance(told, dict) and not isinstance(told.get("_type"), str):
        return {name: from_dict(inner) for name, inner in told.items()}
    kind = KINDS.get(told["_type"]) if isinstance(told, dict) else None
    if kind is None:
        import datasets

        return from_datasets(datasets.Features.from_dict({"column": told})["column"])
    known = {field.name for field in dataclasses.fields(kind)}
    fields = {name: value for name, value in told.items() if name in known}
    return kind(**fields | ({"feature": from_dict(told["feature"])} if "feature" in known else {}))


def from_datasets(kind: Any) -> Any:
    """Take a type of `datasets`; one that is known to it alone stays as it is.

    Example:

        >>> import datasets
        >>> from_datasets({"a": datasets.Value("int64"), "b": datasets.Array2D((2, 2), "uint8")})
        {'a': Value('int64'), 'b': Array2D(shape=(2, 2), dtype='uint8')}
    """
    if isinstance(kind, Mapping):
        return {name: from_datasets(inner) for name, inner in kind.items()}
    ours = KINDS.get(type(kind).__name__)
    if ours is None or isinstance(kind, Kind):
        return kind
    fields = {field.name: getattr(kind, field.name) for field in dataclasses.fields(ours)}
    return ours(**fields | ({"feature": from_datasets(kind.feature)} if "feature" in fields else {}))


def to_datasets(kind: Any) -> Any:
    """Make the type of `datasets` that a type stands for.

    Example:

        >>> import datasets
        >>> to_datasets(Value("int64")) == datasets.Value("int64")
        True
    """
    import datasets

    if isinstance(kind, Mapping):
        return {name: to_datasets(inner) for name, inner in kind.items()}
    if not isinstance(kind, Kind):
        return kind
    fields = {field.name: getattr(kind, field.name) for field in dataclasses.fields(kind)}
    inner = {"feature": to_datasets(kind.feature)} if "feature" in fields else {}
    return getattr(datasets, type(kind).__name__)(**fields | inner)
