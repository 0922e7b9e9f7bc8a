"""A network that looks again, closely, at the pairs of patches that look most like neighbours.

`NeighbourNetwork` compares patches that it has read one by one, which is cheap and coarse. For the best dozen
candidates of every side, a second network sees both patches' tokens and all the handcrafted features of the
pair together, and corrects the score.

Source: Noroozi and Favaro, ECCV 2016, and Bridger, Danon and Tal, "Solving jigsaw puzzles with eroded
boundaries", CVPR 2020 (a learned judge of pairs beside handcrafted costs).
"""

import torch
from torch import nn

from ..jigsaw.weights import NEVER, PairWeights
from .neighbour_network import WIDTH, NeighbourNetwork

_CANDIDATES = 12
_PAIR_WIDTH, _HIDDEN = 96, 48


class PairNetwork(nn.Module):
    """Handcrafted features, a neighbour network and a close look at candidates, added up.

    Args:
        network: trained alone before, trained on here.
        shipped: weights of the handcrafted features to start from.

    Example:
        >>> weights = PairWeights(("border",), (1.0, 0.0))
        >>> pairs = PairNetwork(NeighbourNetwork(4, 3), weights)
        >>> pieces = torch.zeros(9, 4, 4, 3, dtype=torch.uint8)
        >>> pairs(pieces, torch.zeros(2, 2, 9, 9)).shape
        torch.Size([2, 9, 9])
    """

    def __init__(self, network: NeighbourNetwork, shipped: PairWeights):
        super().__init__()
        self.network = network
        self.weights: nn.Parameter = nn.Parameter(torch.tensor(shipped.weights))
        self.absent: nn.Parameter = nn.Parameter(torch.tensor(shipped.absent))
        self.trust: nn.Parameter = nn.Parameter(torch.tensor(0.1))
        self.first: nn.Linear = nn.Linear(WIDTH, _PAIR_WIDTH)
        self.second: nn.Linear = nn.Linear(WIDTH, _PAIR_WIDTH)
        self.handcrafted: nn.Linear = nn.Linear(len(shipped.weights) + 1, _PAIR_WIDTH)
        self.judging: nn.Sequential = nn.Sequential(
            nn.GELU(), nn.Linear(_PAIR_WIDTH, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, 1)
        )
        nn.init.zeros_(self.judging[-1].weight)

    def forward(self, pieces: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Score all pairs of one puzzle.

        Args:
            pieces: uint8 (num_patches, size, size, channels).
            features: float (handcrafted features, 2, num_patches, num_patches) from `pair_features`.

        Returns:
            logits (2, num_patches, num_patches), [0] for right, [1] for below.
        """
        tokens = self.network.encode(pieces[None])
        learned = self.network.compare(tokens)
        features = torch.cat([features, learned])
        itself = torch.eye(features.shape[-1], dtype=torch.bool)
        logits = torch.tensordot(self.weights, features[:-1], dims=1) + self.trust * features[-1]
        logits = logits.masked_fill(itself, NEVER)
        directions, first, second = _candidates(logits.detach()).nonzero(as_tuple=True)
        seen = (
            self.first(tokens[0, 0::2])[directions, first] + self.second(tokens[0, 1::2])[directions, second]
        )
        seen = seen + self.handcrafted(0.3 * features[:, directions, first, second].T)
        return logits.index_put((directions, first, second), self.judging(seen).squeeze(1), accumulate=True)


def _candidates(logits: torch.Tensor) -> torch.Tensor:
    """Mark pairs that are among the best of their row or of their column: bool like logits."""
    count = min(_CANDIDATES, logits.shape[-1] - 1)
    in_row, in_column = (logits.topk(count, dim).values.amin(dim, keepdim=True) for dim in (2, 1))
    return (logits >= in_row) | (logits >= in_column)
