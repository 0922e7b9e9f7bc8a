"""Versions of what an audit ran on, without a word about whose machine it was."""

import importlib.metadata
import platform

_PACKAGES = ("numpy", "torch", "numba", "scipy", "pillow")


def versions() -> dict[str, str | None]:
    """Give versions by name; None for what is not installed.

    Example:
        >>> sorted(versions())[0]
        'hipmr-hf'
    """
    from ..layout import __version__

    found = {"hipmr-hf": __version__, "python": platform.python_version(), "machine": platform.machine()}
    return found | {name: _version(name) for name in _PACKAGES}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
