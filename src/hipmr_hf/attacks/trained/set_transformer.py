"""Transformers over the set of an image's encrypted patches: no position goes in, so none is assumed.

Source: Lee et al., "Set Transformer", ICML 2019; a vision transformer (Dosovitskiy et al. 2021) without its
position embeddings is the same thing.
"""

import numpy as np
import torch
from torch import nn

from ..base import split_mosaic

WIDTH, HEADS = 128, 4


def split_batch(images: np.ndarray, patch_size: int) -> torch.Tensor:
    """Cut encrypted images into patches.

    Args:
        images: uint8 (batch, height, width, channels).
        patch_size: width of an encrypted patch in pixels.

    Returns:
        uint8 tensor (batch, num_patches, patch_size, patch_size, channels), row-major.

    Example:
        >>> split_batch(np.zeros((2, 8, 12, 3), np.uint8), 4).shape
        torch.Size([2, 6, 4, 4, 3])
    """
    return torch.from_numpy(np.stack([split_mosaic(image, patch_size) for image in images]))


def vary_light(pieces: torch.Tensor) -> torch.Tensor:
    """Change brightness and contrast of each image at random, so that few images teach more.

    Args:
        pieces: uint8 (batch, num_patches, size, size, channels).

    Example:
        >>> vary_light(torch.full((2, 1, 1, 1, 3), 100, dtype=torch.uint8)).shape
        torch.Size([2, 1, 1, 1, 3])
    """
    shape = (len(pieces), 1, 1, 1, 1)
    contrast, brightness = 0.7 + 0.6 * torch.rand(shape), 50 * torch.rand(shape) - 25
    return ((pieces.float() - 128) * contrast + 128 + brightness).clamp(0, 255).to(torch.uint8)


def to_signal(pieces: torch.Tensor) -> torch.Tensor:
    """Turn uint8 grey levels into numbers from -1 to 1."""
    return pieces.float() / 127.5 - 1


class PatchEmbedding(nn.Module):
    """A patch's pixels, with its mean colour and contrast beside them, as one token.

    Args:
        patch_size: width of an encrypted patch in pixels.
        channels: of a pixel.
        width: of a token.

    Example:
        >>> PatchEmbedding(4, 3)(torch.zeros(2, 6, 4, 4, 3, dtype=torch.uint8)).shape
        torch.Size([2, 6, 128])
    """

    def __init__(self, patch_size: int, channels: int, width: int = WIDTH):
        super().__init__()
        self.first: nn.Linear = nn.Linear((patch_size**2 + 2) * channels, 2 * width)
        self.second: nn.Linear = nn.Linear(2 * width, width)
        self.norm: nn.LayerNorm = nn.LayerNorm(width)

    def forward(self, pieces: torch.Tensor) -> torch.Tensor:
        """Uint8 (batch, num_patches, size, size, channels) to (batch, num_patches, width)."""
        pixels = to_signal(pieces)
        mean = pixels.mean(dim=(2, 3), keepdim=True)
        contrast = (pixels - mean).square().mean(dim=(2, 3)).add(1e-4).sqrt()
        # Detail is much weaker than colour in photographs; apart, both can be seen at once.
        features = torch.cat([(3 * (pixels - mean)).flatten(2), mean.flatten(2), 3 * contrast], dim=2)
        return self.norm(self.second(nn.functional.gelu(self.first(features))))


def set_encoder(depth: int, *, dropout: float = 0.0) -> nn.TransformerEncoder:
    """Pre-norm transformer blocks; permuting the tokens that go in permutes those that come out.

    Example:
        >>> encoder, tokens = set_encoder(1).eval(), torch.randn(1, 5, 128)
        >>> bool(torch.allclose(encoder(tokens.flip(1)), encoder(tokens).flip(1), atol=1e-5))
        True
    """
    layer = _layer(nn.TransformerEncoderLayer, dropout)
    return nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)


def set_decoder(depth: int) -> nn.TransformerDecoder:
    """Pre-norm blocks in which queries look at each other and then at the set.

    Example:
        >>> set_decoder(1).eval()(torch.randn(1, 7, 128), torch.randn(1, 5, 128)).shape
        torch.Size([1, 7, 128])
    """
    return nn.TransformerDecoder(_layer(nn.TransformerDecoderLayer, 0.0), depth)


def _layer(kind: type[nn.Module], dropout: float) -> nn.Module:
    settings = {"dropout": dropout, "activation": "gelu", "batch_first": True, "norm_first": True}
    return kind(WIDTH, HEADS, 2 * WIDTH, **settings)
