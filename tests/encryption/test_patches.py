import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hipmr_hf.encryption import patches


def random_images(batch: int, rows: int, cols: int, patch_size: int, channels: int = 3) -> np.ndarray:
    generator = np.random.default_rng(0)
    shape = (batch, rows * patch_size, cols * patch_size, channels)
    return generator.integers(0, 256, shape, dtype=np.uint8)


def cut(image: np.ndarray, row: int, col: int, size: int) -> np.ndarray:
    return image[row * size : (row + 1) * size, col * size : (col + 1) * size]


@pytest.mark.parametrize("interval", [0, 2, 4])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_each_patch_of_the_mosaic_is_the_named_one_eroded_on_all_sides(interval, channels):
    images = random_images(3, 2, 4, 6, channels)
    positions = np.random.default_rng(1).permuted(np.tile(np.arange(8), (3, 1)), axis=1).reshape(3, 4, 2)

    mosaics = patches.gather_patches(images, positions, patch_size=6, interval=interval)

    kept, margin = 6 - interval, interval // 2
    assert mosaics.shape == (3, 4 * kept, 2 * kept, channels)
    for b, r, c in np.ndindex(3, 4, 2):
        source = cut(images[b], *divmod(positions[b, r, c], 4), 6)
        expected = source[margin : margin + kept, margin : margin + kept]
        np.testing.assert_array_equal(cut(mosaics[b], r, c, kept), expected)


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.integers(1, 9), st.data())
def test_a_gather_undone_by_the_inverse_permutation_is_the_image(batch, rows, cols, patch_size, data):
    images = random_images(batch, rows, cols, patch_size)
    seed = data.draw(st.integers(0, 2**32 - 1))
    numbers = np.tile(np.arange(rows * cols), (batch, 1))
    order = np.random.default_rng(seed).permuted(numbers, axis=1)

    shuffled = patches.gather_patches(images, order.reshape(batch, rows, cols), patch_size=patch_size)
    back = np.argsort(order, axis=1).reshape(batch, rows, cols)

    np.testing.assert_array_equal(patches.gather_patches(shuffled, back, patch_size=patch_size), images)


@pytest.mark.parametrize("interval", [0, 2, 6])
def test_erosion_equals_gathering_every_patch_in_place(interval):
    images = random_images(2, 3, 2, 8)
    in_place = np.tile(np.arange(6).reshape(3, 2), (2, 1, 1))

    eroded = patches.erode_patches(images, patch_size=8, interval=interval)

    expected = patches.gather_patches(images, in_place, patch_size=8, interval=interval)
    np.testing.assert_array_equal(eroded, expected)


@pytest.mark.parametrize("symmetry", range(8))
def test_a_turned_sub_patch_is_one_of_the_eight_symmetries_and_can_be_undone(symmetry):
    image = random_images(1, 1, 1, 4)
    turns = np.full((1, 1, 1, 1, 1), symmetry)

    turned = patches.turn_sub_patches(image, turns, patch_size=4, grid=1)

    square = image[0]
    eight = [np.rot90(flip, k) for flip in (square, square[:, ::-1]) for k in range(4)]
    assert sum(np.array_equal(turned[0], other) for other in eight) == 1
    undone = patches.turn_sub_patches(turned, patches.inverse_turns(turns), patch_size=4, grid=1)
    np.testing.assert_array_equal(undone, image)


def test_the_eight_symmetries_are_all_different():
    image = random_images(1, 1, 1, 4)
    turned = {
        patches.turn_sub_patches(image, np.full((1, 1, 1, 1, 1), s), patch_size=4, grid=1).tobytes()
        for s in range(8)
    }
    assert len(turned) == 8


def test_each_sub_patch_follows_its_own_turn():
    images = random_images(2, 2, 3, 8)
    turns = np.random.default_rng(2).integers(0, 8, (2, 2, 3, 2, 2))

    turned = patches.turn_sub_patches(images, turns, patch_size=8, grid=2)

    for b, r, c, i, j in np.ndindex(turns.shape):
        before = cut(cut(images[b], r, c, 8), i, j, 4)[None]
        alone = np.full((1, 1, 1, 1, 1), turns[b, r, c, i, j])
        expected = patches.turn_sub_patches(before, alone, patch_size=4, grid=1)[0]
        np.testing.assert_array_equal(cut(cut(turned[b], r, c, 8), i, j, 4), expected)


@pytest.mark.parametrize("grid", [2, 3, 4])
def test_the_mix_is_within_half_a_grey_level_of_the_mean(grid):
    images = random_images(2, 2, 3, 12)
    side = 12 // grid
    tiled = images.reshape(2, 2, grid, side, 3, grid, side, 3).astype(np.float64)
    exact = tiled.mean(axis=(2, 5)).reshape(2, 2 * side, 3 * side, 3)

    sums = patches.sum_sub_patches(images, patch_size=12, grid=grid)
    mixed = patches.mean_of_sub_patches(sums, grid=grid)

    np.testing.assert_array_equal(sums, (exact * grid * grid).round())
    assert np.abs(mixed - exact).max() <= 0.5


def test_white_does_not_overflow_with_the_largest_grid():
    white = np.full((1, 16, 16, 1), 255, np.uint8)
    sums = patches.sum_sub_patches(white, patch_size=16, grid=16)
    assert patches.mean_of_sub_patches(sums, grid=16).item() == 255


def test_normalization_follows_the_formula_per_patch_and_channel():
    images = random_images(2, 2, 2, 8)
    grid = images.reshape(2, 2, 8, 2, 8, 3).astype(np.float64)
    mean, std = grid.mean(axis=(2, 4), keepdims=True), grid.std(axis=(2, 4), keepdims=True)
    exact = (128 + 40 * (grid - mean) / (std + 8)).clip(0, 255).reshape(images.shape)

    normalized = patches.normalize_patches(images, patch_size=8, count=1)

    assert np.abs(normalized - exact).max() <= 0.5 + 1e-3


@given(st.integers(1, 30), st.integers(1, 30), st.data())
def test_a_mosaic_holds_exactly_the_kept_patches(rows, cols, data):
    kept = data.draw(st.integers(1, rows * cols))
    mosaic_rows, mosaic_cols = patches.mosaic_shape(kept, rows, cols)
    assert mosaic_rows * mosaic_cols == kept
