"""Large puzzles: squares of four patches tell which pairs are right, and little annealing mends the rest."""

import numpy as np

from hipmr_hf.attacks.base import encrypt_with_truth, grid_shape, split_mosaic
from hipmr_hf.attacks.jigsaw import assembly, solver
from hipmr_hf.attacks.jigsaw.agreement import agreed_layouts
from hipmr_hf.attacks.jigsaw.annealing import layout_energy
from hipmr_hf.attacks.jigsaw.assembly import greedy_layout, pad_scores
from hipmr_hf.attacks.jigsaw.pair_scores import pair_scores
from hipmr_hf.attacks.jigsaw.solver import JigsawAttack
from hipmr_hf.attacks.jigsaw.weights import weights_for
from hipmr_hf.encryption import RandomShuffling

MANY = RandomShuffling(image_size=168, patch_size=8)


def test_pairs_that_squares_agree_with_make_better_layouts_than_the_surest_ones(photo):
    sample = encrypt_with_truth(MANY, MANY.prepare(photo)[None])
    scores = pair_scores(split_mosaic(sample.images[0], 8), weights_for(MANY))
    shape = grid_shape(MANY)

    agreed = max(layout_energy(grid, scores) for grid in agreed_layouts(scores, shape))
    greedy = max(layout_energy(greedy_layout(scores, shape, threshold=t), scores) for t in solver.THRESHOLDS)

    assert agreed > 1.1 * greedy


def test_a_large_puzzle_is_mended_as_long_as_that_finds_more(photo):
    sample = encrypt_with_truth(MANY, MANY.prepare(photo)[None])

    result = JigsawAttack(MANY)(sample.images[0], sample.positions[0])

    assert MANY.num_patches > solver.MANY
    assert result.scores["neighbour"] > 0.9
    assert result.effort["steps"] <= 0.05 * 3 * 5000 * MANY.num_patches


def test_missing_patches_and_no_pairs_at_all_are_laid_out_too():
    nothing = np.full((2, 5, 5), -1, np.float32)
    for grid in agreed_layouts(nothing, (2, 4)):
        assert sorted(grid[grid >= 0]) == list(range(5))


def test_what_is_filled_in_is_the_best_of_all_that_is_left():
    generator = np.random.default_rng(0)
    for _ in range(5):
        scores = pad_scores(generator.integers(-3, 4, (2, 20, 20)).astype(np.float32))  # with many ties
        unary = generator.integers(0, 2, (20, 24)).astype(np.float32)
        grid, expected = (np.full((4, 6), -1) for _ in range(2))
        grid[1, 2] = expected[1, 2] = 7

        assembly._fill(grid, scores, unary)
        fill_one_by_one(expected, scores, unary)

        np.testing.assert_array_equal(grid, expected)


def fill_one_by_one(grid: np.ndarray, scores: np.ndarray, unary: np.ndarray) -> None:
    free = sorted(set(range(20)) - set(grid.ravel()))
    while free:
        values = {
            (-assembly._value_of_cell(grid, patch, row, col, scores, unary), row, col, patch)
            for row, col in zip(*np.nonzero(grid < 0), strict=True)
            for patch in free
        }
        _, row, col, patch = min(values)
        grid[row, col] = patch
        free.remove(patch)
