"""Scenes compared by what a pre-trained backbone sees in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import InputValueError, MissingFileError, needs_extra
from .base import check_pictures

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, where the folder says nothing
_BATCH = 16


class SceneDescriber:
    """Describes pictures by the features of a backbone, such as DINOv2; nothing is downloaded.

    Args:
        folder: of a checkpoint (`config.json`, `model.safetensors`) that `AutoModel` knows.
        side: pixels to which pictures are resized.

    Raises:
        FileNotFoundError: there is no such folder, or no checkpoint in it.
        ValueError: the model takes no pictures.
        MissingExtraError: the extra `torch` is not installed.
    """

    def __init__(self, folder: str | Path, *, side: int = 224) -> None:
        check_backbone(folder)
        with needs_extra("describing scenes", "torch"):
            import torch
            from transformers import AutoModel
        self._torch, self._side = torch, side
        self._model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
        if self._model.main_input_name != "pixel_values":
            raise InputValueError(
                f"backbone: got {type(self._model).__name__}, which takes no pictures; give one that does."
            )
        self._mean, self._std = _normalization(Path(folder))

    def __call__(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Describe pictures.

        Args:
            pictures: uint8 (height, width, 3) each.

        Returns:
            float32 (number of pictures, features), each of length 1: the class token beside the mean of the
            others, which no order of patches changes much.
        """
        check_pictures(pictures)
        chunks = [pictures[start : start + _BATCH] for start in range(0, len(pictures), _BATCH)]
        return np.concatenate([self._describe(chunk) for chunk in chunks])

    def _describe(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        size = (self._side, self._side)
        resized = [Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC) for picture in pictures]
        pixels = np.stack([np.asarray(picture, np.float32) for picture in resized]) / 255
        pixels = ((pixels - self._mean) / self._std).transpose(0, 3, 1, 2)  # (batch, 3, side, side)
        with self._torch.no_grad():
            seen = self._model(pixel_values=self._torch.from_numpy(np.ascontiguousarray(pixels)))
        tokens = seen.last_hidden_state
        if tokens.ndim == 4:  # a convolutional network: (batch, features, rows, columns)
            features = tokens.mean(dim=(2, 3))
        else:  # (batch, tokens, features)
            parts = tokens[:, 0], tokens[:, 1:].mean(dim=1)
            features = self._torch.cat([part / part.norm(dim=1, keepdim=True) for part in parts], dim=1)
        return (features / features.norm(dim=1, keepdim=True)).numpy()


def check_backbone(folder: str | Path) -> None:
    """Refuse a folder without a checkpoint, before any work.

    Raises:
        FileNotFoundError: there is no such folder, or no checkpoint in it.
    """
    if not (Path(folder) / "config.json").is_file():
        raise MissingFileError(
            f"backbone: there is no config.json in {folder}; name the folder of a checkpoint of "
            "transformers, such as DINOv2."
        )


def _normalization(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    import json

    path = folder / "preprocessor_config.json"
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    mean, std = told.get("image_mean") or _MEAN, told.get("image_std") or _STD
    return np.array(mean, np.float32), np.array(std, np.float32)
