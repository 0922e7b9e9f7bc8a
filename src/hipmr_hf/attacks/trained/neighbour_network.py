"""A network that scores all pairs of an image's encrypted patches as neighbours.

One small encoder reads every whole patch four times: as the left, the right, the upper and the lower one of
a pair, turned so that the border in question lies on the same side. Pairs are then compared by several
learned distances and dot products at once, so that scoring 196 x 196 pairs costs little more than encoding
196 patches.

Sources: Noroozi and Favaro, ECCV 2016 (puzzles as a learning task); Bromley et al., "Signature verification
using a siamese time delay neural network", NIPS 1993 (shared encoders, compared late); van den Oord et al.,
"Representation learning with contrastive predictive coding", 2018 (softmax over all candidates).
"""

import torch
from torch import nn

from ..jigsaw.weights import NEVER

WIDTH = 256
_DISTANCES, _DISTANCE_WIDTH = 8, 16
_PRODUCT_WIDTH = 64
_NORMALIZED_CONTRAST_FLOOR = 8 / 127.5
_ROLES = 4


class NeighbourNetwork(nn.Module):
    """Score every ordered pair of patches, and the possibility that a neighbour is absent.

    Args:
        patch_size: width of an encrypted patch in pixels.
        channels: of a pixel.
        symmetric: read each patch in all 8 orientations and average. Random symmetries of the sub-patches
            make an encrypted patch exactly as likely as each of its own symmetric images, so orientation
            tells nothing.

    Example:
        >>> network = NeighbourNetwork(4, 3)
        >>> network(torch.zeros(2, 9, 4, 4, 3, dtype=torch.uint8)).shape
        torch.Size([2, 2, 9, 9])
    """

    def __init__(self, patch_size: int, channels: int, *, symmetric: bool = False):
        super().__init__()
        self.symmetric = symmetric
        inputs = 2 * patch_size**2 * channels + 2 * channels
        self.reading: nn.Sequential = nn.Sequential(
            nn.Linear(inputs, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH)
        )
        self.roles: nn.Parameter = nn.Parameter(torch.randn(_ROLES, WIDTH) * 0.02)
        self.understanding: nn.Sequential = nn.Sequential(nn.GELU(), nn.Linear(WIDTH, WIDTH), nn.GELU())
        self.places: nn.Linear = nn.Linear(WIDTH, _DISTANCES * _DISTANCE_WIDTH)
        self.products: nn.ModuleList = nn.ModuleList(nn.Linear(WIDTH, _PRODUCT_WIDTH) for _ in range(2))
        self.judging: nn.Parameter = nn.Parameter(torch.full((1, 2 * _DISTANCES), -1 / _DISTANCES))
        self.absent: nn.Parameter = nn.Parameter(torch.zeros(()))

    def forward(self, pieces: torch.Tensor) -> torch.Tensor:
        """Uint8 (batch, num_patches, size, size, channels) to logits (batch, 2, num_patches, num_patches).

        [:, 0, i, j] is for j right of i, [:, 1, i, j] for j below i; `NEVER` for a patch beside itself.
        """
        logits = self.compare(self.encode(pieces))
        itself = torch.eye(logits.shape[-1], dtype=torch.bool)
        return logits.masked_fill(itself, NEVER)

    def encode(self, pieces: torch.Tensor) -> torch.Tensor:
        """Read patches in every role: (batch, 4, num_patches, width); left, right, upper, lower of a pair."""
        pixels = pieces.float() / 127.5 - 1
        views = all_orientations(pixels) if self.symmetric else _border_to_the_right(pixels)
        inputs = mean_and_contrast(torch.stack(views, dim=1))
        with torch.autocast("cpu", torch.bfloat16):
            read = self.reading(inputs)
            if self.symmetric:
                read = read.mean(dim=1, keepdim=True)
            return self.understanding(read + self.roles[:, None]).float()

    def compare(self, tokens: torch.Tensor) -> torch.Tensor:
        """Compare all pairs by distances, their logarithms and a product: (batch, 2, patches, patches)."""
        first, second = tokens[:, 0::2], tokens[:, 1::2]  # (batch, 2 directions, num_patches, width)
        distances = torch.cdist(*(_groups(self.places(side)) for side in (first, second)), p=1.0)
        distances = distances / _DISTANCE_WIDTH  # (batch, 2, distances, num_patches, num_patches)
        near, nearer = self.judging.chunk(2, dim=1)
        flat = distances.flatten(-2)
        judged = (near @ flat + nearer @ torch.log(flat + 0.02)).view(
            tokens.shape[0], 2, *distances.shape[-2:]
        )
        queries, keys = self.products[0](first), self.products[1](second)
        return judged + queries @ keys.transpose(-1, -2) / _PRODUCT_WIDTH**0.5


def _groups(vectors: torch.Tensor) -> torch.Tensor:
    """(batch, 2, num_patches, width) to (batch, 2, distances, num_patches, distance width)."""
    return vectors.unflatten(-1, (_DISTANCES, -1)).transpose(2, 3).contiguous()


def mean_and_contrast(pixels: torch.Tensor) -> torch.Tensor:
    """Vectors of raw and normalised pixels, of mean and contrast: from (..., size, size, channels)."""
    mean = pixels.mean(dim=(-3, -2), keepdim=True)
    centred = pixels - mean
    contrast = centred.square().mean(dim=(-3, -2), keepdim=True).sqrt()
    normalized = centred / (contrast + _NORMALIZED_CONTRAST_FLOOR)
    parts = (pixels, 0.5 * normalized, mean, torch.log(contrast + _NORMALIZED_CONTRAST_FLOOR))
    return torch.cat([part.flatten(-3) for part in parts], dim=-1)


def _border_to_the_right(pixels: torch.Tensor) -> list[torch.Tensor]:
    """Turn patches so that the border towards the partner lies on the right, in the order of the roles."""
    lying = pixels.transpose(-3, -2)
    return [pixels, pixels.flip(-2), lying, lying.flip(-2)]


def all_orientations(pixels: torch.Tensor) -> list[torch.Tensor]:
    """Turn patches, (..., size, size, channels), by the eight symmetries of the square."""
    turned = [torch.rot90(pixels, turns, dims=(-3, -2)) for turns in range(4)]
    return turned + [view.flip(-2) for view in turned]


def neighbour_loss(logits: torch.Tensor, absent: torch.Tensor, neighbours: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the true neighbour, or of none, among all candidates, on all four sides of a patch.

    Args:
        logits: (batch, 2, num_patches, num_patches) for right and below.
        absent: scalar, score of "no candidate is the neighbour".
        neighbours: int64 (batch, 4, num_patches), index of the right, lower, left, upper neighbour;
            num_patches where there is none.

    Returns:
        The mean over patches and sides.

    Example:
        >>> nobody = torch.full((1, 4, 3), 3)
        >>> neighbour_loss(torch.zeros(1, 2, 3, 3), torch.tensor(20.0), nobody).item() < 1e-3
        True
    """
    both = torch.cat([logits, logits.transpose(-1, -2)], dim=1)
    extended = torch.cat([both, absent.expand(*both.shape[:-1], 1)], dim=-1)
    return nn.functional.cross_entropy(extended.flatten(0, 2), neighbours.flatten())
