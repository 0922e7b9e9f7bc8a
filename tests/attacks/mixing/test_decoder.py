"""A learned decoder keeps what was seen exactly, and adds to the prior what other pictures teach."""

import numpy as np
import pytest
import torch

from hipmr_hf.attacks.base import encrypt_with_truth
from hipmr_hf.attacks.mixing.decoder import _MixingNetwork, train_mixing_decoder
from hipmr_hf.attacks.mixing.inversion import invert_mixing, tile
from hipmr_hf.attacks.trained.training_crops import TrainingCrops
from hipmr_hf.encryption import MixingUp, RandomShuffling

SIZE = 32
LINEAR = MixingUp(image_size=SIZE, patch_size=8)


def stripes(count: int, seed: int) -> np.ndarray:
    """Fine stripes of one direction on flat ground in the upper left of every patch: no prior knows that."""
    random = np.random.default_rng(seed)
    cell = np.zeros((8, 8))
    cell[:4, :4] = np.tile([[1, -1], [-1, 1]], (2, 2))
    pattern = np.tile(cell, (SIZE // 8, SIZE // 8))[..., None]
    level, height = random.uniform(80, 170, (count, 1, 1, 3)), random.uniform(20, 60, (count, 1, 1, 1))
    return (level + height * pattern).astype(np.uint8)


def trained(encryption, pictures: np.ndarray, steps: int):
    crops = TrainingCrops(pictures, (SIZE, SIZE), aligned=True)
    return train_mixing_decoder(encryption, crops, cpu_seconds=60, max_steps=steps)


def test_what_other_pictures_teach_beats_the_prior():
    decoder = trained(LINEAR, stripes(20, seed=0), steps=20)
    plain = stripes(1, seed=1)[0]

    learned = decoder(LINEAR(plain), plain)
    prior = invert_mixing(LINEAR(plain), LINEAR, plain)

    assert learned.scores["psnr"] > prior.scores["psnr"] + 2


def test_noise_cannot_be_decoded():
    noise = np.random.default_rng(0).integers(0, 256, (9, SIZE, SIZE, 3), dtype=np.uint8)

    result = trained(LINEAR, noise[:8], steps=10)(LINEAR(noise[8]), noise[8])

    assert result.scores["psnr"] < result.chance["psnr"] + 2  # the mean of four is known, and no more


def test_what_comes_back_encrypts_to_what_was_seen(photo):
    decoder = trained(LINEAR, stripes(2, seed=0), steps=2)
    encrypted = LINEAR(photo)

    again = LINEAR(decoder(encrypted).reconstruction)

    assert np.abs(again.astype(int) - encrypted).mean() < 1  # clipping and rounding


def test_the_network_tiles_and_mixes_as_the_encryption_does():
    network = _MixingNetwork(LINEAR, 3)
    plain = torch.randn(1, 3, 16, 24)
    mixed = plain.reshape(1, 3, 2, 2, 4, 3, 2, 4).mean(dim=(3, 6)).reshape(1, 3, 8, 12)

    torch.testing.assert_close(network.mix(plain), mixed)
    expected = tile(mixed[0].permute(1, 2, 0).numpy(), LINEAR)
    np.testing.assert_allclose(network.tile(mixed)[0].permute(1, 2, 0).numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "encryption",
    [
        MixingUp(patch_size=16, sub_patch_symmetries=True),
        MixingUp(patch_size=14, patch_normalization=True),
        MixingUp(patch_size=8, sub_patch_grid=4),
    ],
    ids=["symmetries", "normalization", "grid-4"],
)
def test_every_setting_and_image_size_is_decoded(encryption):
    picture = np.zeros((56, 112, 3), np.uint8)
    crops = TrainingCrops([picture], (112, 112))

    decoder = train_mixing_decoder(encryption, crops, cpu_seconds=60, max_steps=1)

    found = decoder(encrypt_with_truth(encryption, encryption.prepare(picture)[None]).images[0])
    assert found.reconstruction.shape == encryption.prepare(picture).shape


def test_shuffled_images_are_refused():
    with pytest.raises(TypeError, match="expected MixingUp"):
        trained(RandomShuffling(image_size=SIZE, patch_size=8), stripes(1, seed=0), steps=1)
