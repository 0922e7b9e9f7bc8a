"""Attackers that learn from other images first: who is whose neighbour, where patches stand, what is seen."""
