"""Public names of a package that are imported when they are first used (PEP 562)."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(package: str, module_of: Mapping[str, str]) -> tuple[Callable[[str], Any], list[str]]:
    """Make a package's `__getattr__` and `__all__`, so that importing it costs nothing.

    Args:
        package: its `__name__`.
        module_of: the module below it that each public name comes from.

    Example:

        >>> find, names = lazy_names("hipmr_hf", {"MixingUp": "encryption"})
        >>> find("MixingUp").__name__, names
        ('MixingUp', ['MixingUp'])
    """

    def find(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f".{module_of[name]}", package), name)

    return find, list(module_of)
