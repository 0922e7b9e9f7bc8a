"""Learn from other images which patches are neighbours where each may have been turned, mixed or toned.

No side of such a patch is known to face its neighbour, so pairs have no direction: the network reads a patch
in all eight orientations, looks at all patches of the picture together, and compares pairs by learned
distances. What it finds is one more feature for the attacker of `jigsaw_turned`, which is fitted afterwards.

Sources: Bromley et al., "Signature verification using a siamese time delay neural network", NIPS 1993; Cohen
and Welling, "Group equivariant convolutional networks", ICML 2016 (averages over a group); Khosla et al.,
"Supervised contrastive learning", NeurIPS 2020 (a softmax with several right answers).
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ...metrics.turned_order import partner_share, true_neighbours
from ..base import check_shuffled, encrypt_with_truth, grid_shape, split_mosaic
from ..jigsaw.weights import NEVER
from .neighbour_network import all_orientations, mean_and_contrast
from .set_transformer import WIDTH, set_encoder
from .timed_training import Progress, train_for

if TYPE_CHECKING:
    from ...encryption.random_shuffling import RandomShuffling
    from .training_crops import TrainingCrops

_HIDDEN, _DEPTH = 256, 2
_DISTANCES, _DISTANCE_WIDTH = 8, 16
_BATCH, _RATE = 4, 1e-3
_HELD_SHARE, _HELD_PUZZLES = 0.15, 8


class TurnedPairNetwork(nn.Module):
    """Score every pair of patches, however each of them was turned.

    Args:
        patch_size: width of an encrypted patch in pixels.
        channels: of a pixel.

    Example:
        >>> network = TurnedPairNetwork(4, 3).eval()
        >>> pieces = torch.randint(256, (1, 9, 4, 4, 3), dtype=torch.uint8)
        >>> bool(torch.allclose(network(pieces), network(pieces.rot90(1, (2, 3))), atol=1e-4))
        True
    """

    def __init__(self, patch_size: int, channels: int):
        super().__init__()
        inputs = 2 * patch_size**2 * channels + 2 * channels
        self.reading: nn.Sequential = nn.Sequential(
            nn.Linear(inputs, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, WIDTH), nn.GELU()
        )
        self.picture: nn.TransformerEncoder = set_encoder(_DEPTH)
        self.places: nn.ModuleList = nn.ModuleList(
            nn.Linear(WIDTH, _DISTANCES * _DISTANCE_WIDTH) for _ in range(2)
        )
        self.judging: nn.Parameter = nn.Parameter(torch.full((4 * _DISTANCES,), -1 / _DISTANCES))

    def forward(self, pieces: torch.Tensor) -> torch.Tensor:
        """Uint8 (batch, num_patches, size, size, channels) to logits (batch, num_patches, num_patches).

        They are symmetric; `NEVER` for a patch beside itself.
        """
        views = torch.stack(all_orientations(pieces.float() / 127.5 - 1))
        alone = self.reading(mean_and_contrast(views)).mean(dim=0)
        tokens = alone, self.picture(alone)
        measured = [_distances(place(seen)) for place, seen in zip(self.places, tokens, strict=True)]
        distances = torch.cat(measured, dim=1)
        near = torch.cat([distances, torch.log(distances + 0.02)], dim=1)
        logits = torch.einsum("d,bdij->bij", self.judging, near)
        return logits.masked_fill(torch.eye(logits.shape[-1], dtype=torch.bool), NEVER)


def _distances(vectors: torch.Tensor) -> torch.Tensor:
    """(batch, num_patches, width) to (batch, distances, num_patches, num_patches)."""
    parts = vectors.unflatten(-1, (_DISTANCES, -1)).transpose(1, 2).contiguous()
    return torch.cdist(parts, parts, p=1.0) / _DISTANCE_WIDTH


def pair_loss(logits: torch.Tensor, beside: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each true neighbour of a patch among all patches that are not beside it.

    Args:
        logits: (batch, num_patches, num_patches).
        beside: bool, alike: which are neighbours.

    Example:
        >>> beside = torch.tensor([[[False, True], [True, False]]])
        >>> round(pair_loss(torch.tensor([[[NEVER, 9.0], [9.0, NEVER]]]), beside).item(), 6)
        0.0
    """
    others = logits.masked_fill(beside, NEVER).logsumexp(dim=-1, keepdim=True)
    return nn.functional.softplus(others - logits)[beside].mean()


@dataclasses.dataclass(frozen=True, eq=False)
class TurnedPairs:
    """A trained network; `fit_turned` takes it as `learned`. `train_turned_pairs` makes one.

    Args:
        encryption: the settings it was trained for.
        network: scores the pairs of a picture.
        effort: steps, cpu_seconds, parameters, source_images, seed of the training.
        curve: step, cpu_seconds, loss, and partner (see `metrics.turned_order`) on crops of images that
            were held out.
    """

    encryption: RandomShuffling
    network: TurnedPairNetwork
    effort: dict[str, Any]
    curve: list[dict[str, float]]

    def __call__(self, pieces: np.ndarray) -> np.ndarray:
        """Score the pairs of one picture.

        Args:
            pieces: uint8 (num_patches, size, size, channels).

        Returns:
            float32 (num_patches, num_patches), higher for neighbours; symmetric.
        """
        with torch.no_grad():
            return self.network(torch.from_numpy(np.ascontiguousarray(pieces))[None])[0].numpy()


def train_turned_pairs(
    encryption: RandomShuffling,
    crops: TrainingCrops,
    *,
    cpu_seconds: float,
    max_steps: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> TurnedPairs:
    """Train a network on crops that are encrypted afresh for every batch.

    Args:
        encryption: the settings under attack.
        crops: training images of the settings' size; the boosting that is fitted afterwards wants others.
            A part of the source images is held out for the curve.
        cpu_seconds: processor time to train for.
        max_steps: stop after so many steps, if the time is not up before.
        seed: of the network; orders and turns are always drawn afresh.
        progress: called with the fraction done and a few words.

    Raises:
        InputTypeError: settings that leave patches in their places.
        InputValueError: no time.

    Example:
        >>> from hipmr_hf import RandomShuffling
        >>> from hipmr_hf.attacks.trained.training_crops import TrainingCrops
        >>> from sklearn.datasets import load_sample_image
        >>> settings = RandomShuffling(image_size=64, patch_size=16, sub_patch_symmetries=True)
        >>> crops = TrainingCrops([load_sample_image("china.jpg")], (64, 64))
        >>> learned = train_turned_pairs(settings, crops, cpu_seconds=20, max_steps=2)
        >>> learned(np.zeros((16, 16, 16, 3), np.uint8)).shape
        (16, 16)
    """
    check_shuffled(encryption)
    started, shape = time.process_time(), grid_shape(encryption)
    learned_from, held = crops.split(_HELD_SHARE)

    def puzzles(images: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
        sample = encrypt_with_truth(encryption, images)
        pieces = [split_mosaic(image, encryption.encrypted_patch_size) for image in sample.images]
        return torch.from_numpy(np.stack(pieces)), sample.positions

    checked, truth = puzzles(held.batch(_HELD_PUZZLES))

    def loss() -> torch.Tensor:
        pieces, positions = puzzles(learned_from.batch(_BATCH))
        beside = np.stack([true_neighbours(one, shape) for one in positions])
        return pair_loss(network(pieces), torch.from_numpy(beside))

    def validate() -> dict[str, float]:
        with torch.no_grad():
            shares = [
                partner_share(network(pieces[None])[0].numpy(), one, shape)
                for pieces, one in zip(checked, truth, strict=True)
            ]
        return {"partner": float(np.mean(shares))}

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = TurnedPairNetwork(*checked.shape[-2:])
        bounds = {"cpu_seconds": cpu_seconds, "max_steps": max_steps, "progress": progress}
        effort, curve = train_for(
            network, loss, learning_rate=_RATE, validate=validate, evaluations=10, **bounds
        )
    effort = {**effort, "cpu_seconds": time.process_time() - started}
    return TurnedPairs(encryption, network, {**effort, "source_images": len(crops), "seed": seed}, curve)
