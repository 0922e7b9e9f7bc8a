"""A learned decoder for mixing-up: what a smoothness prior gives, and what other photographs teach besides.

Where the mean of the sub-patches is a known linear map, a small convolutional network corrects the image that
the total-variation prior gives, and the exact projection onto the images that encrypt to what was seen
follows. Under random symmetries of the sub-patches or under normalization there
is no such map, and the network corrects the tiled image alone.

Sources: Schwab, Antholzer, Haltmeier, "Deep null space learning for inverse problems", Inverse Problems 35,
2019 (a network corrects a classical reconstruction in what the data do not tell);
Ronneberger et al., U-Net, 2015; Shi et al., sub-pixel convolution, CVPR 2016.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from ...encryption import Encryption, MixingUp
from ...errors import InputTypeError
from ...metrics.image_similarity import image_similarity
from ..base import AttackResult, encrypt_with_truth
from ..trained.timed_training import Progress, train_for
from ..trained.training_crops import TrainingCrops
from .inversion import project
from .small_total_variation import small_total_variation

_FINE, _COARSE = 64, 160
"""Channels of the network's two levels."""

_BATCH, _WINDOW = 8, 7
"""Windows in a batch, and their width in patches; mixing is local, so an image holds many examples."""

_POOL_SHARE, _LARGEST_POOL = 0.3, 512
"""Share of the time that goes into starting points before the training, and the most crops that get one."""


class _MixingNetwork(nn.Module):
    def __init__(self, encryption: Encryption, channels: int):
        super().__init__()
        self.size, self.grid = encryption.encrypted_patch_size, encryption.sub_patch_grid
        self.linear = is_linear(encryption)
        self.correction = _Correction(encryption.patch_size, channels)

    def forward(self, encrypted: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        """(batch, channels, height, width), and `start` of it, to (batch, channels, grid * h, grid * w)."""
        guess = start + self.correction(torch.cat([start, self.tile(encrypted)], dim=1))
        return guess + self.tile(encrypted - self.mix(guess)) if self.linear else guess

    @torch.no_grad()
    def start(self, encrypted: torch.Tensor) -> torch.Tensor:
        """What the network corrects: the image of small total variation, or the tiled one."""
        if not self.linear:
            return self.tile(encrypted)
        return small_total_variation(encrypted, self.tile, self.mix)

    def tile(self, encrypted: torch.Tensor) -> torch.Tensor:
        """As `mixing_inversion.tile`."""
        size, grid = self.size, self.grid
        tiled = encrypted.unflatten(3, (-1, 1, size)).unflatten(2, (-1, 1, size))
        tiled = tiled.expand(-1, -1, -1, grid, -1, -1, grid, -1)
        return tiled.flatten(5, 7).flatten(2, 4)

    def mix(self, plain: torch.Tensor) -> torch.Tensor:
        """The mean of the sub-patches of every patch."""
        shape = (-1, self.grid, self.size)
        return plain.unflatten(3, shape).unflatten(2, shape).mean(dim=(3, 6)).flatten(4, 5).flatten(2, 3)


class _Correction(nn.Module):
    """A U-Net of two levels: some pixels a cell, and one patch a cell; it knows where in a patch it is."""

    def __init__(self, patch_size: int, channels: int):
        super().__init__()
        cell = next(size for size in (4, 2, 1) if patch_size % size == 0)
        self.fold, self.unfold = nn.PixelUnshuffle(cell), nn.PixelShuffle(cell)
        self.within = nn.Parameter(torch.zeros(1, _FINE, patch_size // cell, patch_size // cell))
        self.enter = nn.Conv2d(2 * channels * cell**2, _FINE, 3, padding=1)
        self.before = nn.Sequential(_Block(_FINE), _Block(_FINE))
        self.down = nn.Conv2d(_FINE, _COARSE, patch_size // cell, patch_size // cell)
        self.coarse = nn.Sequential(_Block(_COARSE), _Block(_COARSE), _Block(_COARSE))
        self.up = nn.ConvTranspose2d(_COARSE, _FINE, patch_size // cell, patch_size // cell)
        self.after = nn.Sequential(_Block(_FINE), _Block(_FINE))
        self.leave = nn.Conv2d(_FINE, channels * cell**2, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        fine = self.enter(self.fold(images))
        rows, cols = (side // self.within.shape[-1] for side in fine.shape[2:])
        fine = self.before(fine + self.within.repeat(1, 1, rows, cols))
        fine = fine + self.up(self.coarse(self.down(fine)))
        return self.unfold(self.leave(self.after(fine)))


class _Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features + self.second(nn.functional.gelu(self.first(features)))


def is_linear(encryption: Encryption) -> bool:
    """Whether what was seen is a known linear map of the plain image.

    Example:
        >>> is_linear(MixingUp()), is_linear(MixingUp(sub_patch_symmetries=True))
        (True, False)
    """
    return not (encryption.sub_patch_symmetries or encryption.patch_normalization)


@dataclasses.dataclass(frozen=True, eq=False)
class MixingDecoder:
    """A trained decoder; `train_mixing_decoder` makes one.

    Args:
        encryption: the settings it was trained for.
        network: encrypted (batch, channels, height, width) to plain, both from -1 to 1.
        effort: steps, cpu_seconds, parameters, source_images, seed of the training.
        curve: step, cpu_seconds, loss and, with validation images, psnr.
    """

    encryption: MixingUp
    network: nn.Module
    effort: dict[str, Any]
    curve: list[dict[str, float]]

    def __call__(self, encrypted: np.ndarray, plain: np.ndarray | None = None) -> AttackResult:
        """Attack one image of any size.

        Args:
            encrypted: uint8 (height, width, channels) as encrypted.
            plain: uint8 plain image as `encryption.prepare` makes it, for scores alone.

        Returns:
            The reconstruction with its `metrics.image_similarity`; chance is one grey, the mean of the
            encrypted image.
        """
        started = time.process_time()
        with torch.no_grad():
            signal = _to_network(encrypted[None])
            found = self.network(signal, self.network.start(signal))
        found = (_from_network(found)[0] + 1) * 127.5
        if is_linear(self.encryption):  # once more, in double precision
            found = project(found.astype(np.float64), encrypted.astype(np.float64), self.encryption)
        found = np.rint(found).clip(0, 255).astype(np.uint8)
        result = AttackResult("mixing_decoder", found, time.process_time() - started, effort=self.effort)
        if plain is None:
            return result
        grey = np.broadcast_to(encrypted.mean(axis=(0, 1)), plain.shape)
        chance = image_similarity(grey, plain)
        return dataclasses.replace(result, scores=image_similarity(found, plain), chance=chance)


def train_mixing_decoder(
    encryption: MixingUp,
    crops: TrainingCrops,
    *,
    cpu_seconds: float,
    max_steps: int | None = None,
    validation: TrainingCrops | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> MixingDecoder:
    """Train a decoder on images that are encrypted afresh for every batch.

    Args:
        encryption: the settings under attack.
        crops: training images, of the scale of those under attack.
        cpu_seconds: processor time to train for.
        max_steps: stop after so many steps, if the time is not up before.
        validation: other images, to follow the training with.
        seed: of the network and the windows; symmetries never have one.
        progress: called with the fraction done and a few words.

    Raises:
        TypeError: an encryption that shuffles.

    Example:
        >>> ramps = [np.linspace(0, 255, 32 * 32 * 3).reshape(32, 32, 3).astype(np.uint8)]
        >>> settings, crops = MixingUp(patch_size=16), TrainingCrops(ramps, (32, 32))
        >>> decoder = train_mixing_decoder(settings, crops, cpu_seconds=20, max_steps=2)
        >>> decoder(settings(ramps[0])).reconstruction.shape
        (32, 32, 3)
    """
    if not isinstance(encryption, MixingUp):
        raise InputTypeError(
            f"encryption: got {type(encryption).__name__}, expected MixingUp; patches that were shuffled are "
            "for `jigsaw`, `position` and `reconstruction`."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _MixingNetwork(encryption, crops.batch(1).shape[3])
        network = network.to(memory_format=torch.channels_last)
        started = time.process_time()
        pool = _Pool(network, encryption, crops, _POOL_SHARE * cpu_seconds, max_steps, seed)
        before = time.process_time() - started
        effort, curve = train_for(
            network,
            # Between the absolute error, which keeps edges sharp, and the squared one, which PSNR counts.
            lambda: nn.functional.smooth_l1_loss(*pool.batch(), beta=0.1),
            cpu_seconds=max(cpu_seconds - before, 0.1 * cpu_seconds),
            max_steps=max_steps,
            validate=None if validation is None else _validation(network, encryption, validation),
            progress=progress,
        )
    effort |= {"source_images": len(crops), "crops": len(pool), "seed": seed}
    effort["cpu_seconds"] += before
    for point in curve:
        point["cpu_seconds"] += before
    return MixingDecoder(encryption, network, effort, curve)


class _Pool:
    """Encrypted crops with their starting points, where those take long; otherwise fresh crops each time."""

    def __init__(
        self,
        network: _MixingNetwork,
        encryption: MixingUp,
        crops: TrainingCrops,
        cpu_seconds: float,
        max_steps: int | None,
        seed: int,
    ):
        self.network, self.encryption, self.crops = network, encryption, crops
        self.random = np.random.default_rng(seed)
        self.made: list[tuple[torch.Tensor, ...]] = []
        ends = time.process_time() + cpu_seconds
        most = min(_LARGEST_POOL, _BATCH * (max_steps or _LARGEST_POOL)) if network.linear else 0
        while len(self.made) < most and time.process_time() < ends:
            self.made += self._make(1)

    def __len__(self) -> int:
        return len(self.made)

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What the network makes of windows of crops, and what they were."""
        if self.made:
            chosen = [self.made[self.random.integers(len(self))] for _ in range(_BATCH)]
        else:
            chosen = self._make(_BATCH)
        windows = zip(*(self._window(*images) for images in chosen), strict=True)
        plain, encrypted, start = (torch.stack(images) for images in windows)
        layout = torch.channels_last
        return self.network(encrypted.to(memory_format=layout), start.to(memory_format=layout)), plain

    def _make(self, count: int) -> list[tuple[torch.Tensor, ...]]:
        """Triples of a plain crop, the encrypted one and the starting point, each (channels, ., .)."""
        plain = self.crops.batch(count)
        encrypted = _to_network(encrypt_with_truth(self.encryption, plain).images)
        return list(zip(_to_network(plain), encrypted, self.network.start(encrypted), strict=True))

    def _window(
        self, plain: torch.Tensor, encrypted: torch.Tensor, start: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Cut whole patches out of a crop, so that they keep the scale of whole images."""
        size, mixed = self.encryption.patch_size, self.encryption.encrypted_patch_size
        corner, extent = [], []
        for side in plain.shape[1:]:
            extent.append(min(_WINDOW, side // size))
            corner.append(int(self.random.integers(side // size - extent[-1] + 1)))

        mirrored = self.random.random() < 0.5  # a mirrored image mixes to the mirrored one

        def cut(image: torch.Tensor, width: int) -> torch.Tensor:
            (top, left), (rows, cols) = corner, extent
            window = image[:, top * width : (top + rows) * width, left * width : (left + cols) * width]
            return window.flip(2) if mirrored else window

        return cut(plain, size), cut(encrypted, mixed), cut(start, size)


def _validation(network: _MixingNetwork, encryption: MixingUp, crops: TrainingCrops) -> Callable:
    """Keep some crops with their starting points, to measure the network on them again and again."""
    plain = crops.batch(_BATCH)
    encrypted = _to_network(encrypt_with_truth(encryption, plain).images)
    target, start = _to_network(plain), network.start(encrypted)

    def validate() -> dict[str, float]:
        with torch.no_grad():
            found = network(encrypted, start).clamp(-1, 1)
        errors = (found - target).square().mean(dim=(1, 2, 3))
        return {"psnr": float((10 * torch.log10(4 / errors)).mean())}

    return validate


def _to_network(images: np.ndarray) -> torch.Tensor:
    """Uint8 (batch, height, width, channels) to float (batch, channels, height, width) from -1 to 1."""
    signal = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return signal.contiguous(memory_format=torch.channels_last)


def _from_network(images: torch.Tensor) -> np.ndarray:
    return images.permute(0, 2, 3, 1).numpy()
