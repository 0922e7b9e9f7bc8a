"""Puzzles whose pieces are whole and turned (type 2): position and turn. Public: `attacker.fit_whole`."""

from ...errors import check_extra

check_extra("the attack on whole turned patches", "audit", "numba", "scipy", "sklearn")
