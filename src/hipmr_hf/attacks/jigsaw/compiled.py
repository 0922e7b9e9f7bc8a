"""Inner loops compiled with numba: as Python they are 100 times slower, and a weak search looks private."""

from numba import njit

compiled = njit(cache=True, nogil=True)
"""Decorator: compiled once for all runs, and free of the interpreter lock."""

compiled_sums = njit(cache=True, nogil=True, fastmath=True)
"""As `compiled`, and sums may be taken in any order, so that many numbers are added at once."""
