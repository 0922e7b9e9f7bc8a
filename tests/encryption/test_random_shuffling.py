import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hipmr_hf import RandomShuffling, SecretKey, new_nonce
from hipmr_hf.encryption.keys import NonceReuseError

# Computed apart from this code, with `hmac` for HKDF and OpenSSL's aes-256-ctr, for the key 00 01 .. 1f and
# the nonce 00 01 .. 0f. A change here makes every keyed dataset undecryptable: the vectors must never move.
KEY, NONCE = bytes(range(32)), bytes(range(16))
ORDER = [3, 0, 10, 15, 14, 5, 2, 6, 7, 11, 4, 12, 13, 1, 8, 9]
MIXED_ORDER = [1, 0, 2, 3]
MIXED_TURNS = [6, 7, 3, 7, 4, 3, 1, 6, 5, 3, 7, 4, 6, 3, 4, 4]


def patches_of(image: np.ndarray, size: int) -> list[bytes]:
    rows, cols = image.shape[0] // size, image.shape[1] // size
    return [
        image[r * size : (r + 1) * size, c * size : (c + 1) * size].tobytes()
        for r, c in np.ndindex(rows, cols)
    ]


def test_the_known_answer_of_a_keyed_image():
    image = np.repeat(np.repeat(np.arange(16, dtype=np.uint8).reshape(4, 4, 1), 16, axis=0), 16, axis=1)
    shuffled = RandomShuffling(image_size=64, patch_size=16)(image, key=KEY, nonce=NONCE)
    assert shuffled[::16, ::16, 0].ravel().tolist() == ORDER


def test_the_known_answer_of_keyed_mixing_with_symmetries():
    from hipmr_hf.encryption import patches

    encryption = RandomShuffling(image_size=32, patch_size=16, sub_patch_grid=2, sub_patch_symmetries=True)
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    turns = np.reshape(MIXED_TURNS, (1, 2, 2, 2, 2))
    turned = patches.turn_sub_patches(image, turns, patch_size=16, grid=2)
    mixed = patches.mean_of_sub_patches(patches.sum_sub_patches(turned, patch_size=16, grid=2), grid=2)
    expected = patches.gather_patches(mixed, np.reshape(MIXED_ORDER, (1, 2, 2)), patch_size=8)

    np.testing.assert_array_equal(
        encryption.encrypt_batch(image, key=KEY, nonces=[NONCE], remember_nonces=False), expected
    )


def test_the_default_keeps_every_patch_and_moves_almost_all(photo):
    encryption = RandomShuffling()
    plain = encryption.prepare(photo)
    shuffled = encryption(photo)
    before, after = patches_of(plain, 16), patches_of(shuffled, 16)
    assert sorted(before) == sorted(after)
    assert sum(a == b for a, b in zip(before, after, strict=True)) < 20


def test_every_image_of_a_batch_has_its_own_permutation():
    numbered = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1).repeat(50, axis=0)
    shuffled = RandomShuffling(image_size=4, patch_size=1).encrypt_batch(numbered)
    assert len({image.tobytes() for image in shuffled}) == 50


def test_two_runs_over_one_image_differ(photo):
    encryption = RandomShuffling()
    assert not np.array_equal(encryption(photo), encryption(photo))


@pytest.mark.parametrize(
    ("knobs", "size", "patch", "count"),
    [
        ({}, (224, 224), 16, 196),
        ({"interval": 4}, (168, 168), 12, 196),
        ({"drop_ratio": 0.5}, (112, 224), 16, 98),
        ({"drop_ratio": 0.25}, (112, 336), 16, 147),
        ({"sub_patch_grid": 2}, (112, 112), 8, 196),
        ({"interval": 4, "drop_ratio": 0.5, "sub_patch_grid": 3}, (28, 56), 4, 98),
        ({"image_size": (96, 160)}, (96, 160), 16, 60),
        (
            {"sub_patch_grid": 2, "sub_patch_symmetries": True, "patch_normalization": True},
            (112, 112),
            8,
            196,
        ),
    ],
)
def test_the_promised_size_is_the_size(photo, knobs, size, patch, count):
    encryption = RandomShuffling(**knobs)
    assert encryption.encrypted_size == size
    assert encryption.encrypted_patch_size == patch
    assert encryption.num_patches == count
    assert encryption(photo).shape == (*size, 3)


def test_an_interval_erodes_half_of_it_from_each_side():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    encrypted = RandomShuffling(image_size=32, patch_size=16, interval=4)(image)
    inner = [image[r + 2 : r + 14, c + 2 : c + 14].tobytes() for r in (0, 16) for c in (0, 16)]
    assert sorted(patches_of(encrypted, 12)) == sorted(inner)


def test_dropped_patches_are_a_random_choice():
    numbered = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1).repeat(400, axis=0)
    kept = RandomShuffling(image_size=4, patch_size=1, drop_ratio=0.5).encrypt_batch(numbered)
    counts = np.bincount(kept.ravel(), minlength=16)
    assert kept.shape == (400, 2, 4, 1)
    assert counts.min() > 140 and counts.max() < 260  # 200 expected, 6 standard deviations = 60


def test_symmetries_draw_all_eight():
    square = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    images = np.tile(square, (200, 1, 3, 1))
    encryption = RandomShuffling(image_size=(4, 12), patch_size=4, sub_patch_symmetries=True)
    assert len({patch for image in encryption.encrypt_batch(images) for patch in patches_of(image, 4)}) == 8


@given(st.booleans(), st.sampled_from([(8, 8), (8, 12), (16, 4)]), st.binary())
def test_decryption_undoes_a_keyed_encryption(symmetries, size, seed):
    encryption = RandomShuffling(image_size=size, patch_size=4, sub_patch_symmetries=symmetries)
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    keyed = {"key": hashlib.sha256(seed).digest(), "nonce": new_nonce()}
    np.testing.assert_array_equal(encryption.decrypt(encryption(image, **keyed), **keyed), image)


def test_another_key_or_nonce_does_not_decrypt(photo):
    encryption, key, nonce = RandomShuffling(), SecretKey.generate(), new_nonce()
    plain = encryption.prepare(photo)
    shuffled = encryption(photo, key=key, nonce=nonce)
    assert np.array_equal(encryption.decrypt(shuffled, key=key, nonce=nonce), plain)
    assert not np.array_equal(encryption.decrypt(shuffled, key=SecretKey.generate(), nonce=nonce), plain)
    assert not np.array_equal(encryption.decrypt(shuffled, key=key, nonce=new_nonce()), plain)


@pytest.mark.parametrize(
    "knobs", [{"interval": 2}, {"drop_ratio": 0.1}, {"sub_patch_grid": 2}, {"patch_normalization": True}]
)
def test_what_lost_pixels_cannot_be_decrypted(knobs):
    encryption = RandomShuffling(**knobs)
    image = np.zeros((*encryption.encrypted_size, 3), np.uint8)
    with pytest.raises(ValueError, match=f"cannot be decrypted: {next(iter(knobs))}="):
        encryption.decrypt(image, key=SecretKey.generate(), nonce=new_nonce())


def test_a_one_time_encryption_cannot_be_decrypted(photo):
    encryption = RandomShuffling()
    with pytest.raises(ValueError, match="encrypted without a key cannot be decrypted by anybody"):
        encryption.decrypt(encryption(photo))


def test_a_nonce_used_twice_is_refused(photo):
    encryption, key, nonce = RandomShuffling(), SecretKey.generate(), new_nonce()
    encryption(photo, key=key, nonce=nonce)
    with pytest.raises(NonceReuseError, match="already used with this key"):
        encryption(photo[::-1].copy(), key=key, nonce=nonce)


def test_raw_key_bytes_are_the_same_key(photo):
    encryption, secret, nonce = RandomShuffling(), bytes(range(1, 33)), new_nonce()
    shuffled = encryption(photo, key=secret, nonce=nonce)
    plain = encryption.decrypt(shuffled, key=SecretKey(secret), nonce=nonce)
    assert np.array_equal(plain, encryption.prepare(photo))


def test_pil_in_pil_out_upright_and_bare(photo):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera of Jane Doe"  # orientation: turn by 90 degrees; make
    import io

    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", exif=exif, quality=100, comment=b"Jane Doe")
    turned = Image.open(file)

    encrypted = RandomShuffling(image_size=(64, 32), patch_size=16)(turned)

    assert isinstance(encrypted, Image.Image) and encrypted.size == (32, 64)
    assert not encrypted.info and not encrypted.getexif() and not hasattr(encrypted, "filename")
    assert RandomShuffling().prepare(turned).shape == (224, 224, 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_keep_their_channels(channels):
    image = np.zeros((100, 50, channels), np.uint8)
    assert RandomShuffling(image_size=32, patch_size=16)(image).shape == (32, 32, channels)


@pytest.mark.parametrize(
    ("knobs", "error", "message"),
    [
        ({"patch_size": 0}, ValueError, "patch_size: got 0, expected a whole number >= 1"),
        ({"patch_size": 16.0}, TypeError, r"patch_size: got 16.0 \(float\)"),
        ({"patch_size": True}, TypeError, "patch_size: got True"),
        ({"image_size": 225}, ValueError, "the nearest are 224 and 240"),
        ({"image_size": (224,)}, ValueError, r"expected a whole number or \(height, width\)"),
        ({"image_size": None}, TypeError, "image_size: got None"),
        ({"image_size": 8}, ValueError, "image_size: got 8, expected a whole number >= 16"),
        ({"image_size": 16}, ValueError, "1 of 1 patches are kept, expected at least 2 of 3 or more"),
        ({"image_size": (16, 32)}, ValueError, "2 of 2 patches are kept, expected at least 2 of 3 or more"),
        ({"image_size": 32, "drop_ratio": 0.75}, ValueError, "1 of 4 patches are kept"),
        ({"interval": 3}, ValueError, "interval: got 3, expected an even number"),
        ({"interval": 16}, ValueError, "interval: got 16"),
        ({"interval": -2}, ValueError, "interval: got -2"),
        ({"drop_ratio": 1.0}, ValueError, "drop_ratio: got 1.0"),
        ({"drop_ratio": float("nan")}, ValueError, "drop_ratio: got nan"),
        ({"drop_ratio": "half"}, ValueError, "drop_ratio: got 'half'"),
        ({"drop_ratio": 0.999}, ValueError, "0 of 196 patches are kept"),
        ({"sub_patch_grid": 3}, ValueError, "expected a divisor of patch_size - interval = 16"),
        ({"sub_patch_symmetries": 1}, TypeError, "sub_patch_symmetries: got 1, expected True or False"),
    ],
)
def test_bad_settings_are_named(knobs, error, message):
    with pytest.raises(error, match=message):
        RandomShuffling(**knobs)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((64, 64, 3)), TypeError, "image: got an array of float64, expected a uint8 array"),
        (np.zeros((64, 64), np.uint8), ValueError, r"image: got shape \(64, 64\)"),
        (3.5, TypeError, "image: got float"),
        (np.zeros((64, 15, 3), np.uint8), ValueError, "smaller than one patch of 16"),
        (np.zeros((0, 64, 3), np.uint8), ValueError, "smaller than one patch of 16"),
        (Image.new("F", (64, 64)), ValueError, "the image has mode 'F'"),
    ],
)
def test_bad_images_are_named(image, error, message):
    with pytest.raises(error, match=message):
        RandomShuffling(image_size=64)(image)


@pytest.mark.parametrize("knobs", [{}, {"interval": 4}, {"sub_patch_grid": 2, "sub_patch_symmetries": True}])
def test_an_empty_batch_is_an_empty_batch(knobs):
    encryption = RandomShuffling(image_size=64, **knobs)
    encrypted = encryption.encrypt_batch(np.zeros((0, 64, 64, 3), np.uint8))
    assert encrypted.shape == (0, *encryption.encrypted_size, 3)


@given(
    st.sampled_from([2, 4, 6]),
    st.integers(1, 4),
    st.integers(3, 5),
    st.sampled_from([0.0, 0.3]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_encrypting_in_a_batch_and_alone_give_the_same(
    patch, rows, cols, drop, mix, symmetries, normalization
):
    encryption = RandomShuffling(
        image_size=(rows * patch, cols * patch),
        patch_size=patch,
        drop_ratio=drop,
        sub_patch_grid=2 if mix else 1,
        sub_patch_symmetries=symmetries,
        patch_normalization=normalization,
    )
    images = np.random.default_rng(0).integers(0, 256, (3, rows * patch, cols * patch, 3), dtype=np.uint8)
    key, nonces = SecretKey.generate(), [new_nonce() for _ in range(3)]
    together = encryption.encrypt_batch(images, key=key, nonces=nonces, remember_nonces=False)
    alone = [encryption(image, key=key, nonce=nonce) for image, nonce in zip(images, nonces, strict=True)]
    np.testing.assert_array_equal(together, np.stack(alone))


def test_a_batch_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"got 96x96 pixels, expected 64x64 \(image_size\).*prepare"):
        RandomShuffling(image_size=64).encrypt_batch(np.zeros((2, 96, 96, 3), np.uint8))


@pytest.mark.parametrize("given", [{"key": bytes(32)}, {"nonce": bytes(16)}])
def test_a_key_and_a_nonce_go_together(photo, given):
    with pytest.raises(ValueError, match="go together"):
        RandomShuffling()(photo, **given)


def test_settings_do_not_change_in_use():
    with pytest.raises(AttributeError):
        RandomShuffling().patch_size = 8


def test_a_list_of_images_is_told_where_several_go():
    images = [np.zeros((16, 16, 3), np.uint8)] * 2
    with pytest.raises(TypeError, match=r"image: got a list, expected one image; .*encrypt_batch\(np.stack"):
        RandomShuffling(image_size=16, patch_size=8)(images)
