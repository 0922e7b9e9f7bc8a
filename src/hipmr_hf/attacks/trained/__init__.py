"""Attackers that learn from other images first: who is whose neighbour, where patches stand, what is seen."""

from ...errors import check_extra

check_extra("a trained attacker", "audit,torch", "numba", "scipy", "torch")
