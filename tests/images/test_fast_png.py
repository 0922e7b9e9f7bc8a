"""PNG files by ISA-L are PNG files: every reader finds the pixels, and nothing else is in them."""

import io
import sys

import numpy as np
import PIL.Image
import pytest

from hipmr_hf.errors import MissingExtraError
from hipmr_hf.images.chunks import foreign_parts
from hipmr_hf.images.writing import encode_image

pytest.importorskip("isal", reason="optional: the extra fast")


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (33, 20), (224, 224)])
def test_all_pixels_come_back_and_nothing_else_is_there(size):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    ramp = np.broadcast_to(np.arange(size[0], dtype=np.uint8)[:, None, None], (*size, 3))
    for pixels in (noise, ramp, np.full((*size, 3), 255, np.uint8)):
        file = encode_image(pixels, "png-fast")
        with PIL.Image.open(io.BytesIO(file)) as image:
            assert image.format == "PNG" and image.mode == "RGB"
            assert (np.asarray(image) == pixels).all()
        assert list(foreign_parts(file)) == []


def test_smooth_pictures_take_a_fraction_of_their_pixels():
    row = np.arange(224)
    pixels = np.stack([(row[:, None] + factor * row) % 256 for factor in (1, 2, 3)], axis=2).astype(np.uint8)
    assert len(encode_image(pixels, "png-fast")) < 0.1 * pixels.nbytes


def test_who_has_not_installed_it_is_told_how(monkeypatch):
    monkeypatch.setitem(sys.modules, "isal", None)
    with pytest.raises(MissingExtraError, match=r"hipmr-hf\[fast\]"):
        encode_image(np.zeros((2, 2, 3), np.uint8), "png-fast")
