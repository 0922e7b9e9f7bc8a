"""Patches of a training image out of the gradient that a model's owner is sent."""
