"""Attacks on encrypted images, each returning what it recovered."""
