"""Orders that stand still: which are refused, how often that matters, and that nothing else has moved."""

import math
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from hipmr_hf import MixingUp, RandomShuffling, SecretKey, Sides, new_nonce
from hipmr_hf.encryption import keys, orders

KEY = SecretKey(bytes(range(32)))
DRAWS = 100_000


def chance_of(count: int, still: int) -> Fraction:
    """Chance that a random order of `count` leaves `still` or more in place."""

    def derangements(n: int) -> int:
        return sum((-1) ** i * (math.factorial(n) // math.factorial(i)) for i in range(n + 1))

    ways = sum(math.comb(count, i) * derangements(count - i) for i in range(still, count + 1))
    return Fraction(ways, math.factorial(count))


def nonces(count: int) -> list[bytes]:
    return [i.to_bytes(16, "little") for i in range(count)]


def drawn(encryption, rows: int, cols: int, *, keyed: bool, count: int = DRAWS):
    given = (KEY, nonces(count)) if keyed else (None, None)
    return encryption._draw(count, rows, cols, *given)


def test_the_bound_is_the_first_at_which_chance_is_below_2_to_the_minus_40():
    for count in range(3, 60):
        both_orders = 2 * chance_of(count, count // 2 + 1)
        assert (both_orders < Fraction(1, 2**40)) == (count >= orders.FEW_PATCHES)
        assert chance_of(count, count // 2 + 1) <= Fraction(1, math.factorial(count // 2 + 1))


@pytest.mark.parametrize(("rows", "cols"), [(1, 3), (2, 2), (1, 5), (2, 3)])
@pytest.mark.parametrize("keyed", [False, True])
def test_no_order_stands_still_and_all_others_are_as_likely_as_each_other(rows, cols, keyed):
    encryption, count = RandomShuffling(image_size=(rows * 4, cols * 4), patch_size=4), rows * cols
    found = drawn(encryption, rows, cols, keyed=keyed).permutations
    still = (found == np.arange(count)).sum(axis=1)
    assert still.max() <= count // 2
    _, counts = np.unique(found @ (count ** np.arange(count)), return_counts=True)
    allowed = [o for o in permutations(range(count)) if sum(i == j for i, j in enumerate(o)) <= count // 2]
    assert len(counts) == len(allowed)
    assert chisquare(counts).pvalue > 1e-6


@pytest.mark.parametrize(
    ("encryption", "rows", "cols"),
    [
        (RandomShuffling(image_size=8, patch_size=4, shuffle_tones=True), 2, 2),
        (RandomShuffling(image_size=12, patch_size=4, drop_ratio=0.5, shuffle_tones=True), 3, 3),
        (RandomShuffling(image_size=8, patch_size=4, drop_ratio=0.5), 2, 2),
        (MixingUp(patch_size=4, shuffle_tones=True), 1, 3),
        (MixingUp(image_size=Sides(8), patch_size=4, sub_patch_symmetries=True, shuffle_tones=True), 2, 3),
    ],
)
@pytest.mark.parametrize("keyed", [False, True])
def test_neither_patches_nor_tones_stand_still(encryption, rows, cols, keyed):
    draw = drawn(encryption, rows, cols, keyed=keyed, count=20_000)
    count = rows * cols
    kept, textures = count, np.arange(count)[None]
    if draw.permutations is not None:
        kept = encryption.num_patches
        textures = draw.permutations[:, :kept]
        assert (textures == np.arange(kept)).sum(axis=1).max() <= kept // 2
    if draw.tones is not None:
        order = encryption._order_of_tones(draw)
        own = np.take_along_axis(order, np.broadcast_to(textures, (len(order), kept)), axis=1) == textures
        assert own.sum(axis=1).max() <= kept // 2


def test_what_is_drawn_again_are_the_next_bytes_of_the_stream():
    """Told step by step, so that another program can follow: a picture in a browser, for one."""
    encryption = RandomShuffling(image_size=8, patch_size=4, sub_patch_symmetries=True, shuffle_tones=True)
    draw = drawn(encryption, 2, 2, keyed=True, count=300)
    (stream_info, again) = (encryption._stream_info(), 0)
    for i, nonce in enumerate(nonces(300)):
        stream = KEY.streams([nonce], stream_info, 10_000)[0].tobytes()

        def order(start: int, stream: bytes = stream) -> list[int]:
            words = [int.from_bytes(stream[start + 8 * j : start + 8 * j + 8], "little") for j in range(4)]
            return sorted(range(4), key=words.__getitem__)

        patches, turns, tones, end = order(0), list(stream[32:36]), order(36), 68
        while sum(patches[j] == j for j in range(4)) > 2 or sum(patches[j] == tones[j] for j in range(4)) > 2:
            patches, tones, end, again = order(end), order(end + 32), end + 64, again + 1
        assert draw.permutations[i].tolist() == patches and draw.tones[i].tolist() == tones
        assert draw.turns[i].ravel().tolist() == [turn % 8 for turn in turns]
    assert again > 5


@pytest.mark.parametrize("patches", [(4, 7), (7, 7)])
def test_with_enough_patches_the_stream_is_what_it_always_was(patches):
    encryption = RandomShuffling(image_size=tuple(4 * side for side in patches), patch_size=4)
    count = math.prod(patches)
    streams = KEY.streams(nonces(1000), encryption._stream_info(), 8 * count)
    draw = encryption._draw(1000, *patches, KEY, nonces(1000))
    np.testing.assert_array_equal(draw.permutations, keys.permutations_from(streams))


def test_with_16_patches_one_image_in_a_million_is_drawn_again():
    assert 0.5e-6 < chance_of(16, 9) < 1.5e-6


def test_pictures_of_four_patches_are_never_plain():
    """Of 240 that were tried before there was a rule, 12 were."""
    picture = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    shuffling = RandomShuffling(image_size=32, patch_size=16)
    encrypted = shuffling.encrypt_batch(np.repeat(picture, 5000, axis=0))
    same = (encrypted == picture).reshape(5000, 2, 16, 2, 16, 3).all(axis=(2, 4, 5)).sum(axis=(1, 2))
    assert same.max() == 2


@given(st.sampled_from([(1, 3), (2, 2), (2, 3), (3, 3)]), st.booleans())
def test_few_patches_are_decrypted_as_many_are(shape, symmetries):
    size = tuple(4 * side for side in shape)
    shuffling = RandomShuffling(image_size=size, patch_size=4, sub_patch_symmetries=symmetries)
    images = np.random.default_rng(0).integers(0, 256, (40, *size, 3), dtype=np.uint8)
    own = [new_nonce() for _ in images]
    encrypted = shuffling.encrypt_batch(images, key=KEY, nonces=own, remember_nonces=False)
    for plain, image, nonce in zip(images, encrypted, own, strict=True):
        np.testing.assert_array_equal(shuffling.decrypt(image, key=KEY, nonce=nonce), plain)


@pytest.mark.parametrize("size", [(16, 16), (16, 32)])
def test_tones_of_too_few_patches_are_not_dealt(size):
    message = (
        rf"shuffle_tones: an image of {size[0]}x{size[1]} pixels has . patches of 16, expected at least 3"
    )
    with pytest.raises(ValueError, match=message):
        MixingUp(image_size=size, shuffle_tones=True)
    with pytest.raises(ValueError, match=message):
        MixingUp(shuffle_tones=True)(np.zeros((*size, 3), np.uint8))
    with pytest.raises(ValueError, match=message):
        MixingUp(shuffle_tones=True).encrypt_batch(np.zeros((1, *size, 3), np.uint8))
    assert MixingUp()(np.zeros((*size, 3), np.uint8)).shape == (size[0] // 2, size[1] // 2, 3)
