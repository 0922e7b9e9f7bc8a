"""Add up the evidence of many images: fatal if they share one permutation, worthless if they do not.

This is the positive control of the key design: with a permutation reused, pair scores of different images
speak of the same pairs and their log-odds add up; with a fresh permutation for each image (what the
encryption does) the sum must score like chance. Tracking one puzzle over many pictures is the attack that
Chuman, Kurihara, Kiya, "On the security of block scrambling-based EtC systems against jigsaw puzzle solver
attacks", ICASSP 2017, warn of.
"""

import dataclasses
import time

import numpy as np

from ...errors import InputValueError
from ..base import split_mosaic
from .pair_scores import pair_scores
from .solver import JigsawAttack, JigsawResult
from .weights import weights_for


def combined_scores(attack: JigsawAttack, images: np.ndarray) -> np.ndarray:
    """Average pair scores over images as if all were shuffled alike, and restore the scale of certainty.

    Args:
        attack: the jigsaw attack, whose settings and weights are used.
        images: uint8 (num_images, height, width, channels), encrypted.

    Returns:
        float32 (2, num_patches, num_patches): sums of log-odds. Evidence of different images is independent
        given the permutation, so log-odds add up; negative evidence is cut at -2 an image, because a border
        in one image is no proof against a pair.

    Example:
        >>> from hipmr_hf.encryption import RandomShuffling
        >>> attack = JigsawAttack(RandomShuffling(image_size=32, patch_size=16))
        >>> combined_scores(attack, np.zeros((3, 32, 32, 3), np.uint8)).shape
        (2, 4, 4)
    """
    weights = attack.weights or weights_for(attack.encryption)
    size = attack.encryption.encrypted_patch_size
    return sum(np.maximum(pair_scores(split_mosaic(image, size), weights), -2.0) for image in images)


def attack_shared_permutation(
    attack: JigsawAttack, images: np.ndarray, truth: np.ndarray | None = None
) -> JigsawResult:
    """Recover one permutation from all images, and show the first image put in order.

    Args:
        attack: the jigsaw attack to feed.
        images: uint8 (num_images, height, width, channels), encrypted with the same settings.
        truth: (num_patches,) true cells of the first image's patches, for scores.

    Returns:
        The jigsaw result; `effort["images"]` tells how many images were used.

    Raises:
        ValueError: no images.

    Example:
        >>> from hipmr_hf.encryption import RandomShuffling
        >>> attack = JigsawAttack(RandomShuffling(image_size=32, patch_size=16), rounds=1, steps=10)
        >>> attack_shared_permutation(attack, np.zeros((3, 32, 32, 3), np.uint8)).effort["images"]
        3
    """
    if not len(images):
        raise InputValueError("images: got none, expected one or more encrypted images.")
    started = time.process_time()
    scores = combined_scores(attack, images)
    pieces = split_mosaic(images[0], attack.encryption.encrypted_patch_size)
    result = attack.assemble(pieces, scores, truth, started=started)
    return dataclasses.replace(
        result, attack="shared_permutation", effort=result.effort | {"images": len(images)}
    )
