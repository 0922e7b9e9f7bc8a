"""Compiled resizing gives Pillow's bytes, whatever the sides, the window and the box."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipmr_hf.encryption import placement, stretching
from hipmr_hf.encryption.stretching import Side

pytest.importorskip("numba", reason="numba comes with the extra fast")


@pytest.fixture
def unseen(monkeypatch):
    """As in a process that has seen no picture."""
    monkeypatch.setattr(stretching, "_seen_bytes", 0)
    monkeypatch.setattr(stretching, "_compared", set())
    monkeypatch.setattr(stretching, "_differs", False)


@st.composite
def stretches(draw) -> tuple[int, int, int, Side]:
    height, width, axis = draw(st.integers(1, 300)), draw(st.integers(1, 300)), draw(st.integers(0, 1))
    length = draw(st.integers(1, 300))
    first = draw(st.integers(0, length - 1))
    box = None
    if draw(st.booleans()):
        ends = st.floats(0, (height, width)[axis])
        begin, end = sorted((draw(ends), draw(ends)))
        box = (begin, end) if end - begin > 0.01 else None
    return height, width, axis, Side(length, first, draw(st.integers(1, length - first)), box)


@settings(max_examples=200, deadline=None)
@given(stretches(), st.integers(0, 2**32))
def test_the_bytes_are_those_of_pillow(stretch, seed):
    height, width, axis, side = stretch
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = placement._by_pillow(pixels, axis, side)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stretching, "_compared", {0, 1})
        patched.setattr(stretching, "_differs", False)
        assert (stretching.stretch(pixels, axis, side, lambda: None) == expected).all()


def test_a_placed_picture_is_the_same_and_pillow_is_not_asked_again(unseen, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 401, 3), dtype=np.uint8)
    placed = placement.resize_and_centre_crop(300, 401, target=(96, 128))
    expected = placement.place(pixels, placed)
    monkeypatch.setattr(stretching, "_WORTH_COMPILING", 0)
    assert (placement.place(pixels, placed) == expected).all()
    monkeypatch.setattr(placement, "_by_pillow", None)
    assert (placement.place(pixels[::-1, ::-1], placed) != expected).any()


def test_where_pillow_differs_it_stays_with_pillow(unseen):
    pixels, side = np.zeros((20, 30, 3), np.uint8), Side(10, 0, 10)
    other = np.ones((20, 10, 3), np.uint8)
    assert (stretching.stretch(pixels, 1, side, lambda: other) == other).all()
    assert not stretching.is_worth_it(np.zeros((1, 2**26, 3), np.uint8))


def test_many_pictures_take_it_and_few_and_gray_ones_do_not(unseen):
    picture = np.zeros((1024, 1024, 3), np.uint8)
    assert not stretching.is_worth_it(picture)
    assert [stretching.is_worth_it(picture) for _ in range(22)][-1]
    assert not stretching.is_worth_it(picture[..., :1])


def test_without_numba_pillow_does_it(unseen, monkeypatch):
    monkeypatch.setattr(stretching, "_has_numba", lambda: False)
    assert not stretching.is_worth_it(np.zeros((1, 2**26, 3), np.uint8))


def test_a_picture_loads_no_numba():
    code = (
        "import sys, numpy as np; from hipmr_hf import MixingUp; "
        "MixingUp(64)(np.zeros((80, 90, 3), np.uint8)); sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
