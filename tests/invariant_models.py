"""Small models with the invariant patch embeddings, and pixels for them."""

import pytest
import torch

from hipmr_hf.models import PEViTConfig, PEViTForImageClassification, PEYolosConfig, PEYolosForObjectDetection

WIDTHS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES = {**WIDTHS, "patch_size": 4}
INVARIANT = {**SIZES, "patch_embedding": "invariant"}
KINDS = pytest.mark.parametrize("kind", ["invariant", "texture"])


def classifier(kind=PEViTForImageClassification, seed: int = 0, **overrides):
    torch.manual_seed(seed)
    return kind(PEViTConfig(**{**INVARIANT, "num_labels": 5, "initializer_range": 0.2, **overrides})).eval()


def detector(seed: int = 0, **overrides) -> PEYolosForObjectDetection:
    torch.manual_seed(seed)
    fitting = {"image_size": (16, 24), "num_detection_tokens": 6, "num_labels": 3, "initializer_range": 0.2}
    return PEYolosForObjectDetection(PEYolosConfig(**{**INVARIANT, **fitting, **overrides})).eval()


def random_pixels(batch_size: int = 2, height: int = 16, width: int = 24) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(batch_size, 3, height, width, generator=generator) * 2 - 1


def embedding_of(model: torch.nn.Module) -> torch.nn.Module:
    return model.base_model.embeddings.patch_embeddings
