"""Learn from other images where patches use to stand: sky above, eyes in the middle, a letter's head on top.

A transformer that sees the encrypted patches as a set tells for each of them the cell that it stood in; the
Hungarian method then gives every patch a cell of its own. What it learned also serves a jigsaw solver as
`unary` scores. It reads content, not borders, so an interval hardly hinders it; it needs images that are
aligned alike (faces, documents, medical scans).

Sources: Zhai et al., "Position prediction as an effective pretraining strategy", ICML 2022 (a vision
transformer without position embeddings that predicts the places of its patches); Noroozi and Favaro, ECCV
2016 (puzzles as a learning task); Kuhn 1955 (assignment).
"""

import dataclasses
import time
from typing import Any

import numpy as np
import torch
from torch import nn

from ...encryption import RandomShuffling
from ...errors import InputTypeError
from ..base import encrypt_with_truth, grid_shape, join_patches, split_mosaic
from ..jigsaw.solver import JigsawResult
from .set_transformer import WIDTH, PatchEmbedding, set_encoder, split_batch, vary_light
from .timed_training import Progress, train_for
from .training_crops import TrainingCrops

_BATCH, _DEPTH = 16, 3
_DROPOUT, _SMOOTHING = 0.1, 0.1
"""Few images are learned by heart in seconds; these keep the probabilities honest on others."""


class _PositionNetwork(nn.Module):
    def __init__(self, patch_size: int, channels: int, cells: int):
        super().__init__()
        self.embedding = PatchEmbedding(patch_size, channels)
        self.encoder = set_encoder(_DEPTH, dropout=_DROPOUT)
        self.norm = nn.LayerNorm(WIDTH)
        self.cells = nn.Linear(WIDTH, cells)

    def forward(self, pieces: torch.Tensor) -> torch.Tensor:
        """Uint8 (batch, num_patches, size, size, channels) to logits (batch, num_patches, cells)."""
        return self.cells(self.norm(self.encoder(self.embedding(pieces))))


@dataclasses.dataclass(frozen=True, eq=False)
class PositionAttacker:
    """A trained position network; `train_position` makes one.

    Args:
        encryption: the settings it was trained for.
        network: uint8 patches (batch, num_patches, size, size, channels) to logits over cells.
        effort: steps, cpu_seconds, parameters, source_images, seed of the training.
        curve: step, cpu_seconds, loss and, with validation images, direct: the share of patches in place.
    """

    encryption: RandomShuffling
    network: nn.Module
    effort: dict[str, Any]
    curve: list[dict[str, float]]

    def log_probabilities(self, pieces: np.ndarray) -> np.ndarray:
        """Tell where patches stand, for `JigsawAttack(...)(encrypted, unary=...)` too.

        Args:
            pieces: uint8 (num_patches, size, size, channels), the patches of one encrypted image.

        Returns:
            float32 (num_patches, cells), natural logarithms; each row sums to 1 as probabilities.
        """
        with torch.no_grad():
            logits = self.network(torch.from_numpy(np.ascontiguousarray(pieces))[None])[0]
        return torch.log_softmax(logits, dim=1).numpy()

    def __call__(self, encrypted: np.ndarray, truth: np.ndarray | None = None) -> JigsawResult:
        """Attack one image.

        Args:
            encrypted: uint8 (height, width, channels) as encrypted.
            truth: (num_patches,) true cell of each patch, for scores alone.

        Returns:
            Places, the picture that they make, and `metrics.patch_order` scores beside their chance.
        """
        from scipy.optimize import linear_sum_assignment

        started = time.process_time()
        pieces = split_mosaic(encrypted, self.encryption.encrypted_patch_size)
        log_probabilities = self.log_probabilities(pieces)
        patches, cells = linear_sum_assignment(log_probabilities, maximize=True)
        shape = grid_shape(self.encryption)
        result = JigsawResult(
            "position",
            join_patches(pieces, cells, shape),
            time.process_time() - started,
            effort=self.effort,
            positions=cells,
            energy=float(log_probabilities[patches, cells].sum()),
        )
        return result if truth is None else _score(result, truth, shape, log_probabilities)


def _score(
    result: JigsawResult, truth: np.ndarray, shape: tuple[int, int], log_probabilities: np.ndarray
) -> JigsawResult:
    from ...metrics.patch_order import chance_scores, order_scores

    true_energy = float(log_probabilities[np.arange(len(truth)), truth].sum())
    return dataclasses.replace(
        result,
        scores=order_scores(result.positions, truth, shape),
        chance=chance_scores(len(truth), shape),
        true_energy=true_energy,
        search_limited=true_energy > result.energy + 1e-3,  # never: the assignment is exact
    )


def train_position(
    encryption: RandomShuffling,
    crops: TrainingCrops,
    *,
    cpu_seconds: float,
    max_steps: int | None = None,
    validation: TrainingCrops | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> PositionAttacker:
    """Train a position network on images that are encrypted afresh for every batch.

    Args:
        encryption: the settings under attack.
        crops: training images of the settings' size; `aligned=True` where the attacked images are.
        cpu_seconds: processor time to train for.
        max_steps: stop after so many steps, if the time is not up before.
        validation: other images, to follow the training with.
        seed: of the network; permutations never have one.
        progress: called with the fraction done and a few words.

    Raises:
        TypeError: an encryption that does not shuffle.

    Example:
        >>> ramps = [np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)]
        >>> settings = RandomShuffling(image_size=64, patch_size=32)
        >>> crops = TrainingCrops(ramps, (64, 64), aligned=True)
        >>> attacker = train_position(settings, crops, cpu_seconds=20, max_steps=20)
        >>> sample = encrypt_with_truth(settings, ramps[0][None])
        >>> attacker(sample.images[0], sample.positions[0]).scores["direct"]
        1.0
    """
    if not isinstance(encryption, RandomShuffling):
        raise InputTypeError(
            f"encryption: got {type(encryption).__name__}, expected RandomShuffling; patches of MI are in "
            "their places already."
        )
    rows, cols = grid_shape(encryption)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _PositionNetwork(encryption.encrypted_patch_size, crops.batch(1).shape[3], rows * cols)
        effort, curve = train_for(
            network,
            lambda: _loss(network, encryption, crops)[0],
            cpu_seconds=cpu_seconds,
            max_steps=max_steps,
            validate=None if validation is None else lambda: _validate(network, encryption, validation),
            progress=progress,
        )
    effort |= {"source_images": len(crops), "seed": seed}
    return PositionAttacker(encryption, network, effort, curve)


def _loss(
    network: nn.Module, encryption: RandomShuffling, crops: TrainingCrops
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy of the true cells, and the share of patches whose likeliest cell is the true one."""
    sample = encrypt_with_truth(encryption, crops.batch(_BATCH))
    pieces = split_batch(sample.images, encryption.encrypted_patch_size)
    if network.training:
        pieces = vary_light(pieces)
    logits = network(pieces).flatten(0, 1)
    truth = torch.from_numpy(sample.positions).flatten()
    loss = nn.functional.cross_entropy(logits, truth, label_smoothing=_SMOOTHING * network.training)
    return loss, (logits.argmax(dim=1) == truth).float().mean()


def _validate(network: nn.Module, encryption: RandomShuffling, crops: TrainingCrops) -> dict[str, float]:
    with torch.no_grad():
        loss, direct = _loss(network, encryption, crops)
    return {"validation_loss": float(loss), "direct": float(direct)}
