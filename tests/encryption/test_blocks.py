"""A batch is encrypted in blocks that fit into the processor's cache; nobody must see the seams."""

import numpy as np
import pytest

from hipmr_hf import MixingUp, RandomShuffling, SecretKey, new_nonce
from hipmr_hf.encryption import base

SETTINGS = [
    RandomShuffling(image_size=(32, 48), patch_size=8, interval=2),
    RandomShuffling(image_size=(32, 48), patch_size=8, drop_ratio=0.5),
    RandomShuffling((32, 48), 8, sub_patch_grid=2, sub_patch_symmetries=True, patch_normalization=True),
    MixingUp(patch_size=8, sub_patch_symmetries=True),
    RandomShuffling((32, 48), 8, drop_ratio=0.5, sub_patch_grid=2, shuffle_tones=True),
    MixingUp(patch_size=8, sub_patch_symmetries=True, shuffle_tones=True),
]


@pytest.mark.parametrize("encryption", SETTINGS, ids=str)
@pytest.mark.parametrize("images_a_block", [1, 2, 7])
def test_the_size_of_a_block_changes_nothing(encryption, images_a_block, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 48, 3), dtype=np.uint8)
    secret = {"key": SecretKey.generate(), "nonces": [new_nonce() for _ in images], "remember_nonces": False}
    together = encryption.encrypt_batch(images, **secret)
    monkeypatch.setattr(base, "_BLOCK_BYTES", images_a_block * images[0].nbytes)
    np.testing.assert_array_equal(encryption.encrypt_batch(images, **secret), together)


def test_images_larger_than_a_block_are_encrypted_one_by_one():
    mixing = MixingUp(patch_size=16)
    images = np.random.default_rng(0).integers(0, 256, (2, 640, 640, 3), dtype=np.uint8)
    assert images[0].nbytes > base._BLOCK_BYTES
    np.testing.assert_array_equal(mixing.encrypt_batch(images)[1], mixing(images[1]))
