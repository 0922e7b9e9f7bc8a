"""Remark on columns that stay readable and could tell who somebody is: a person must decide about them."""

import re
from collections.abc import Sequence
from typing import Any

from ..column_types.kinds import ClassLabel, List, Value
from ..layout import NONCE_COLUMN

_MANY = 0.5  # distinct values per row from which a column may name single rows
_FEW_ROWS = 8
_LONG = 24  # characters of a text from which it is free text rather than a code
_WORTH_COUNTING = 100_000
_NAMES = re.compile(
    r"(?:^|_)(?:name|surname|patient|person|subject|user|author|email|phone|address|birth|dob|ssn|id|uuid|"
    r"file|path|url|date|time|timestamp|gps|lat|lon|latitude|longitude|caption|text|comment|note)s?(?:_|$)",
    re.IGNORECASE,
)


class ColumnWatch:
    """Counts what goes by in one column.

    Args:
        name: of the column.
        feature: its type.

    Example:

        >>> watch = ColumnWatch("patient", Value("string"))
        >>> watch.see([f"P-{i}" for i in range(10)])
        >>> watch.remarks()[0]
        'its name suggests that it tells who, where or when; leave it out unless that may be public.'
    """

    def __init__(self, name: str, feature: Any):
        self.name: str = name
        self.feature: Any = feature
        self.distinct: set[Any] = set()
        self.rows, self.longest = 0, 0
        self.first: Any = None
        self.last: Any = None
        self.changes, self.sorted = 0, True

    def see(self, values: Sequence[Any]) -> None:
        """Look at some more values."""
        for value in values:
            self.rows += 1
            if isinstance(value, str):
                self.longest = max(self.longest, len(value))
            if not isinstance(value, (str, int, float)):
                continue
            if len(self.distinct) < _WORTH_COUNTING:
                self.distinct.add(value)
            if self.last is None:
                self.first = value
            self._step_to(value)
            self.last = value

    def _step_to(self, value: Any) -> None:
        if self.last is not None and value != self.last:
            self.changes += 1
            self.sorted &= value > self.last

    def join(self, later: "ColumnWatch") -> None:
        """Add what went by in the rows that follow."""
        self.rows += later.rows
        self.longest: int = max(self.longest, later.longest)
        if len(self.distinct) < _WORTH_COUNTING:
            self.distinct |= later.distinct
        if later.first is not None:
            self._step_to(later.first)
            self.last = later.last
        self.changes += later.changes
        self.sorted &= later.sorted

    def remarks(self) -> list[str]:
        """Return what a person should think about."""
        if self.name == NONCE_COLUMN:
            return []
        said = []
        if _NAMES.search(self.name):
            said.append(
                "its name suggests that it tells who, where or when; leave it out unless that may be public."
            )
        if isinstance(self.feature, ClassLabel):
            said.append(
                f"its {len(self.feature.names)} class names are published; check that none is private."
            )
        elif self._is_timestamp():
            said.append("it holds times, which can be joined with other records; leave it out or round them.")
        elif self.longest > _LONG:
            said.append("it holds free text, which can name people; leave it out or read it through.")
        elif self._names_rows():
            said.append("nearly every row has a value of its own, like an id; leave it out or replace it.")
        if self._is_ordered():
            said.append("the rows are in its order, and order can tell the source's; use --shuffle-rows.")
        return said

    def _is_timestamp(self) -> bool:
        feature = self.feature.feature if isinstance(self.feature, List) else self.feature
        return isinstance(feature, Value) and feature.dtype.startswith(("timestamp", "date", "time"))

    def _names_rows(self) -> bool:
        is_measure = isinstance(self.feature, Value) and self.feature.dtype.startswith(("float", "double"))
        return not is_measure and self.rows >= _FEW_ROWS and len(self.distinct) > _MANY * self.rows

    def _is_ordered(self) -> bool:
        return self.rows >= _FEW_ROWS and self.changes > 0 and self.sorted
