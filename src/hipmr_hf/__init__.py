"""Train and serve vision transformers on images that people cannot read, in the Hugging Face stack.

Public names are resolved when they are first used (PEP 562), so the data owner's and the client's side never
pays for torch or transformers, and works where they are not installed.
"""

from typing import TYPE_CHECKING, Any

from .errors import check_extra
from .hub import auto_classes
from .layout import __version__
from .lazy_names import lazy_names

if TYPE_CHECKING:
    from .dataset.mapping import encrypt_dataset, save_encrypted_dataset
    from .encryption import Encryption, MixingUp, RandomShuffling, Sides
    from .encryption.keys import SecretKey, new_nonce
    from .models import (
        PEViTConfig,
        PEViTForImageClassification,
        PEViTForImageClassificationWithTeacher,
        PEViTForPreTraining,
        PEViTForSemanticSegmentation,
        PEViTImageProcessorPil,
        PEViTModel,
        PEYolosConfig,
        PEYolosForObjectDetection,
        PEYolosImageProcessorPil,
        PEYolosModel,
    )

__all__ = [
    "Encryption",
    "MixingUp",
    "PEViTConfig",
    "PEViTForImageClassification",
    "PEViTForImageClassificationWithTeacher",
    "PEViTForPreTraining",
    "PEViTForSemanticSegmentation",
    "PEViTImageProcessorPil",
    "PEViTModel",
    "PEYolosConfig",
    "PEYolosForObjectDetection",
    "PEYolosImageProcessorPil",
    "PEYolosModel",
    "RandomShuffling",
    "SecretKey",
    "Sides",
    "__version__",
    "encrypt_dataset",
    "new_nonce",
    "save_encrypted_dataset",
]

_MODULES = {
    "encryption": ("Encryption", "MixingUp", "RandomShuffling", "Sides"),
    "encryption.keys": ("SecretKey", "new_nonce"),
    "dataset.mapping": ("encrypt_dataset", "save_encrypted_dataset"),
    "models": tuple(name for name in __all__ if name.startswith("PE")),
}

_find, _ = lazy_names(__name__, {name: module for module, names in _MODULES.items() for name in names})


def __getattr__(name: str) -> Any:
    if name in _MODULES["models"]:
        # Settings and processors of models work without torch, as they do in transformers.
        needs_torch = not name.endswith(("Config", "ImageProcessorPil"))
        check_extra(name, "torch", "transformers", *["torch"] * needs_torch)
    return _find(name)


def __dir__() -> list[str]:
    return sorted(__all__)


auto_classes.install()
