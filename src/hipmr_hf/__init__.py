"""Train and serve vision transformers on images that people cannot read, in the Hugging Face stack.

Public names are resolved when they are first used (PEP 562), so the data owner's side, such as
`import hipmr_hf.encryption`, never pays for torch or transformers.
"""

import importlib
from typing import Any

from . import _registration

__version__ = "0.1.0"

_MODULE_OF_NAME = {
    "Encryption": "encryption",
    "RandomShuffling": "encryption",
    "MixingUp": "encryption",
    "Sides": "encryption",
    "SecretKey": "keys",
    "new_nonce": "keys",
    "encrypt_dataset": "encrypted_dataset",
    "save_encrypted_dataset": "encrypted_dataset",
    "PEViTConfig": "models",
    "PEViTModel": "models",
    "PEViTForImageClassification": "models",
    "PEViTForImageClassificationWithTeacher": "models",
    "PEViTImageProcessorPil": "models",
    "PEYolosConfig": "models",
    "PEYolosModel": "models",
    "PEYolosForObjectDetection": "models",
    "PEYolosImageProcessorPil": "models",
}

__all__ = list(_MODULE_OF_NAME)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF_NAME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULE_OF_NAME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)


_registration.install()
