"""The jigsaw attack succeeds where borders match and fails where nothing does."""

import numpy as np
import pytest

from hipmr_hf.attacks.base import encrypt_with_truth, join_patches, split_mosaic, true_mosaic
from hipmr_hf.attacks.jigsaw.annealing import anneal, layout_energy
from hipmr_hf.attacks.jigsaw.assembly import greedy_layout
from hipmr_hf.attacks.jigsaw.pair_scores import pair_scores
from hipmr_hf.attacks.jigsaw.solver.solver import JigsawAttack
from hipmr_hf.attacks.jigsaw.weights import weights_for
from hipmr_hf.encryption import MixingUp, RandomShuffling

EASY = RandomShuffling(image_size=140, patch_size=28)


def attacked(encryption, image, **search):
    plain = encryption.prepare(image)
    sample = encrypt_with_truth(encryption, plain[None])
    attack = JigsawAttack(encryption, **{"rounds": 2, "steps": 1000, **search})
    return plain, attack(sample.images[0], sample.positions[0])


def test_large_patches_of_a_photograph_are_put_in_order(photo):
    plain, result = attacked(EASY, photo)

    assert result.scores["neighbour"] > 0.95
    np.testing.assert_array_equal(result.reconstruction, plain)


def test_random_noise_stays_at_chance():
    noise = np.random.default_rng(0).integers(0, 256, (140, 140, 3), dtype=np.uint8)

    _, result = attacked(EASY, noise)

    assert result.scores["neighbour"] < 0.2
    assert result.chance["neighbour"] == pytest.approx(1 / 30)


def test_a_gap_and_missing_patches_weaken_the_attack_but_do_not_stop_it(photo):
    _, gap = attacked(RandomShuffling(image_size=160, patch_size=32, interval=4), photo)
    # Which patches are dropped decides how hard one puzzle of 15 patches is: .73 +- .14, so many are solved.
    dropping = RandomShuffling(image_size=160, patch_size=32, drop_ratio=0.4)
    drops = [attacked(dropping, photo)[1] for _ in range(30)]

    assert gap.scores["neighbour"] > 0.4
    assert np.mean([drop.scores["neighbour"] for drop in drops]) > 0.5
    assert (drops[0].reconstruction == 128).all(axis=2).mean() >= 0.39  # the dropped cells


def test_every_patch_gets_a_cell_of_its_own(photo):
    _, result = attacked(RandomShuffling(image_size=64, patch_size=8, drop_ratio=0.3), photo, steps=100)

    assert len(np.unique(result.positions)) == len(result.positions) == 45


def test_too_short_a_search_is_flagged(photo):
    plain = EASY.prepare(photo)
    sample = encrypt_with_truth(EASY, plain[None])
    attack = JigsawAttack(EASY, rounds=0)
    pieces = split_mosaic(sample.images[0], 28)
    scores = np.full((2, 25, 25), -0.01, np.float32)
    order = np.argsort(sample.positions[0])
    # True neighbours score too little for the greedy start to join them, and there is no search after it.
    scores[0, order[:-1], order[1:]] = 0.5

    result = attack.assemble(pieces, scores, sample.positions[0])

    assert result.search_limited
    assert result.true_energy > result.energy


def test_position_terms_settle_what_borders_cannot(photo):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    settings = RandomShuffling(image_size=64, patch_size=16)
    sample = encrypt_with_truth(settings, noise[None])
    unary = np.full((16, 16), -5, np.float32)
    unary[np.arange(16), sample.positions[0]] = 5

    result = JigsawAttack(settings, rounds=1, steps=500)(sample.images[0], sample.positions[0], unary=unary)

    assert result.scores["direct"] == 1


def test_an_empty_neighbour_counts_nothing():
    scores = np.full((2, 2, 2), -3, np.float32)

    apart = layout_energy(np.array([[0, -1, 1]]), scores)
    together = layout_energy(np.array([[0, 1, -1]]), scores)

    assert (apart, together) == (0, -3)


def test_annealing_keeps_every_patch_and_never_loses_energy():
    rng = np.random.default_rng(0)
    scores = rng.normal(-1, 2, (2, 20, 20)).astype(np.float32)
    start = greedy_layout(scores, (5, 5))

    found = anneal(start, scores, steps=20_000, seed=1)

    assert sorted(found.ravel()) == sorted(start.ravel()) == [-1] * 5 + list(range(20))
    assert layout_energy(found, scores) >= layout_energy(start, scores)


def test_the_same_seed_finds_the_same_layout(photo):
    pieces = split_mosaic(EASY(photo), 28)
    scores = pair_scores(pieces, weights_for(EASY))

    first, second = (
        JigsawAttack(EASY, rounds=1, steps=200, seed=3).assemble(pieces, scores) for _ in range(2)
    )

    np.testing.assert_array_equal(first.positions, second.positions)


def test_patches_joined_at_their_true_places_are_the_plain_image(photo):
    settings = RandomShuffling(image_size=64, patch_size=16, interval=4)
    plain = settings.prepare(photo)
    sample = encrypt_with_truth(settings, plain[None])

    joined = join_patches(split_mosaic(sample.images[0], 12), sample.positions[0], (4, 4))

    np.testing.assert_array_equal(joined, true_mosaic(plain, settings))


def test_settings_that_cannot_be_attacked_are_refused(photo):
    with pytest.raises(TypeError, match="mixing_inversion"):
        JigsawAttack(MixingUp())
    with pytest.raises(ValueError, match="a border needs two"):
        JigsawAttack(RandomShuffling(image_size=8, patch_size=1))
    with pytest.raises(ValueError, match="140x140 from the settings"):
        JigsawAttack(EASY)(photo)


@pytest.mark.slow
def test_the_papers_default_falls_on_kodak(shared):
    """The positive control of every audit: patch 28 without a gap must give Nc > .95."""
    from datasets import load_dataset

    rows = load_dataset("parquet", data_files=str(shared / "data" / "photos_kodak.parquet"), split="train")
    settings = RandomShuffling(image_size=224, patch_size=28)
    found = [attacked(settings, np.asarray(rows[i]["image"]))[1].scores["neighbour"] for i in (2, 4, 6)]

    assert np.mean(found) > 0.95
