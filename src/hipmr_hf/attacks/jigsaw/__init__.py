"""Put the patches of one shuffled image back together. Public: `solver.JigsawAttack`."""

from ...errors import check_extra

check_extra("the jigsaw attack", "audit", "numba", "scipy")
