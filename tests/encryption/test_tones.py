"""Tones apart: which tone comes to which texture, the arithmetic to the byte, and what it goes through."""

import hashlib
import itertools
import json

import numpy as np
import PIL.Image
import pytest
from datasets import Dataset, Image
from hypothesis import given
from hypothesis import strategies as st

from hipmr_hf import Encryption, MixingUp, RandomShuffling, SecretKey, Sides, encrypt_dataset, new_nonce
from hipmr_hf.encryption import tones
from hipmr_hf.images.reading import read_image

# Computed apart from this code, in plain Python with `hmac` for HKDF and OpenSSL's aes-256-ctr, for the key
# 00 01 .. 1f, the nonce 00 01 .. 0f and the picture below: orders of textures and of tones, and the SHA-256
# of the encrypted picture. A change here makes other bytes of every keyed dataset: it must never move.
KEY, NONCE = bytes(range(32)), bytes(range(16))
SIZE = {"image_size": (32, 48), "patch_size": 8}
IN_PLACE = list(range(24))
KNOWN = [
    (
        RandomShuffling(**SIZE, shuffle_tones=True),
        [23, 0, 13, 7, 5, 1, 14, 9, 12, 8, 3, 18, 16, 22, 6, 21, 2, 20, 19, 11, 10, 17, 4, 15],
        [18, 4, 20, 11, 12, 5, 17, 3, 0, 9, 8, 19, 7, 1, 15, 13, 6, 14, 23, 21, 22, 16, 2, 10],
        "88aedec7a004a190af312366c30c6dcf78e2c998196828f9969d9f376f3a537f",
    ),
    (
        RandomShuffling(**SIZE, interval=2, sub_patch_symmetries=True, shuffle_tones=True),
        [15, 0, 14, 10, 11, 20, 19, 18, 6, 17, 13, 12, 8, 23, 21, 16, 2, 1, 22, 3, 5, 9, 7, 4],
        [4, 0, 14, 10, 3, 12, 23, 15, 16, 9, 2, 18, 8, 13, 21, 5, 19, 20, 7, 11, 17, 6, 1, 22],
        "b735928331523db250917d77248f620dbfc4b0c40f0c0237ae0f322f03baff32",
    ),
    (
        RandomShuffling(**SIZE, sub_patch_grid=2, sub_patch_symmetries=True, shuffle_tones=True),
        [13, 6, 12, 23, 11, 19, 8, 4, 20, 9, 0, 1, 21, 3, 17, 7, 18, 22, 16, 5, 14, 15, 10, 2],
        [7, 14, 16, 21, 15, 17, 20, 11, 23, 1, 10, 12, 3, 19, 8, 4, 13, 2, 6, 9, 18, 5, 22, 0],
        "d4bb9d88a569e1599442fb096e00dbdcf1314c5e69681b43db7a39e6d210a11b",
    ),
    (
        RandomShuffling(**SIZE, drop_ratio=0.5, shuffle_tones=True),
        [11, 9, 18, 0, 4, 19, 5, 3, 7, 20, 13, 22],
        [0, 4, 13, 5, 11, 7, 3, 9, 18, 19, 20, 22],
        "b28c178faebe9a2360db4c0948fc3348a0cc17987254aedd2c2760eaf41274df",
    ),
    (
        MixingUp(**SIZE, sub_patch_symmetries=True, shuffle_tones=True),
        IN_PLACE,
        [3, 21, 4, 9, 20, 17, 10, 12, 16, 19, 13, 14, 0, 22, 1, 5, 8, 15, 2, 23, 18, 7, 11, 6],
        "265b4a3df6c004947db379af9e81143ea14c5d3fb7b7ce9caeb92789e8f58f01",
    ),
    (
        MixingUp(patch_size=8, sub_patch_grid=4, shuffle_tones=True),
        IN_PLACE,
        [9, 11, 4, 2, 21, 17, 1, 13, 15, 23, 18, 10, 7, 16, 8, 14, 5, 12, 3, 19, 0, 20, 22, 6],
        "1387054f5e0f1d965ed0e2f27156d3fa0edd34d4ecd300d00ca688bf384276d5",
    ),
]


def known_picture() -> np.ndarray:
    """uint8 (1, 32, 48, 3); contrast rises from left to right, from below the floor."""
    y, x, channel = np.ogrid[:32, :48, :3]
    return ((5 * y * y + 3 * x * x + 7 * x * y + 89 * channel) % (2 + 4 * x)).astype(np.uint8)[None]


def split(image: np.ndarray, size: int) -> np.ndarray:
    """(height, width, channels) to (patches, size * size, channels)."""
    height, width, channels = image.shape
    tiled = image.reshape(height // size, size, width // size, size, channels).swapaxes(1, 2)
    return tiled.reshape(-1, size * size, channels)


def marked_picture(rows: int = 4, cols: int = 4) -> np.ndarray:
    """(rows * 8, cols * 8, 1): patch i is a pattern of its own around 60 + 8 i; contrast 20."""
    signs = np.array([[1]])
    for _ in range(6):  # rows 1.. of a Hadamard matrix: their means are 0, and no two are like
        signs = np.block([[signs, signs], [signs, -signs]])
    count = rows * cols
    levels = 60 + 8 * np.arange(count)
    patches = (levels[:, None] + 20 * signs[1 : count + 1]).reshape(rows, cols, 8, 8)
    return patches.swapaxes(1, 2).reshape(rows * 8, cols * 8, 1).astype(np.uint8)


def read_marks(encrypted: np.ndarray, plain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tell whose texture and whose tone each patch of an encrypted `marked_picture` has."""
    patterns = split(plain, 8)[..., 0].astype(float)
    patterns -= patterns.mean(axis=1, keepdims=True)
    found = split(encrypted, 8)[..., 0].astype(float)
    levels = found.mean(axis=1)
    textures = np.argmax((found - levels[:, None]) @ patterns.T, axis=1)
    return textures, np.rint((levels - 60) / 8).astype(int)


@pytest.mark.parametrize(("encryption", "textures", "dealt", "digest"), KNOWN, ids=str)
def test_the_known_answer_of_a_keyed_image(encryption, textures, dealt, digest):
    draw = encryption._draw(1, 4, 6, KEY, [NONCE])
    order = encryption._order_of_tones(draw)[0]
    encrypted = encryption.encrypt_batch(known_picture(), key=KEY, nonces=[NONCE], remember_nonces=False)

    assert order[textures].tolist() == dealt
    assert hashlib.sha256(encrypted.tobytes()).hexdigest() == digest


def test_the_streams_of_older_settings_do_not_know_the_knob():
    """Keyed permutations depend on the settings as they are written; a key more would change them all."""
    for encryption in (RandomShuffling(), MixingUp(sub_patch_symmetries=True)):
        assert b"shuffle_tones" not in encryption._stream_info()
        assert "shuffle_tones" not in encryption.to_dict()
    assert b'"shuffle_tones":true' in RandomShuffling(shuffle_tones=True)._stream_info()


@pytest.mark.parametrize("settings", [{"shuffle_tones": True}, {"shuffle_tones": False}, {}])
def test_settings_are_read_with_and_without_the_knob(settings, tmp_path):
    for kind in (RandomShuffling, MixingUp):
        written = {**kind(image_size=64).to_dict(), **settings}
        encryption = Encryption.from_dict(json.loads(json.dumps(written)))
        assert encryption == kind(image_size=64, shuffle_tones=settings.get("shuffle_tones", False))
        encryption.save_pretrained(tmp_path)
        assert Encryption.from_pretrained(tmp_path) == encryption


def test_other_unknown_settings_are_still_refused():
    with pytest.raises(ValueError, match="unknown \\['shuffle_turns'\\]"):
        Encryption.from_dict({**MixingUp().to_dict(), "shuffle_turns": True})
    with pytest.raises(ValueError, match="lacks \\['patch_size'\\]"):
        Encryption.from_dict(
            {k: v for k, v in MixingUp(shuffle_tones=True).to_dict().items() if k != "patch_size"}
        )


@pytest.mark.parametrize("kind", [RandomShuffling, MixingUp])
def test_settings_that_make_no_sense_are_named(kind):
    with pytest.raises(TypeError, match="shuffle_tones: got 1, expected True or False"):
        kind(shuffle_tones=1)
    with pytest.raises(ValueError, match="shuffle_tones, patch_normalization: got True for both"):
        kind(shuffle_tones=True, patch_normalization=True)


@pytest.mark.parametrize("drop_ratio", [0.0, 0.5])
def test_shuffling_pairs_kept_textures_with_kept_tones_at_random(drop_ratio):
    plain = marked_picture()
    encryption = RandomShuffling(32, 8, drop_ratio=drop_ratio, shuffle_tones=True)
    images = encryption.encrypt_batch(np.repeat(plain[None], 400, axis=0))
    together = np.zeros((16, 16), int)
    for image in images:
        textures, dealt = read_marks(image, plain)
        assert sorted(textures) == sorted(dealt) and len(set(dealt)) == encryption.num_patches
        np.add.at(together, (textures, dealt), 1)
    # A random permutation has one fixed point on average: a texture and its own tone meet no more often than
    # any two others that are kept. All bounds are six standard deviations.
    kept, own = encryption.num_patches, np.eye(16, dtype=bool)
    expected = np.where(own, 400 / 16, 400 * (kept - 1) / (16 * 15))
    assert (np.abs(together - expected) < 6 * np.sqrt(expected)).all()
    assert abs(together[own].sum() - 400) < 6 * 20


def test_both_orders_of_shuffling_are_independent():
    plain = marked_picture()
    encryption = RandomShuffling(32, 8, shuffle_tones=True)
    textures, dealt = zip(
        *(read_marks(image, plain) for image in encryption.encrypt_batch(np.repeat(plain[None], 300, 0))),
        strict=True,
    )
    together = np.zeros((16, 16), int)
    np.add.at(together, (np.array(textures)[:, 0], np.array(dealt)[:, 0]), 1)
    assert np.abs(together.sum(0) - 300 / 16).max() < 6 * np.sqrt(300 / 16)
    assert together.max() < 12  # 1.2 expected in each


def test_mixing_leaves_textures_in_their_places_and_deals_the_tones():
    marks = split(marked_picture(), 8).reshape(4, 4, 8, 8)
    # Four like sub-patches, so that their mean is the mark itself.
    plain = np.tile(marks, (1, 1, 2, 2)).swapaxes(1, 2).reshape(64, 64, 1)
    encryption = MixingUp(patch_size=16, shuffle_tones=True)
    textures, dealt = read_marks(encryption(plain), marked_picture())

    assert textures.tolist() == list(range(16))
    assert sorted(dealt) == list(range(16)) and dealt.tolist() != list(range(16))


def test_every_image_of_a_batch_has_tones_of_its_own():
    batch = np.repeat(known_picture(), 20, axis=0)
    encrypted = MixingUp(patch_size=8, shuffle_tones=True).encrypt_batch(batch)
    assert len({image.tobytes() for image in encrypted}) == 20


@given(
    st.sampled_from([(4, 1), (8, 1), (4, 4), (8, 16), (2, 256)]),
    st.integers(1, 3),
    st.sampled_from([1, 3]),
    st.integers(0, 2**32 - 1),
)
def test_dealing_is_the_formula_of_the_method(patch_and_count, rows, channels, seed):
    """Plain loops in float64, whose result may be off by what float32 and the rounding allow."""
    size, count = patch_and_count
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 256, (2, rows, 1, 2, 1, channels))  # of the range of levels of each patch
    levels = rng.integers(0, widths, (2, rows, size, 2, size, channels)) * count
    sums = levels.reshape(2, rows * size, 2 * size, channels).astype(np.uint16)
    order = np.stack([rng.permutation(rows * 2) for _ in range(2)])

    dealt = tones.deal_tones(sums, order, patch_size=size, count=count)

    for image, out, perm in zip(sums / count, dealt, order, strict=True):
        patches, found = split(image, size), split(out, size)
        mean, std = patches.mean(axis=1), patches.std(axis=1)
        for number, given_by in enumerate(perm):
            texture = (patches[number] - mean[number]) / np.maximum(std[number], 2)
            exact = np.clip(mean[given_by] + std[given_by] * texture, 0, 255)
            assert np.abs(found[number] - exact).max() <= 0.5 + 1e-3


def test_every_step_of_the_arithmetic_is_float32_in_the_order_told():
    """What another program has to repeat, scalar by scalar."""
    sums = np.random.default_rng(5).integers(0, 1021, (1, 8, 16, 2), dtype=np.uint16)
    order = np.array([[5, 2, 7, 0, 1, 6, 3, 4]])
    dealt = tones.deal_tones(sums, order, patch_size=4, count=4)
    patches, found = split(sums[0], 4), split(dealt[0], 4)

    def tone(number: int, channel: int) -> tuple[float, float]:
        values = [int(value) for value in patches[number, :, channel]]
        total, squares = sum(values), sum(value * value for value in values)
        return total / 16, (16 * squares - total * total) ** 0.5 / 16

    for number, given_by in enumerate(order[0]):
        for channel in range(2):
            (mean, contrast), (level, other) = tone(number, channel), tone(given_by, channel)
            factor = np.float32(other / max(contrast, 4 * 2.0) / 4)
            for value, out in zip(patches[number, :, channel], found[number, :, channel], strict=True):
                moved = (np.float32(value) - np.float32(mean)) * factor + np.float32(level / 4)
                assert out == min(255, max(0, round(float(moved))))  # Python rounds half to even as well


def test_flat_patches_take_a_tone_and_give_theirs():
    flat_and_striped = np.array([[90, 90, 10, 30], [90, 90, 10, 30]], np.uint8).reshape(1, 2, 4, 1)
    dealt = tones.deal_tones(flat_and_striped, np.array([[1, 0]]), patch_size=2, count=1)
    assert dealt[0, :, :2].max() == dealt[0, :, :2].min() == 20  # no texture to show, whatever the contrast
    assert dealt[0, :, 2:].max() == dealt[0, :, 2:].min() == 90  # no contrast to show the texture with


@pytest.fixture(scope="module")
def compiled():
    """Loops that are compiled once, which is no part of an example's time."""
    images = np.zeros((3, 8, 12, 3), np.uint8)
    for grid, symmetries in itertools.product((1, 2), (False, True)):
        settings = {"sub_patch_grid": grid, "sub_patch_symmetries": symmetries, "shuffle_tones": True}
        RandomShuffling((8, 12), 4, **settings).encrypt_batch(images)


@pytest.mark.usefixtures("compiled")
@given(
    st.sampled_from([4, 8]),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.4]),
    st.sampled_from([1, 2]),
    st.booleans(),
    st.sampled_from([0, 2]),
)
def test_encrypting_in_a_batch_and_alone_give_the_same(patch, rows, drop, grid, symmetries, interval):
    encryption = RandomShuffling(
        (rows * patch, 3 * patch), patch, interval, drop, grid, symmetries, shuffle_tones=True
    )
    images = np.random.default_rng(0).integers(0, 256, (3, rows * patch, 3 * patch, 3), dtype=np.uint8)
    key, nonces = SecretKey.generate(), [new_nonce() for _ in range(3)]
    together = encryption.encrypt_batch(images, key=key, nonces=nonces, remember_nonces=False)
    alone = [encryption(image, key=key, nonce=nonce) for image, nonce in zip(images, nonces, strict=True)]
    np.testing.assert_array_equal(together, np.stack(alone))


@pytest.mark.parametrize("kind", [RandomShuffling, MixingUp])
def test_an_empty_batch_is_an_empty_batch(kind):
    encryption = kind(image_size=32, shuffle_tones=True)
    encrypted = encryption.encrypt_batch(np.zeros((0, 32, 32, 3), np.uint8))
    assert encrypted.shape == (0, *encryption.encrypted_size, 3)


def test_rounding_loses_so_decryption_is_refused():
    keyed = {"key": SecretKey.generate(), "nonce": new_nonce()}
    image = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(ValueError, match="cannot be decrypted: shuffle_tones=True lost pixels for good"):
        RandomShuffling(32, 8, shuffle_tones=True).decrypt(image, **keyed)
    with pytest.raises(ValueError, match="MixingUp cannot be decrypted"):
        MixingUp(shuffle_tones=True).decrypt(image, **keyed)


def test_mixing_with_it_draws_randomness_so_a_key_is_taken(photo):
    encryption = MixingUp(shuffle_tones=True)
    assert encryption.draws_randomness
    assert not np.array_equal(encryption(photo), encryption(photo))
    keyed = {"key": SecretKey.generate(), "nonces": [new_nonce()], "remember_nonces": False}
    plain = encryption.prepare(photo)[None]
    np.testing.assert_array_equal(
        encryption.encrypt_batch(plain, **keyed), encryption.encrypt_batch(plain, **keyed)
    )


def test_images_that_keep_their_shape_get_it_too():
    image = np.random.default_rng(0).integers(0, 256, (100, 160, 3), dtype=np.uint8)
    encryption = MixingUp(image_size=Sides(64, 128), patch_size=8, shuffle_tones=True)
    assert encryption(image).shape == (32, 48, 3)
    assert Encryption.from_dict(json.loads(json.dumps(encryption.to_dict()))) == encryption


def rows_of(count: int) -> dict:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 40, 56, 3), dtype=np.uint8)
    objects = [{"bbox": [[3.0 + i, 4.0, 20.0, 10.0]], "category": [i % 2]} for i in range(count)]
    return {"image": images, "objects": objects}


def dataset_of(rows: dict) -> Dataset:
    return Dataset.from_dict({**rows, "image": [PIL.Image.fromarray(image) for image in rows["image"]]})


def test_boxes_of_mixed_images_are_those_without_it():
    plain = dataset_of(rows_of(4))
    settings = {"image_size": Sides(32, 48), "patch_size": 8}
    usual, apart = (
        encrypt_dataset(plain, MixingUp(**settings, shuffle_tones=flag)) for flag in (False, True)
    )
    assert usual["objects"] == apart["objects"]
    assert usual[0]["image"].size == apart[0]["image"].size


@pytest.mark.parametrize("streaming", [False, True])
def test_a_keyed_dataset_holds_what_the_key_draws(streaming):
    rows, key = rows_of(5), SecretKey.generate()
    plain = dataset_of(rows)
    encryption = RandomShuffling((32, 48), 8, sub_patch_grid=2, sub_patch_symmetries=True, shuffle_tones=True)
    plain = plain.remove_columns("objects")
    encrypted = encrypt_dataset(plain.to_iterable_dataset() if streaming else plain, encryption, key=key)
    for row, image in zip(encrypted.cast_column("image", Image(decode=False)), rows["image"], strict=True):
        expected = encryption.encrypt_batch(
            encryption.prepare(image)[None], key=key, nonces=[row["nonce"]], remember_nonces=False
        )
        np.testing.assert_array_equal(read_image(row["image"]["bytes"]), expected[0])


def test_nothing_of_the_scene_correlates_with_what_is_left_of_mixing(photo):
    """The thumbnail that mixing leaves, one mean a patch, has no more to do with the picture."""
    usual, apart = (MixingUp(image_size=224, shuffle_tones=flag) for flag in (False, True))
    truth = split(usual.prepare(photo), 16).mean(axis=(1, 2))
    correlation = [
        np.corrcoef(truth, split(encryption(photo), 8).mean(axis=(1, 2)))[0, 1]
        for encryption in (usual, apart)
    ]
    assert correlation[0] > 0.999 and abs(correlation[1]) < 0.4  # 196 patches: five standard deviations
