"""Undo mixing-up without learning: a thumbnail with no work, and a smoother picture under a prior.

The mean of the g x g sub-patches of a patch is a linear map A with A A^T = I / (g g): adding to every
sub-patch what a guess lacks in the mean projects the guess exactly onto all images that encrypt to what was
seen. Between such projections the guess is pulled towards small total variation.

Sources: Rudin, Osher, Fatemi 1992 (total variation); Chambolle, J. Math. Imaging Vision 20, 2004 (its
proximal map by a dual iteration); the projected subgradient scheme is the textbook one (Combettes and
Pesquet 2011).
"""

import time

import numpy as np

from ...encryption import Encryption
from ...errors import InputValueError
from ...metrics.image_similarity import image_similarity
from ..base import AttackResult

_DUAL_STEP = 0.248  # below 1/4, the bound of Chambolle 2004 in two dimensions


def thumbnail(encrypted: np.ndarray, encryption: Encryption) -> np.ndarray:
    """Read the mean of every patch: exact but for rounding, and no attack at all.

    Args:
        encrypted: uint8 (height, width, channels) from `MixingUp` without patch_normalization.
        encryption: the settings.

    Returns:
        uint8 (rows, cols, channels), one pixel per patch.

    Example:
        >>> from hipmr_hf import MixingUp
        >>> thumbnail(np.full((16, 24, 3), 9, np.uint8), MixingUp(patch_size=16)).shape
        (2, 3, 3)
    """
    tiled = _patches(encrypted.astype(np.float64), encryption.encrypted_patch_size)
    return np.rint(tiled.mean(axis=(1, 3))).astype(np.uint8)


def tile(encrypted: np.ndarray, encryption: Encryption) -> np.ndarray:
    """Repeat every mixed patch in place of each of its sub-patches: the image of least energy that fits.

    Args:
        encrypted: uint8 (height, width, channels) from `MixingUp`.
        encryption: the settings.

    Returns:
        float64 (height * grid, width * grid, channels).

    Example:
        >>> from hipmr_hf import MixingUp
        >>> tile(np.zeros((16, 24, 3), np.uint8), MixingUp(patch_size=16)).shape
        (32, 48, 3)
    """
    grid = encryption.sub_patch_grid
    tiled = _patches(encrypted.astype(np.float64), encryption.encrypted_patch_size)
    rows, size, cols, _, channels = tiled.shape
    repeated = np.tile(tiled, (1, grid, 1, grid, 1))
    return repeated.reshape(rows * size * grid, cols * size * grid, channels)


def project(guess: np.ndarray, encrypted: np.ndarray, encryption: Encryption) -> np.ndarray:
    """Move a guess by the least that makes it encrypt to what was seen.

    Args:
        guess: float (height * grid, width * grid, channels).
        encrypted: (height, width, channels).
        encryption: the settings.

    Returns:
        float, like the guess.

    Example:
        >>> from hipmr_hf import MixingUp
        >>> settings, seen = MixingUp(patch_size=4), np.full((2, 2, 1), 9.0)
        >>> project(np.zeros((4, 4, 1)), seen, settings).mean()
        np.float64(9.0)
    """
    return guess + tile(encrypted - _mix(guess, encryption), encryption)


def _mix(plain: np.ndarray, encryption: Encryption) -> np.ndarray:
    grid, size = encryption.sub_patch_grid, encryption.encrypted_patch_size
    rows, cols = plain.shape[0] // (grid * size), plain.shape[1] // (grid * size)
    tiled = plain.reshape(rows, grid, size, cols, grid, size, -1)
    return tiled.mean(axis=(1, 4)).reshape(rows * size, cols * size, -1)


def _patches(image: np.ndarray, size: int) -> np.ndarray:
    """View an image as (rows, size, cols, size, channels)."""
    height, width, channels = image.shape
    return image.reshape(height // size, size, width // size, size, channels)


def total_variation_inversion(
    encrypted: np.ndarray,
    encryption: Encryption,
    *,
    steps: int = 100,
    strength: float = 40.0,
    final_strength: float = 1.0,
) -> np.ndarray:
    """Look for the image of small total variation among all that encrypt to what was seen.

    Args:
        encrypted: uint8 (height, width, channels) from `MixingUp` without symmetries or normalisation.
        encryption: the settings.
        steps: rounds of one proximal map and one exact projection.
        strength: weight of the total variation in the first round, in grey levels.
        final_strength: weight in the last round; it falls geometrically in between.

    Returns:
        uint8 (height * grid, width * grid, channels).

    Example:
        >>> from hipmr_hf import MixingUp
        >>> settings = MixingUp(patch_size=8)
        >>> total_variation_inversion(np.full((8, 8, 3), 50, np.uint8), settings, steps=2)[0, 0].tolist()
        [50, 50, 50]
    """
    guess = tile(encrypted, encryption)
    dual = np.zeros((2, *guess.shape))
    for step in range(steps):
        weight = strength * (final_strength / strength) ** (step / max(1, steps - 1))
        smooth, dual = _proximal_tv(guess, weight, dual)
        guess = project(smooth, encrypted.astype(np.float64), encryption)
    return np.rint(np.clip(guess, 0, 255)).astype(np.uint8)


def _proximal_tv(
    image: np.ndarray, weight: float, dual: np.ndarray, iterations: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """Chambolle's dual iteration, started from the last dual; colour channels share their edges."""
    for _ in range(iterations):
        step = _gradient(_divergence(dual) - image / weight)
        norm = np.sqrt(np.square(step).sum(axis=(0, 3), keepdims=True))
        dual = (dual + _DUAL_STEP * step) / (1 + _DUAL_STEP * norm)
    return image - weight * _divergence(dual), dual


def _gradient(image: np.ndarray) -> np.ndarray:
    slopes = np.zeros((2, *image.shape))
    slopes[0, :-1] = image[1:] - image[:-1]
    slopes[1, :, :-1] = image[:, 1:] - image[:, :-1]
    return slopes


def _divergence(dual: np.ndarray) -> np.ndarray:
    result = dual[0] + dual[1]
    result[1:] -= dual[0, :-1]
    result[:, 1:] -= dual[1, :, :-1]
    return result


def invert_mixing(
    encrypted: np.ndarray, encryption: Encryption, plain: np.ndarray | None = None, *, steps: int = 100
) -> AttackResult:
    """Attack one MI image with the total-variation prior, and score it beside `tile`.

    Args:
        encrypted: uint8 (height, width, channels) from `MixingUp`.
        encryption: the settings.
        plain: uint8 plain image as `encryption.prepare` makes it, for scores.
        steps: as in `total_variation_inversion`; 0 only tiles.

    Returns:
        Scores psnr, ssim (dB; -1 to 1) and shift-aligned; "chance" is one grey, the image's mean.

    Raises:
        ValueError: settings under which patches leave their places, or a mean that is not plain.

    Example:
        >>> from hipmr_hf import MixingUp
        >>> invert_mixing(np.zeros((16, 16, 3), np.uint8), MixingUp(patch_size=16)).reconstruction.shape
        (32, 32, 3)
    """
    _check_settings(encryption)
    started = time.process_time()
    if steps:
        found = total_variation_inversion(encrypted, encryption, steps=steps)
    else:
        found = np.rint(tile(encrypted, encryption)).astype(np.uint8)
    seconds = time.process_time() - started
    name = "mixing_inversion (total variation)" if steps else "mixing_inversion (tile)"
    result = {"effort": {"steps": steps}}
    if plain is not None:
        grey = np.broadcast_to(encrypted.mean(axis=(0, 1)), plain.shape)
        result |= {"scores": image_similarity(found, plain), "chance": image_similarity(grey, plain)}
    return AttackResult(name, found, seconds, **result)


def _check_settings(encryption: Encryption) -> None:
    if encryption.strategy != "mi" or encryption.sub_patch_symmetries or encryption.patch_normalization:
        raise InputValueError(
            f"encryption: got {encryption}, expected MixingUp without sub_patch_symmetries and "
            "patch_normalization; with them the mean is no longer a known linear map of the image."
        )
