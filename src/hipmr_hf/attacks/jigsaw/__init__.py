"""Put the patches of one shuffled image back together. Public: `solver.JigsawAttack`."""
