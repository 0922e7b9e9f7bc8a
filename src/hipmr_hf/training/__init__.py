"""What training scripts need on the builder's side, where no plain picture is.

In: encrypted datasets. Out: models, collators, trainers and drawings for `classification`, `detection` (its
models: `detectors`) and `segmentation`, with augmentation that works on encrypted images; and what every
training script does alike (`script`). Public: `build_pevit`, `build_peyolos`, `build_segmenter`, and what the
example scripts import.
"""

from typing import TYPE_CHECKING

from ..errors import check_extra
from ..lazy_names import lazy_names

if TYPE_CHECKING:
    from .classification import build_pevit
    from .detectors import build_peyolos
    from .segmentation import build_segmenter

__all__ = ["build_pevit", "build_peyolos", "build_segmenter"]

check_extra("training", "torch", "torch", "transformers")

_MODULES = {"build_pevit": "classification", "build_peyolos": "detectors", "build_segmenter": "segmentation"}

__getattr__, _ = lazy_names(__name__, _MODULES)
