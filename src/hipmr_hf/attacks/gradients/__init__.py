"""Patches of a training image out of the gradient that a model's owner is sent."""

from ...errors import check_extra

check_extra("gradient leakage", "audit,torch", "scipy", "torch")
