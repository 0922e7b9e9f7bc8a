"""The paper's two perceptual encryptions as settings objects: random shuffling (RS) and mixing-up (MI).

Source: Hao et al., "Human-imperceptible, Machine-recognizable Images", arXiv 2306.03679. The knobs
`sub_patch_symmetries`, `patch_normalization` and `shuffle_tones` go beyond the paper. In: a plain image, or a
batch. Out: encrypted ones, settings files, boxes that follow (`boxes`); `keys` holds secrets and streams.
numpy, PIL and `cryptography` only.
"""

from .base import Encryption
from .mixing_up import MixingUp
from .placement import Placement, Sides
from .random_shuffling import RandomShuffling

__all__ = ["Encryption", "MixingUp", "Placement", "RandomShuffling", "Sides"]
