"""Dealing back the tones that `shuffle_tones` dealt out: which texture had which tone."""

from ...errors import check_extra

check_extra("the attack on tones that were dealt out", "audit", "numba", "scipy", "sklearn")
