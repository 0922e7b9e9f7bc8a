"""What the owner's drawing scripts share: a model that sees the encryption of plain pictures alone."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from datasets import Dataset
from PIL import Image
from transformers import AutoImageProcessor

from ..encryption import Encryption
from ..models import image_processing_pevit
from .splits import load_splits

if TYPE_CHECKING:
    from transformers import BaseImageProcessor, PreTrainedModel


@dataclass
class DrawingArguments:
    """What to draw, and where."""

    dataset_name: str = field(metadata={"help": "Folder or Hub repository of plain images."})
    checkpoint: str = field(metadata={"help": "Folder or Hub repository of the model."})
    output: Path = field(metadata={"help": "The picture to write."})
    split: str = "test"
    image_column: str = "image"
    num_images: int = field(default=4, metadata={"help": "The first images of the split."})


class View(NamedTuple):
    """One picture, as its owner and as the model sees it."""

    plain: Image.Image
    """As it was resized and cropped before encryption."""
    seen: Image.Image
    """Encrypted, enlarged to the size of `plain`."""
    outputs: Any
    """What the model returned for the encrypted picture."""


@dataclass
class OwnersView:
    """A model that is asked about plain pictures, of which it gets the encryption alone."""

    encryption: Encryption
    model: PreTrainedModel
    processor: BaseImageProcessor

    @classmethod
    def load(cls, checkpoint: str, auto_class: Any) -> OwnersView:
        """Load a checkpoint with its settings; `auto_class` is one of transformers."""
        return cls(
            Encryption.from_pretrained(checkpoint, repo_type="model"),
            auto_class.from_pretrained(checkpoint).eval(),
            AutoImageProcessor.from_pretrained(checkpoint),
        )

    @torch.no_grad()
    def of(self, image: Image.Image) -> View:
        """Encrypt a picture and ask the model."""
        plain, encrypted = Image.fromarray(self.encryption.prepare(image)), self.encryption(image)
        with _known_to_be_encrypted():
            inputs = self.processor([np.asarray(encrypted)], return_tensors="pt")
        outputs = self.model(**inputs)
        return View(plain, encrypted.resize(plain.size, Image.Resampling.NEAREST), outputs)


@contextlib.contextmanager
def _known_to_be_encrypted() -> Iterator[None]:
    """Keep the processor from guessing whether a picture is plain, which it does of even ground too."""
    told_by = logging.getLogger(image_processing_pevit.__name__)
    level = told_by.level
    told_by.setLevel(logging.ERROR)
    try:
        yield
    finally:
        told_by.setLevel(level)


def rows_to_draw(args: DrawingArguments) -> Dataset:
    """Return the first rows of the split."""
    rows, _ = load_splits(args.dataset_name, train_split=args.split, eval_split=args.split)
    return rows.take(min(args.num_images, len(rows)))
