"""The paper's two perceptual encryptions as settings objects: random shuffling (RS) and mixing-up (MI).

Source: Hao et al., "Human-imperceptible, Machine-recognizable Images", arXiv 2306.03679. The knobs
`sub_patch_symmetries`, `patch_normalization` and `shuffle_tones` go beyond the paper. This folder needs
numpy, PIL and `cryptography`, never torch, and imports nothing of the package but `patches` and `keys`.
"""

from .base import Encryption
from .mixing_up import MixingUp
from .placement import Placement, Sides
from .random_shuffling import RandomShuffling
from .settings_file import CONFIG_NAME

__all__ = ["CONFIG_NAME", "Encryption", "MixingUp", "Placement", "RandomShuffling", "Sides"]
