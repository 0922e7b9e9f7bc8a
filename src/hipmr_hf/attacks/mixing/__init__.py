"""Undo the mixing of sub-patches as far as a prior or a decoder can guess what the mean has lost."""
