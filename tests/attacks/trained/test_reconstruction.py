"""Pictures of a kind that was learned are regressed from their shuffled patches; noise is not."""

import numpy as np
import pytest

from hipmr_hf.attacks.base import encrypt_with_truth
from hipmr_hf.attacks.trained.reconstruction import train_reconstruction
from hipmr_hf.attacks.trained.training_crops import TrainingCrops
from hipmr_hf.encryption import MixingUp, RandomShuffling

SIZE = 32
SHUFFLED = RandomShuffling(image_size=SIZE, patch_size=8)


def ramps(count: int, seed: int) -> np.ndarray:
    """Brightness rises to the right, redness downwards, by different amounts."""
    random = np.random.default_rng(seed)
    rows, cols = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    pictures = []
    for _ in range(count):
        grey = random.uniform(10, 130) + random.uniform(40, 80) * cols
        red = random.uniform(20, 40) * rows
        pictures.append(np.stack([grey + red, grey, grey], axis=2).astype(np.uint8))
    return np.stack(pictures)


def noise(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


def gain(encryption, learned: np.ndarray, attacked: np.ndarray, steps: int) -> float:
    """PSNR above chance, in dB, the mean over pictures."""
    crops = TrainingCrops(learned, (SIZE, SIZE), aligned=True)
    attacker = train_reconstruction(encryption, crops, cpu_seconds=60, max_steps=steps)
    assert attacker.effort["steps"] == steps, "this machine was too slow to train as far as the test needs"
    encrypted = encrypt_with_truth(encryption, attacked).images
    results = [attacker(image, plain) for image, plain in zip(encrypted, attacked, strict=True)]
    return float(np.mean([result.scores["psnr"] - result.chance["psnr"] for result in results]))


@pytest.mark.parametrize(
    "encryption", [SHUFFLED, MixingUp(image_size=SIZE, patch_size=8)], ids=["shuffled", "mixed"]
)
def test_pictures_of_a_known_kind_come_back(encryption):
    assert gain(encryption, ramps(40, seed=0), ramps(4, seed=1), steps=150) > 2


def test_noise_does_not_come_back():
    assert gain(SHUFFLED, noise(20, seed=0), noise(4, seed=1), steps=10) < 0.5


@pytest.mark.parametrize(
    "encryption",
    [
        RandomShuffling(image_size=SIZE, patch_size=8, interval=2, drop_ratio=0.5),
        RandomShuffling(image_size=SIZE, patch_size=8, sub_patch_grid=2, patch_normalization=True),
        MixingUp(image_size=SIZE, patch_size=16, sub_patch_grid=4, sub_patch_symmetries=True),
    ],
    ids=["interval-drop", "both-normalized", "mixed-symmetries"],
)
def test_every_setting_gives_a_picture_of_the_plain_size(encryption):
    crops = TrainingCrops(ramps(2, seed=0), (SIZE, SIZE), aligned=True)

    attacker = train_reconstruction(encryption, crops, cpu_seconds=60, max_steps=2)

    assert attacker(encryption(ramps(1, seed=1)[0])).reconstruction.shape == (SIZE, SIZE, 3)


def test_an_image_of_another_size_is_refused():
    crops = TrainingCrops(ramps(2, seed=0), (SIZE, SIZE), aligned=True)
    attacker = train_reconstruction(SHUFFLED, crops, cpu_seconds=60, max_steps=1)

    with pytest.raises(ValueError, match="trained for"):
        attacker(np.zeros((64, 64, 3), np.uint8))


def test_validation_images_follow_the_training():
    crops = TrainingCrops(ramps(2, seed=0), (SIZE, SIZE), aligned=True)

    attacker = train_reconstruction(SHUFFLED, crops, cpu_seconds=60, max_steps=5, validation=crops)

    assert [point["step"] for point in attacker.curve] == [1, 2, 3, 4, 5]
    assert all(point["psnr"] > 0 for point in attacker.curve)
