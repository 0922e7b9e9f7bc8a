import numpy as np
import pytest
from PIL import Image

from hipmr_hf import MixingUp, SecretKey, new_nonce


def test_the_mix_is_the_published_detectors_mixed_image(shared):
    """The golden image is float; stored as uint8 the mix may be off by half a grey level."""
    plain = np.load(shared / "golden" / "peyolos.input_64x96.npy")
    golden = np.load(shared / "golden" / "peyolos.mi_image_64x96.npy")
    low, high = plain.min(), plain.max()
    grey = ((plain - low) * 255 / (high - low)).transpose(0, 2, 3, 1)
    pixels = grey.round().astype(np.uint8)

    mixed = MixingUp(patch_size=16).encrypt_batch(pixels)

    expected = ((golden - low) * 255 / (high - low)).transpose(0, 2, 3, 1)
    assert np.abs(mixed - expected).max() <= 1.0  # half a level for rounding the input, half for the mix


def test_an_image_keeps_its_size_but_for_whole_patches(photo):
    assert MixingUp(patch_size=16)(photo).shape == (416 // 2, 640 // 2, 3)
    assert MixingUp(patch_size=16, sub_patch_grid=4)(photo).shape == (416 // 4, 640 // 4, 3)


def test_the_crop_is_at_the_right_and_bottom(photo):
    encryption = MixingUp(patch_size=16)
    np.testing.assert_array_equal(encryption.prepare(photo), photo[:416, :640])
    assert encryption.num_patches is None and encryption.encrypted_size is None


def test_a_fixed_size_is_resized_and_cropped_first(photo):
    encryption = MixingUp(image_size=224)
    assert encryption.encrypted_size == (112, 112) and encryption.num_patches == 196
    assert encryption(Image.fromarray(photo)).size == (112, 112)


def test_a_horizontal_flip_commutes_with_mixing(photo):
    encryption, plain = MixingUp(patch_size=16), photo[:416]
    np.testing.assert_array_equal(encryption(plain[:, ::-1].copy()), encryption(plain)[:, ::-1])


def test_plain_mixing_draws_nothing_so_a_key_is_refused(photo):
    assert not MixingUp().draws_randomness
    np.testing.assert_array_equal(MixingUp()(photo), MixingUp()(photo))
    with pytest.raises(ValueError, match="a key has no effect"):
        MixingUp()(photo, key=SecretKey.generate(), nonce=new_nonce())


def test_symmetries_are_drawn_anew_for_each_image_or_from_the_key(photo):
    encryption = MixingUp(sub_patch_symmetries=True)
    assert not np.array_equal(encryption(photo), encryption(photo))
    key, nonce = SecretKey.generate(), new_nonce()
    first = encryption.encrypt_batch(photo[None, :416], key=key, nonces=[nonce], remember_nonces=False)
    again = encryption.encrypt_batch(photo[None, :416], key=key, nonces=[nonce], remember_nonces=False)
    np.testing.assert_array_equal(first, again)


def test_normalization_takes_brightness_and_contrast_away(photo):
    encryption = MixingUp(patch_normalization=True)
    darker = (photo // 2).astype(np.uint8)
    bright, dark = encryption(photo).astype(float), encryption(darker).astype(float)
    assert np.abs(bright - dark).mean() < 0.2 * np.abs(photo.astype(float) - darker).mean()


def test_the_mean_has_no_inverse():
    with pytest.raises(
        ValueError, match="MixingUp cannot be decrypted: sub_patch_grid=2 lost pixels for good"
    ):
        MixingUp().decrypt(np.zeros((16, 16, 3), np.uint8), key=SecretKey.generate(), nonce=new_nonce())


def test_a_grid_of_one_would_publish_the_plain_image():
    with pytest.raises(ValueError, match="sub_patch_grid: got 1, expected a whole number >= 2"):
        MixingUp(sub_patch_grid=1)


def test_an_empty_batch_is_an_empty_batch():
    assert MixingUp().encrypt_batch(np.zeros((0, 32, 32, 3), np.uint8)).shape == (0, 16, 16, 3)
