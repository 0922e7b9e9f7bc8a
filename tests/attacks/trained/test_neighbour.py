"""The trained neighbour attack finds neighbours on smooth images within seconds, and nothing in noise."""

import pickle

import numpy as np
import pytest
import torch

from hipmr_hf.attacks.base import encrypt_with_truth, split_mosaic
from hipmr_hf.attacks.jigsaw.pair_scores import PairWeights
from hipmr_hf.attacks.trained.learned_pairs import PairNetwork
from hipmr_hf.attacks.trained.neighbour import train_neighbour
from hipmr_hf.attacks.trained.neighbour_network import NeighbourNetwork
from hipmr_hf.attacks.trained.neighbour_puzzles import make_puzzles, mean_top1
from hipmr_hf.attacks.trained.training_crops import TrainingCrops
from hipmr_hf.encryption import MixingUp, RandomShuffling

SETTINGS = RandomShuffling(image_size=64, patch_size=16, interval=4)
CHANCE = 1 / 15


def smooth_images(count, seed):
    """Plane waves of random direction and colour: neighbours resemble each other, nothing else does."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:64, :64][..., None] / 64
    waves = [
        np.sin(2 * np.pi * (rng.normal(size=3) * rows + rng.normal(size=3) * cols + rng.random(3)))
        for _ in range(count)
    ]
    return [np.rint(127.5 + 100 * wave).astype(np.uint8) for wave in waves]


def noise_images(count, seed):
    return list(np.random.default_rng(seed).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8))


def trained(images, encryption=SETTINGS, **options):
    crops = TrainingCrops(images, (64, 64))
    return train_neighbour(encryption, crops, **{"cpu_seconds": 60, "max_steps": 25, **options})


@pytest.fixture(scope="module")
def attacker():
    return trained(smooth_images(20, seed=0))


def top1(attacker, images):
    puzzles = make_puzzles(attacker.encryption, np.stack(images))
    return mean_top1(lambda i: attacker.scores(puzzles.pieces[i].numpy()), puzzles)


def test_neighbours_in_smooth_images_are_found(attacker):
    assert top1(attacker, smooth_images(10, seed=1)) > 0.6


def test_the_network_learns_by_itself_what_neighbours_look_like(attacker):
    alone = [point["top1"] for point in attacker.curve[:2]]  # before any handcrafted score came in
    assert max(alone) > 4 * CHANCE


def test_noise_stays_at_chance():
    attacker = trained(noise_images(10, seed=0), max_steps=5)

    assert top1(attacker, noise_images(20, seed=1)) < 2 * CHANCE  # 480 pairs: .067 +- .011


def test_the_order_of_the_patches_does_not_matter(attacker):
    pieces = make_puzzles(SETTINGS, np.stack(smooth_images(1, seed=2))).pieces[0].numpy()
    order = np.random.default_rng(0).permutation(16)

    scores, reordered = attacker.scores(pieces), attacker.scores(pieces[order])

    np.testing.assert_allclose(reordered, scores[:, order][:, :, order], atol=0.05)


def test_patches_turned_as_a_whole_score_alike_under_symmetries():
    """Random turns of sub-patches make a patch as likely as its own turns: the network reads them alike."""
    network = NeighbourNetwork(8, 3, symmetric=True)
    pieces = torch.randint(0, 256, (1, 5, 8, 8, 3), dtype=torch.uint8)

    with torch.no_grad():
        upright, turned = network(pieces), network(torch.rot90(pieces, 1, (2, 3)).flip(2))

    torch.testing.assert_close(upright, turned, atol=0.05, rtol=0)


def test_a_seed_gives_the_same_attacker(attacker):
    """Permutations are fresh in every run, but the order of the patches changes rounding alone."""
    images = smooth_images(6, seed=3)
    first, again, other = (trained(images, max_steps=3, seed=seed) for seed in (1, 1, 2))
    pieces = make_puzzles(SETTINGS, np.stack(images[:1])).pieces[0].numpy()

    np.testing.assert_allclose(again.scores(pieces), first.scores(pieces), atol=0.1)
    assert np.abs(other.scores(pieces) - first.scores(pieces)).max() > 0.1


def test_the_solver_gets_the_scores_and_the_result_tells_the_effort(attacker):
    plain = smooth_images(1, seed=4)[0]
    sample = encrypt_with_truth(SETTINGS, plain[None])

    result = attacker(sample.images[0], sample.positions[0])

    assert result.attack == "neighbour" and result.reconstruction.shape == (48, 48, 3)
    assert result.scores["neighbour"] > 0.4 and result.chance["neighbour"] < 0.1
    assert result.effort["steps"] and result.effort["source_images"] == 20 and result.effort["rounds"]
    assert [point["step"] for point in attacker.curve] == sorted(point["step"] for point in attacker.curve)


def test_an_attacker_survives_pickling(attacker):
    pieces = split_mosaic(SETTINGS(smooth_images(1, seed=5)[0]), 12)

    copy = pickle.loads(pickle.dumps(attacker))

    np.testing.assert_allclose(copy.scores(pieces), attacker.scores(pieces), atol=1e-3)


def test_progress_reaches_the_end():
    told = []
    trained(smooth_images(2, seed=0), max_steps=2, progress=lambda fraction, text: told.append(fraction))

    assert told == sorted(told) and told[-1] == 1.0


def test_candidates_alone_get_a_closer_look():
    """A pair that is far from the best of its row and column keeps its first score."""
    torch.manual_seed(0)
    pairs = PairNetwork(NeighbourNetwork(4, 3), PairWeights(("border",), (1.0, 0.0)))
    torch.nn.init.ones_(pairs.judging[-1].weight)
    pieces = torch.randint(0, 256, (40, 4, 4, 3), dtype=torch.uint8)
    features = torch.randn(2, 2, 40, 40)

    with torch.no_grad():
        close = pairs(pieces, features)
        torch.nn.init.zeros_(pairs.judging[-1].weight)
        torch.nn.init.zeros_(pairs.judging[-1].bias)
        first = pairs(pieces, features)

    changed = (close - first).abs() > 1e-4
    assert 0.3 < changed.float().mean() < 0.6  # the best 12 of 40, by row or by column


def test_settings_without_a_puzzle_are_refused():
    with pytest.raises(TypeError, match="expected RandomShuffling"):
        trained(smooth_images(1, seed=0), MixingUp(patch_size=16))
    with pytest.raises(ValueError, match="cpu_seconds: got 0"):
        trained(smooth_images(1, seed=0), cpu_seconds=0)
