"""Regress the plain image from the set of encrypted patches, as the paper's vision-transformer attacker does.

An encoder sees the patches (as a set if they were shuffled, in their places if not); a decoder has a query
for each cell of the plain image, as a masked autoencoder has for what it did not see. A cell may also copy
encrypted patches, by attention, so that what is recognised comes back sharp. The error is squared, so where
the attacker cannot tell it answers with a mean, which looks blurred and is the best guess there is.

Sources: Hao et al. 2023 (arXiv 2306.03679, attack on RS by a transformer); He et al., "Masked autoencoders
are scalable vision learners", CVPR 2022; Vinyals et al., "Pointer networks", 2015 (the copying).
"""

import dataclasses
import time
from typing import Any

import numpy as np
import torch
from torch import nn

from ...encryption import Encryption
from ...errors import InputValueError
from ...metrics.image_similarity import image_similarity
from ..base import AttackResult, EncryptedSample, encrypt_with_truth
from .set_transformer import (
    WIDTH,
    PatchEmbedding,
    set_decoder,
    set_encoder,
    split_batch,
    to_signal,
    vary_light,
)
from .timed_training import Progress, train_for
from .training_crops import TrainingCrops

_BATCH, _ENCODER_DEPTH, _DECODER_DEPTH = 16, 3, 2
_POINTER_WEIGHT = 0.02
"""Weight of naming the right patch for a cell, in nats, beside the squared error, in units of -1 to 1."""

_DROPOUT = 0.1
"""With the changes of light it keeps few images from being learned by heart: aligned faces gain half a dB."""

_MEAN_IMAGE_CROPS = 128


class _ReconstructionNetwork(nn.Module):
    """Patches in, plain patches and where they were copied from out."""

    def __init__(self, encryption: Encryption, channels: int, cells: int):
        super().__init__()
        self.plain_size, self.grid = encryption.patch_size, encryption.sub_patch_grid
        self.placed = encryption.strategy == "mi"
        self.embedding = PatchEmbedding(encryption.encrypted_patch_size, channels)
        self.cells = nn.Parameter(0.02 * torch.randn(1, cells, WIDTH))
        depth = _ENCODER_DEPTH + (_DECODER_DEPTH if self.placed else 0)
        self.encoder = set_encoder(depth, dropout=_DROPOUT)
        if not self.placed:
            self.decoder = set_decoder(_DECODER_DEPTH)
            self.query, self.key = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.pixels = nn.Linear(WIDTH, self.plain_size**2 * channels)

    def forward(self, pieces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Decode.

        Args:
            pieces: uint8 (batch, num_patches, size, size, channels).

        Returns:
            Plain patches (batch, cells, plain_size**2 * channels) from -1 to 1, and log-probabilities
            (batch, cells, num_patches) of the patch that a cell copies, None where patches have places.
        """
        tokens = self.embedding(pieces)
        copied = self.enlarged(pieces)
        if self.placed:
            state = self.norm(self.encoder(tokens + self.cells))
            return copied + self.pixels(state), None
        tokens = self.encoder(tokens)
        state = self.norm(self.decoder(self.cells.expand(len(tokens), -1, -1), tokens))
        pointer = self.query(state) @ self.key(tokens).transpose(1, 2) / WIDTH**0.5
        pointer = torch.log_softmax(pointer, dim=2)
        return pointer.exp() @ copied + self.pixels(state), pointer

    def enlarged(self, pieces: torch.Tensor) -> torch.Tensor:
        """Bring encrypted patches to the size of plain ones: repeat mixed ones, widen borders of others."""
        batch, count = pieces.shape[:2]
        images = to_signal(pieces).flatten(0, 1).permute(0, 3, 1, 2).repeat(1, 1, self.grid, self.grid)
        lost = self.plain_size - images.shape[-1]
        images = nn.functional.pad(images, [lost // 2, lost - lost // 2] * 2, mode="replicate")
        return images.permute(0, 2, 3, 1).reshape(batch, count, -1)


@dataclasses.dataclass(frozen=True, eq=False)
class ReconstructionAttacker:
    """A trained reconstruction network; `train_reconstruction` makes one.

    Args:
        encryption: the settings it was trained for.
        network: see the module.
        shape: rows and columns of patches in the plain image.
        mean_image: uint8 (height, width, channels), mean of training crops: what guessing gives.
        effort: steps, cpu_seconds, parameters, source_images, seed of the training.
        curve: step, cpu_seconds, loss and, with validation images, psnr over all their pixels.
    """

    encryption: Encryption
    network: nn.Module
    shape: tuple[int, int]
    mean_image: np.ndarray
    effort: dict[str, Any]
    curve: list[dict[str, float]]

    def __call__(self, encrypted: np.ndarray, plain: np.ndarray | None = None) -> AttackResult:
        """Attack one image.

        Args:
            encrypted: uint8 (height, width, channels) as encrypted.
            plain: uint8 plain image as `encryption.prepare` makes it, for scores alone.

        Returns:
            The reconstruction with its `metrics.image_similarity`; chance is the better, score by score, of
            the mean training image and of one grey, the mean of the encrypted image.

        Raises:
            ValueError: an image of another size than those it was trained for.
        """
        self._check(encrypted)
        started = time.process_time()
        with torch.no_grad():
            pieces = split_batch(encrypted[None], self.encryption.encrypted_patch_size)
            patches, _ = self.network(pieces)
        found = _join(patches, self.shape, self.encryption.patch_size)[0]
        found = np.rint((found + 1) * 127.5).clip(0, 255).astype(np.uint8)
        seconds = time.process_time() - started
        result = AttackResult("reconstruction", found, seconds, effort=self.effort)
        if plain is None:
            return result
        chance = chance_similarity(plain, encrypted, self.mean_image)
        return dataclasses.replace(result, scores=image_similarity(found, plain), chance=chance)

    def _check(self, encrypted: np.ndarray) -> None:
        size = self.encryption.encrypted_size
        if size is None:  # mixing-up that keeps an image's own size
            size = tuple(count * self.encryption.encrypted_patch_size for count in self.shape)
        if encrypted.shape[:2] != size:
            raise InputValueError(
                f"encrypted: got {encrypted.shape[0]}x{encrypted.shape[1]} pixels, expected "
                f"{size[0]}x{size[1]}, what it was trained for; train one for images of this size."
            )


def chance_similarity(plain: np.ndarray, encrypted: np.ndarray, mean_image: np.ndarray) -> dict[str, float]:
    """Score what needs no attack: the better, score by score, of two guesses.

    Args:
        plain: uint8 (height, width, channels).
        encrypted: uint8 (rows, columns, channels); its mean colour is the first guess.
        mean_image: of training images, like `plain`; the second guess.

    Example:
        >>> plain = np.full((16, 16, 1), 9, np.uint8)
        >>> chance_similarity(plain, plain, 0 * plain)["psnr"]
        100.0
    """
    grey = np.broadcast_to(encrypted.mean(axis=(0, 1)), plain.shape)
    guesses = [image_similarity(guess, plain) for guess in (grey, mean_image)]
    return {name: max(guess[name] for guess in guesses) for name in guesses[0]}


def train_reconstruction(
    encryption: Encryption,
    crops: TrainingCrops,
    *,
    cpu_seconds: float,
    max_steps: int | None = None,
    validation: TrainingCrops | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> ReconstructionAttacker:
    """Train a reconstruction network on images that are encrypted afresh for every batch.

    Args:
        encryption: the settings under attack, RS or MI.
        crops: training images of the size of the images under attack.
        cpu_seconds: processor time to train for.
        max_steps: stop after so many steps, if the time is not up before.
        validation: other images, to follow the training with.
        seed: of the network; permutations never have one.
        progress: called with the fraction done and a few words.

    Example:
        >>> from hipmr_hf import MixingUp
        >>> ramps = [np.linspace(0, 255, 32 * 32 * 3).reshape(32, 32, 3).astype(np.uint8)]
        >>> settings, crops = MixingUp(patch_size=16), TrainingCrops(ramps, (32, 32))
        >>> attacker = train_reconstruction(settings, crops, cpu_seconds=20, max_steps=2)
        >>> attacker(settings(ramps[0])).reconstruction.shape
        (32, 32, 3)
    """
    first = crops.batch(1)
    shape = first.shape[1] // encryption.patch_size, first.shape[2] // encryption.patch_size
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _ReconstructionNetwork(encryption, first.shape[3], shape[0] * shape[1])
        effort, curve = train_for(
            network,
            lambda: _loss(network, encryption, _in_any_light(crops.batch(_BATCH))),
            cpu_seconds=cpu_seconds,
            max_steps=max_steps,
            validate=None if validation is None else lambda: _validate(network, encryption, validation),
            progress=progress,
        )
    mean_image = np.rint(crops.batch(_MEAN_IMAGE_CROPS).mean(axis=0)).astype(np.uint8)
    effort |= {"source_images": len(crops), "seed": seed}
    return ReconstructionAttacker(encryption, network, shape, mean_image, effort, curve)


def _in_any_light(images: np.ndarray) -> np.ndarray:
    """Change brightness and contrast of plain images (batch, height, width, channels) before encryption."""
    return vary_light(torch.from_numpy(images)[:, None])[:, 0].numpy()


def _loss(network: nn.Module, encryption: Encryption, images: np.ndarray) -> torch.Tensor:
    sample = encrypt_with_truth(encryption, images)
    found, pointer = network(split_batch(sample.images, encryption.encrypted_patch_size))
    plain = to_signal(split_batch(images, encryption.patch_size)).flatten(2)
    loss = nn.functional.mse_loss(found, plain)
    return loss if pointer is None else loss + _POINTER_WEIGHT * _pointer_loss(pointer, sample)


def _pointer_loss(pointer: torch.Tensor, sample: EncryptedSample) -> torch.Tensor:
    """Cross-entropy of naming, for each cell that has a patch, that patch."""
    cells = torch.from_numpy(sample.positions)  # (batch, num_patches)
    chosen = pointer.gather(1, cells[:, :, None].expand(-1, -1, pointer.shape[2]))
    return -chosen.diagonal(dim1=1, dim2=2).mean()


def _validate(network: nn.Module, encryption: Encryption, crops: TrainingCrops) -> dict[str, float]:
    images = crops.batch(_BATCH)
    sample = encrypt_with_truth(encryption, images)
    with torch.no_grad():
        found, _ = network(split_batch(sample.images, encryption.encrypted_patch_size))
    plain = to_signal(split_batch(images, encryption.patch_size)).flatten(2)
    errors = (found.clamp(-1, 1) - plain).square().mean(dim=(1, 2))
    return {"psnr": float((10 * torch.log10(4 / errors)).mean())}


def _join(patches: torch.Tensor, shape: tuple[int, int], size: int) -> np.ndarray:
    """(batch, cells, size * size * channels) to (batch, rows * size, cols * size, channels)."""
    tiled = patches.unflatten(2, (size, size, -1)).unflatten(1, shape).transpose(2, 3)
    batch, rows, _, cols, _, channels = tiled.shape
    return tiled.reshape(batch, rows * size, cols * size, channels).numpy()
