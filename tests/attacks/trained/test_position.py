"""A position network places patches of aligned content far better than chance, and noise not at all."""

import pickle

import numpy as np
import pytest

from hipmr_hf.attacks.base import encrypt_with_truth, grid_shape, split_mosaic
from hipmr_hf.attacks.jigsaw.solver import JigsawAttack
from hipmr_hf.attacks.trained.position import train_position
from hipmr_hf.attacks.trained.training_crops import TrainingCrops
from hipmr_hf.encryption import MixingUp, RandomShuffling

SIZE = 64
SETTINGS = RandomShuffling(image_size=SIZE, patch_size=16, interval=8)


def portraits(count: int, seed: int) -> list[np.ndarray]:
    """Light from the top left, a bright head in the middle, clothes below: all a little different."""
    random = np.random.default_rng(seed)
    rows, cols = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    pictures = []
    for _ in range(count):
        head = np.exp(-(((rows - 0.4) / 0.2) ** 2 + ((cols - 0.5) / 0.15) ** 2))
        clothes = 1 / (1 + np.exp(-40 * (rows - 0.75)))
        grey = 40 + 60 * cols + 40 * rows + 90 * head - 30 * clothes + random.normal(0, 6, (SIZE, SIZE))
        colours = grey[..., None] * random.uniform(0.9, 1.1, 3)
        pictures.append(colours.clip(0, 255).astype(np.uint8))
    return pictures


def noise(count: int, seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8) for _ in range(count)]


def trained(pictures: list[np.ndarray], steps: int):
    crops = TrainingCrops(pictures, (SIZE, SIZE), aligned=True)
    return train_position(SETTINGS, crops, cpu_seconds=30, max_steps=steps)


@pytest.fixture(scope="module")
def attacker():
    return trained(portraits(60, seed=0), steps=120)


def direct(attacker, pictures: list[np.ndarray]) -> float:
    sample = encrypt_with_truth(SETTINGS, np.stack(pictures))
    results = [attacker(image, truth) for image, truth in zip(sample.images, sample.positions, strict=True)]
    return float(np.mean([result.scores["direct"] for result in results]))


def test_patches_of_aligned_pictures_are_put_in_place(attacker):
    assert direct(attacker, portraits(8, seed=1)) > 5 / 16  # five times chance


def test_noise_stays_at_chance():
    assert direct(trained(noise(20, seed=0), steps=10), noise(20, seed=1)) < 0.2


def test_places_help_the_solver_where_a_gap_hides_the_borders(attacker):
    """At an interval of half the patch the solver alone finds little of the order."""
    sample = encrypt_with_truth(SETTINGS, np.stack(portraits(4, seed=2)))
    solver, alone, helped = JigsawAttack(SETTINGS, rounds=1, steps=500), [], []
    for image, truth in zip(sample.images, sample.positions, strict=True):
        pieces = split_mosaic(image, SETTINGS.encrypted_patch_size)
        unary = attacker.log_probabilities(pieces)
        alone.append(solver(image, truth).scores["direct"])
        helped.append(solver(image, truth, unary=unary).scores["direct"])

    assert np.mean(helped) > np.mean(alone) + 0.1


def test_log_probabilities_do_not_depend_on_the_order_of_the_patches(attacker):
    pieces = split_mosaic(SETTINGS(portraits(1, seed=3)[0]), SETTINGS.encrypted_patch_size)
    scores = attacker.log_probabilities(pieces)

    np.testing.assert_allclose(attacker.log_probabilities(pieces[::-1]), scores[::-1], atol=1e-3)
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, rtol=1e-4)
    assert scores.shape == (16, 16) and scores.dtype == np.float32


def test_the_attacker_tells_its_effort_and_can_be_kept(attacker):
    kept = pickle.loads(pickle.dumps(attacker))
    encrypted = SETTINGS(portraits(1, seed=4)[0])

    assert attacker.effort["steps"] == 120 and attacker.effort["source_images"] == 60
    assert [point["step"] for point in attacker.curve][-1] == 120
    np.testing.assert_array_equal(kept(encrypted).positions, attacker(encrypted).positions)


def test_dropped_patches_leave_cells_empty():
    settings = RandomShuffling(image_size=SIZE, patch_size=16, drop_ratio=0.5)
    crops = TrainingCrops(portraits(4, seed=0), (SIZE, SIZE), aligned=True)
    attack = train_position(settings, crops, cpu_seconds=30, max_steps=2)

    result = attack(settings(portraits(1, seed=1)[0]))

    assert len(np.unique(result.positions)) == 8
    assert result.positions.max() < np.prod(grid_shape(settings))


def test_patches_that_stayed_in_place_are_refused():
    with pytest.raises(TypeError, match="in their places"):
        train_position(MixingUp(image_size=SIZE), TrainingCrops(noise(1, 0), (SIZE, SIZE)), cpu_seconds=1)
