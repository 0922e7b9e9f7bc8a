"""Compile inner loops with numba where it is installed; else they run as Python, 100 times slower."""

import warnings
from collections.abc import Callable

try:
    from numba import njit

    HAS_NUMBA = True
except ImportError:  # numba comes with the extra `audit`
    HAS_NUMBA = False

    def njit(function: Callable | None = None, **options: bool) -> Callable:
        """Leave a function as it is."""
        return function if function is not None else lambda plain: plain


compiled = njit(cache=True, nogil=True)
"""Decorator: compiled once for all runs, and free of the interpreter lock."""


def warn_without_numba() -> None:
    """Say that a search will be slow, and so weak within its time, where numba is missing."""
    if not HAS_NUMBA:
        warnings.warn(
            "numba is not installed, so the jigsaw search runs about 100 times slower; an attack that is cut "
            "short looks like privacy. Install it with: pip install 'hipmr-hf[audit]'",
            stacklevel=3,
        )
