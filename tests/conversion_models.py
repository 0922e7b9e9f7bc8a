"""Models whose weights hide no mistake of a conversion, and pictures with patches of another size."""

import torch
from torch import nn


def random_weights(model: nn.Module) -> nn.Module:
    """The model in evaluation mode, none of its weights at a value that hides a mistake, such as zero."""
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        weight.data.copy_(0.3 * noise + (weight.data == 1))
    return model.eval()


def resize_patches(pixels: torch.Tensor, old: int, new: int) -> torch.Tensor:
    """Pictures (batch, channels, height, width), each patch resized alone, from `old` pixels to `new`."""
    tiled = pixels.unfold(2, old, old).unfold(3, old, old)  # (batch, channels, rows, columns, old, old)
    tiles = tiled.reshape(-1, 1, old, old)
    tiles = nn.functional.interpolate(tiles, size=(new, new), mode="bicubic", antialias=True)
    return tiles.reshape(*tiled.shape[:4], new, new).transpose(3, 4).flatten(4).flatten(2, 3)
