"""What training scripts need on the builder's side, where no plain picture is.

In: encrypted datasets. Out: models, collators, trainers and drawings for `classification` and
`detection` (its models: `detectors`), with augmentation that works on encrypted images; and what
every training script does alike (`script`). Public: `build_pevit`, `build_peyolos`, and what the
example scripts import.
"""

from typing import TYPE_CHECKING

from ..errors import check_extra
from ..lazy_names import lazy_names

if TYPE_CHECKING:
    from .classification import build_pevit
    from .detectors import build_peyolos

__all__ = ["build_pevit", "build_peyolos"]

check_extra("training", "torch", "torch", "transformers")

__getattr__, _ = lazy_names(__name__, {"build_pevit": "classification", "build_peyolos": "detectors"})
