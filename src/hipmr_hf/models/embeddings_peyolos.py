"""From encrypted pixels to PEYOLOS's tokens: patches, detection tokens, positions of an image's own grid."""

import math
from typing import NamedTuple

import torch
from torch import nn

from .configuration_peyolos import PEYolosConfig
from .embeddings_pevit import PEViTPatchEmbeddings, build_patch_embeddings

# Of PyTorch's bicubic interpolation, which the published program uses; PIL's would be -0.5.
_CUBIC_A = -0.75


class PatchLayout(NamedTuple):
    """Where the patches of a batch lie, and how the position grid is resized to them.

    Args:
        row_weights: (batch or 1, rows, rows of the position grid).
        column_weights: (batch or 1, columns, columns of the position grid).
        patch_mask: bool (batch, rows * columns), `True` where an image has a patch; `None` if all have all.
    """

    row_weights: torch.Tensor
    column_weights: torch.Tensor
    patch_mask: torch.Tensor | None


def bicubic_weights(num_source: int, num_target: torch.Tensor, length: int) -> torch.Tensor:
    """The matrices that resize a row of positions bicubically, as `interpolate(align_corners=False)` does.

    As products of matrices, images of several sizes are resized at once, without a graph break, and the
    gradient is deterministic on every device, which that of `interpolate` is not.

    Args:
        num_source: Length of the stored row.
        num_target: Floating (batch,), the length that each image resizes it to, at least 1.
        length: Entries to make for each; those from `num_target` on are padding.

    Returns:
        (batch, length, num_source), in the type of `num_target`; each row adds up to 1.

    >>> bicubic_weights(3, torch.tensor([3.0, 1.0]), 3)[:, 0]  # alone, and seen from the middle
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    index = torch.arange(length, device=num_target.device, dtype=num_target.dtype)
    source = (index + 0.5) * (num_source / num_target[:, None]) - 0.5  # (batch, length)
    first = source.floor()
    weights = source.new_zeros(*source.shape, num_source)
    for tap in (-1, 0, 1, 2):
        neighbour = (first + tap).clamp(0, num_source - 1).long()  # beyond the border stands the border
        weight = _cubic_kernel((source - first - tap).abs())
        weights = weights.scatter_add(-1, neighbour[..., None], weight[..., None])
    return weights


def _cubic_kernel(distance: torch.Tensor) -> torch.Tensor:
    near = ((_CUBIC_A + 2) * distance - (_CUBIC_A + 3)) * distance**2 + 1
    far = _CUBIC_A * (((distance - 5) * distance + 8) * distance - 4)
    return torch.where(distance <= 1, near, far)


class PEYolosEmbeddings(nn.Module):
    """Builds the sequence [cls; patches; detection tokens] with positions."""

    def __init__(self, config: PEYolosConfig):
        super().__init__()
        self.patch_size: int = config.patch_size
        self.position_grid: tuple[int, int] = config.position_grid
        self.cls_token: nn.Parameter = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.detection_tokens: nn.Parameter = nn.Parameter(
            torch.zeros(1, config.num_detection_tokens, config.hidden_size)
        )
        self.patch_embeddings: PEViTPatchEmbeddings = build_patch_embeddings(config)
        self.position_embeddings: nn.Parameter = nn.Parameter(
            torch.zeros(1, num_positions(config), config.hidden_size)
        )
        self.dropout: nn.Dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(
        self, pixel_values: torch.Tensor, pixel_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, PatchLayout]:
        """Embed (batch, channels, height, width).

        Returns:
            Tokens (batch, 1 + num_patches + num_detection_tokens, hidden_size), and where the patches lie.
        """
        features = self.patch_embeddings(pixel_values)
        layout = self.lay_out(features, pixel_values.shape, pixel_mask)
        patches = features.flatten(2).transpose(1, 2)  # (batch, num_patches, hidden_size)
        prefix, suffix = (
            token.expand(patches.shape[0], -1, -1) for token in (self.cls_token, self.detection_tokens)
        )
        tokens = torch.cat((prefix, patches, suffix), dim=1)
        positions = resize_positions(self.position_embeddings, self.position_grid, layout)
        return self.dropout(tokens + positions), layout

    def lay_out(
        self, features: torch.Tensor, image_shape: torch.Size, pixel_mask: torch.Tensor | None
    ) -> PatchLayout:
        """Find the grid of patches of each image; `features` are (batch, hidden_size, rows, columns)."""
        rows, columns = features.shape[2:]
        # At least float32: half precision cannot tell the places of a large grid apart.
        dtype = torch.promote_types(self.position_embeddings.dtype, torch.float32)
        if pixel_mask is None:
            mask = None
            sizes = [torch.full((1,), size, dtype=dtype, device=features.device) for size in (rows, columns)]
        else:
            if pixel_mask.shape != (image_shape[0], *image_shape[2:]):
                raise ValueError(
                    f"`pixel_mask` must have the shape {(image_shape[0], *image_shape[2:])} (batch, height, "
                    f"width) of `pixel_values`, got {tuple(pixel_mask.shape)}. Pass both as the image "
                    "processor returns them."
                )
            mask = pixel_mask[:, :: self.patch_size, :: self.patch_size].bool()  # (batch, rows, columns)
            sizes = [mask[:, :, 0].sum(1), mask[:, 0].sum(1)]
            sizes = [size.clamp(min=1).to(dtype) for size in sizes]
            mask = mask.flatten(1)
        weights = (
            bicubic_weights(*arguments)
            for arguments in zip(self.position_grid, sizes, (rows, columns), strict=True)
        )
        return PatchLayout(*weights, mask)


def num_positions(config: PEYolosConfig) -> int:
    """Rows of a position embedding: the class token, the position grid, the detection tokens."""
    return 1 + math.prod(config.position_grid) + config.num_detection_tokens


def resize_positions(table: torch.Tensor, grid: tuple[int, int], layout: PatchLayout) -> torch.Tensor:
    """Resize the patch rows of a position embedding to every image's own grid.

    An image has the same positions in a padded batch as alone, so padding does not move what it detects.

    Args:
        table: (1, 1 + rows * columns of the grid + num_detection_tokens, hidden_size).
        grid: Rows and columns of the stored grid.
        layout: Where the patches of the batch lie.

    Returns:
        (batch or 1, 1 + num_patches + num_detection_tokens, hidden_size).
    """
    num_cells = math.prod(grid)
    prefix, cells, suffix = table.split([1, num_cells, table.shape[1] - 1 - num_cells], dim=1)
    cells = cells[0].unflatten(0, grid).to(layout.row_weights.dtype)
    cells = torch.einsum("brs,ste->brte", layout.row_weights, cells)
    cells = torch.einsum("bct,brte->brce", layout.column_weights, cells).flatten(1, 2).to(table.dtype)
    batch_size = cells.shape[0]
    return torch.cat((prefix.expand(batch_size, -1, -1), cells, suffix.expand(batch_size, -1, -1)), dim=1)


__all__ = ["PEYolosEmbeddings", "PatchLayout", "bicubic_weights", "num_positions", "resize_positions"]
