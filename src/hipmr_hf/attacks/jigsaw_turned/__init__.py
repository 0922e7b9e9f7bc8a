"""Find neighbours among patches that were turned, mixed or toned. Public: `attacker.fit_turned`."""

from ...errors import check_extra

check_extra("the attack on turned patches", "audit", "numba", "scipy", "sklearn")
