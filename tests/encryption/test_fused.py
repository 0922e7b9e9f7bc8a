"""Compiled, patch by patch, gives the bytes that numpy gives, for every knob and both strategies."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipmr_hf import Encryption, MixingUp, RandomShuffling
from hipmr_hf.encryption import fused

pytest.importorskip("numba", reason="numba comes with the extra audit")


@st.composite
def encryptions(draw) -> Encryption:
    grid, side = draw(st.sampled_from([1, 2, 3, 4, 16])), draw(st.integers(1, 9))
    interval = draw(st.sampled_from([0, 2, 4]))
    knobs = {"sub_patch_grid": grid, "sub_patch_symmetries": draw(st.booleans())}
    tone = draw(st.sampled_from([{}, {"patch_normalization": True}, {"shuffle_tones": True}]))
    if grid > 1 and draw(st.booleans()):
        size, patch = (draw(st.integers(3, 5)), draw(st.integers(1, 4))), grid * side
        return MixingUp(tuple(n * patch for n in size), patch, **knobs, **tone)
    patch = grid * side + interval
    size = tuple(draw(st.integers(2, 5)) * patch for _ in range(2))
    return RandomShuffling(
        size, patch, interval, drop_ratio=draw(st.sampled_from([0.0, 0.25])), **knobs, **tone
    )


def pictures(encryption: Encryption, seed: int, spread: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    shape = (3, *encryption.image_size, 3)
    centre = generator.integers(0, 256, (3, 1, 1, 3))
    return np.clip(centre + generator.integers(-spread, spread + 1, shape), 0, 255).astype(np.uint8)


@settings(max_examples=100, deadline=None)
@given(encryptions(), st.integers(0, 2**32), st.sampled_from([0, 1, 3, 30, 255]))
def test_the_bytes_are_those_of_numpy(encryption, seed, spread):
    images = pictures(encryption, seed, spread)
    rows, cols = (side // encryption.patch_size for side in encryption.image_size)
    draw = encryption._draw(len(images), rows, cols, None, None)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fused, "is_worth_it", lambda images: False)
        expected = encryption._encrypt(images, draw)
        patched.setattr(fused, "is_worth_it", lambda images: True)
        assert (encryption._encrypt(images, draw) == expected).all()


def test_large_batches_take_it_and_small_ones_and_gray_ones_do_not(monkeypatch):
    monkeypatch.setattr(fused, "_seen_pixels", 0)
    assert not fused.is_worth_it(np.zeros((1, 32, 32, 3), np.uint8))
    assert fused.is_worth_it(np.zeros((60, 224, 224, 3), np.uint8))
    assert not fused.is_worth_it(np.zeros((60, 224, 224, 1), np.uint8))


def test_without_numba_numpy_does_it(monkeypatch):
    monkeypatch.setattr(fused, "_has_numba", lambda: False)
    assert not fused.is_worth_it(np.zeros((60, 224, 224, 3), np.uint8))


def test_a_picture_loads_no_numba():
    code = (
        "import sys, numpy as np; from hipmr_hf import MixingUp; "
        "MixingUp()(np.zeros((64, 64, 3), np.uint8)); sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
