"""Learn from other images which encrypted patches are neighbours, and let the jigsaw solver use it.

The attacker knows the settings, so it can encrypt as many images of its own as it likes and learn what
encrypted neighbours have in common: borders, and whatever else patches give away. A network that reads whole
patches learns alone first (`neighbour_network`), then together with the handcrafted features and a closer
look at the best candidates (`learned_pairs`). A conditional logit weighs the outcome against the handcrafted
features on images that nothing was learned from.

Sources: Noroozi and Favaro, ECCV 2016; Paumard et al., "Deepzzle", IEEE TIP 2020 (learned neighbours over
an eroded border); McFadden 1974 (conditional logit).
"""

import dataclasses
import itertools
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ...encryption import RandomShuffling
from ..base import split_mosaic
from ..jigsaw.pair_scores import NEVER, log_odds
from ..jigsaw.solver import JigsawAttack, JigsawResult
from ..jigsaw.weights import weights_for
from .learned_pairs import PairNetwork
from .neighbour_network import NeighbourNetwork, neighbour_loss
from .neighbour_puzzles import Puzzles, PuzzleStock, handcrafted_features, make_puzzles, mean_top1
from .timed_training import Progress, train_for
from .training_crops import TrainingCrops

_BATCH = 4
_ALONE_SHARE, _ALONE_RATE = 0.4, 2e-3
_TOGETHER_RATE = 2e-3
_STOCK, _VISITS = 64, 8
_HELD_SHARE = 0.2
_SECONDS_A_PUZZLE = 4.0
_MIN_PUZZLES, _MAX_PUZZLES = 4, 24
_WEIGHING_STEPS, _WEIGHING_RATE = 100, 0.03
_RIDGE = 1e-2


@dataclasses.dataclass(frozen=True, eq=False)
class NeighbourAttacker:
    """A trained neighbour network with handcrafted scores beside it; `train_neighbour` makes one.

    Args:
        encryption: the settings it was trained for.
        network: scores all pairs of one puzzle, given its patches and their handcrafted features.
        weights: of the handcrafted features, in the order of `weights_for(encryption)`, then of the
            network's scores.
        absent: score of "no candidate is the neighbour".
        effort: steps, cpu_seconds, parameters, source_images, puzzles (held out), seed of the training.
        curve: step, cpu_seconds, loss, and top1 on puzzles held out: of the network that reads patches
            alone in the first part, of everything together in the second.
    """

    encryption: RandomShuffling
    network: PairNetwork
    weights: tuple[float, ...]
    absent: float
    effort: dict[str, Any]
    curve: list[dict[str, float]]

    def scores(self, pieces: np.ndarray) -> np.ndarray:
        """Score every ordered pair of patches, on the scale of `pair_scores.pair_scores`.

        Args:
            pieces: uint8 (num_patches, size, size, channels), the patches of one encrypted image.

        Returns:
            float32 (2, num_patches, num_patches) log-odds: [0, i, j] for j right of i, [1, i, j] for below.
        """
        handcrafted = handcrafted_features(pieces, self.encryption)
        features = _all_features(self.network, torch.from_numpy(np.ascontiguousarray(pieces)), handcrafted)
        return log_odds(features, self.weights, absent=self.absent)

    def __call__(self, encrypted: np.ndarray, truth: np.ndarray | None = None) -> JigsawResult:
        """Attack one image: score the pairs, then assemble them with `JigsawAttack`.

        Args:
            encrypted: uint8 (height, width, channels) as encrypted.
            truth: (num_patches,) true cell of each patch, for scores alone.

        Returns:
            What the jigsaw attack returns, under the name "neighbour".
        """
        started = time.process_time()
        pieces = split_mosaic(encrypted, self.encryption.encrypted_patch_size)
        scores = self.scores(pieces)
        result = JigsawAttack(self.encryption).assemble(pieces, scores, truth, started=started)
        return dataclasses.replace(result, attack="neighbour", effort=self.effort | result.effort)


def train_neighbour(
    encryption: RandomShuffling,
    crops: TrainingCrops,
    *,
    cpu_seconds: float,
    max_steps: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> NeighbourAttacker:
    """Train a neighbour network on images that are encrypted afresh for every batch.

    Args:
        encryption: the settings under attack.
        crops: training images of the settings' size. A fifth of the source images is held out to weigh the
            network against the handcrafted features, and for the curve.
        cpu_seconds: processor time to train the networks for; measuring and weighing take some more.
        max_steps: stop each of the two parts after so many steps, if its time is not up before.
        seed: of the networks; permutations never have one.
        progress: called with the fraction done and a few words.

    Raises:
        TypeError: an encryption that does not shuffle.
        ValueError: encrypted patches of 1 pixel, or no time.

    Example:
        >>> from sklearn.datasets import load_sample_image
        >>> settings = RandomShuffling(image_size=64, patch_size=16)
        >>> crops = TrainingCrops([load_sample_image("china.jpg")], (64, 64))
        >>> attacker = train_neighbour(settings, crops, cpu_seconds=20, max_steps=2)
        >>> attacker.scores(np.zeros((16, 16, 16, 3), np.uint8)).shape
        (2, 16, 16)
    """
    JigsawAttack(encryption)  # refuses what is no puzzle
    started = time.process_time()
    learned_from, held = crops.split(_HELD_SHARE)
    count = int(np.clip(cpu_seconds / _SECONDS_A_PUZZLE, _MIN_PUZZLES, _MAX_PUZZLES))
    checked = _with_features(encryption, held.batch(count))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        bounds = _bounds(0.0, _ALONE_SHARE, cpu_seconds, max_steps, progress)
        alone, first, curve = _train_alone(encryption, learned_from, checked.puzzles, **bounds)
        stock = PuzzleStock(encryption, learned_from, size=_STOCK, seed=seed)
        network = PairNetwork(alone, weights_for(encryption))
        bounds = _bounds(_ALONE_SHARE, 1.0, cpu_seconds, max_steps, progress)
        second, rest = _train_together(network, stock, checked, **bounds)
        weights, absent = _weigh(network, checked)
    for point in rest:  # counts on where the first part stopped
        point["step"] += first["steps"]
        point["cpu_seconds"] += first["cpu_seconds"]
    effort = {
        "steps": first["steps"] + second["steps"],
        "cpu_seconds": time.process_time() - started,
        "parameters": second["parameters"],
        "source_images": len(crops),
        "puzzles": count,
        "seed": seed,
    }
    return NeighbourAttacker(encryption, network, weights, absent, effort, curve + rest)


@dataclasses.dataclass(frozen=True, eq=False)
class _Checked:
    """Puzzles held out, with their handcrafted features."""

    puzzles: Puzzles
    handcrafted: list[np.ndarray]

    def __iter__(self) -> Iterator[tuple[torch.Tensor, np.ndarray]]:
        return zip(self.puzzles.pieces, self.handcrafted, strict=True)


def _with_features(encryption: RandomShuffling, images: np.ndarray) -> _Checked:
    puzzles = make_puzzles(encryption, images)
    return _Checked(puzzles, [handcrafted_features(p.numpy(), encryption) for p in puzzles.pieces])


def _bounds(
    start: float, end: float, cpu_seconds: float, max_steps: int | None, progress: Progress | None
) -> dict[str, Any]:
    """What `train_for` is told about the part of the training from `start` to `end`, shares of the whole."""
    share = end - start
    part = None if progress is None else lambda fraction, text: progress(start + fraction * share, text)
    return {"cpu_seconds": cpu_seconds * share, "max_steps": max_steps, "progress": part}


def _train_alone(
    encryption: RandomShuffling, crops: TrainingCrops, puzzles: Puzzles, **bounds: Any
) -> tuple[NeighbourNetwork, dict[str, Any], list[dict[str, float]]]:
    """Contrast the true neighbour with all patches of the image, on ever new crops."""
    size, channels = puzzles.pieces.shape[-2:]
    network = NeighbourNetwork(size, channels, symmetric=encryption.sub_patch_symmetries)

    def loss() -> torch.Tensor:
        batch = make_puzzles(encryption, crops.batch(_BATCH))
        return neighbour_loss(network(batch.pieces), network.absent, batch.neighbours)

    def validate() -> dict[str, float]:
        with torch.no_grad():
            return {"top1": mean_top1(lambda i: network(puzzles.pieces[i : i + 1])[0].numpy(), puzzles)}

    return network, *train_for(
        network, loss, learning_rate=_ALONE_RATE, validate=validate, evaluations=2, **bounds
    )


def _train_together(
    network: PairNetwork, stock: PuzzleStock, checked: _Checked, **bounds: Any
) -> tuple[dict[str, Any], list[dict[str, float]]]:
    """Go on with the handcrafted features and the close look, on new puzzles and old ones."""
    steps = itertools.count()

    def loss() -> torch.Tensor:
        if next(steps) % (_VISITS // _BATCH) == 0:
            stock.add()
        losses = []
        for pieces, features, neighbours in (stock.draw() for _ in range(_BATCH)):
            logits = network(pieces, features)
            losses.append(neighbour_loss(logits[None], network.absent, neighbours[None]))
        return torch.stack(losses).mean()

    def validate() -> dict[str, float]:
        scores = [_network_scores(network, *one) for one in checked]
        return {"top1": mean_top1(lambda i: scores[i], checked.puzzles)}

    return train_for(network, loss, learning_rate=_TOGETHER_RATE, validate=validate, evaluations=4, **bounds)


def _network_scores(network: PairNetwork, pieces: torch.Tensor, handcrafted: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return network(pieces, torch.from_numpy(handcrafted)).numpy()


def _all_features(network: PairNetwork, pieces: torch.Tensor, handcrafted: np.ndarray) -> np.ndarray:
    return np.concatenate([handcrafted, _network_scores(network, pieces, handcrafted)[None]])


def _weigh(network: PairNetwork, checked: _Checked) -> tuple[tuple[float, ...], float]:
    """Fit weights of the handcrafted features and of the network, starting from the network alone."""
    features = torch.stack([torch.from_numpy(_all_features(network, *one)) for one in checked])
    start = torch.zeros(features.shape[1])
    start[-1] = 1
    weights, absent = start.clone().requires_grad_(), network.absent.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([weights, absent], _WEIGHING_RATE)
    itself = torch.eye(features.shape[-1], dtype=torch.bool)
    for step in range(_WEIGHING_STEPS):
        optimizer.param_groups[0]["lr"] = _WEIGHING_RATE * (1 - step / _WEIGHING_STEPS)
        optimizer.zero_grad()
        chosen = torch.tensor([2 * step, 2 * step + 1]) % len(features)
        logits = torch.einsum("f,bfdij->bdij", weights, features[chosen]).masked_fill(itself, NEVER)
        loss = neighbour_loss(logits, absent, checked.puzzles.neighbours[chosen])
        (loss + _RIDGE * (weights - start).square().sum()).backward()
        optimizer.step()
    return tuple(weights.tolist()), absent.item()
