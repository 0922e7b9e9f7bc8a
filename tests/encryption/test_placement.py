"""Where pixels land: the same bytes under every Pillow, and extreme shapes without extreme cost."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from hipmr_hf import MixingUp, RandomShuffling, Sides
from hipmr_hf.encryption.placement import Placement, place, resize_and_centre_crop, whole_patches

# (height, width) of the picture and the square that it is brought to: SHA-256 of the bytes, computed under
# Pillow 11.3, 12.3 and 13.0 alike.
PINNED: dict[tuple[int, int, int], str] = {
    (40, 52, 32): "0880c131c7815e448ba9573e59ce91e8d1a1bd465040d917ef0a11cea761e2e1",
    (512, 768, 224): "4b46daab3eacb6ea0aff79697e4e8c369be07246f2b788160042afbab6d366f0",
    (64, 64, 224): "e7d293f65aa11cb6a023ae8edfaa7155f240c4543c81cf26099575094cd12e4e",
    (100, 300, 64): "8fa9c38acc2fed17644459c00bd5de20472fba15d0b12479cf5e7a607f29c4ac",
    (300, 100, 64): "3436ce53e9dc02df24a500bff46087195278d3066d969d783d400843178a28dc",
    (91, 37, 64): "5b4f3edbdc47b2df9366d5e9f1f405ed9d06838157a2cdeea0818ee586d5c851",
    (1000, 499, 224): "ebe395679c377a9e362e9a224f82ad6559a42fcd34c55419ccc3f59bd77c5abe",
    (1000, 501, 224): "e56f98d267c500c3d8d93e57fd6bd562f50fc568f7644c531c1d725879333f94",
    (500, 100, 64): "fbcf78e9ca1758723585d3b7e10a28ddfc161dadeae7cc54fce79895f35cb899",
    (2000, 100, 128): "e6d6ee25ab34637878dff9723aa4351c8412e71a2e764c71351ec41a134f7acd",
    (100, 2000, 128): "223a415dd4c1d8d75963da4b81ca8d9d47b93f768297a69c19d021ef6058797a",
    (1300, 20, 20): "fbf4091126895f229b854f061f755697f5bf3f4686c7a0b7bf56125f3a147a15",
    (20, 1300, 20): "ef5e0f6fbc894ea727945800e1c283a6dfe9c2aedaf657b1082a7f388f59ac67",
    (16, 60000, 224): "a8b8ae76e264e4a7b59e55a0d8ae2f8e7c8561626aff75ce8b2cf988a90690fe",
    (60000, 16, 224): "c04bb6b481e1317febb161f9e6dbf35d6b2b90382e7a13224cd257c2cabdb196",
    (4, 100000, 224): "b1d20640f52b6fb8ae8cff0096641abd8898c64609f41932ced04de0a26650e9",
    (100000, 4, 224): "b45dca50349947b944f3bbaaff8ae072d43fc0a7bea5cbfc92636bb7a093b88d",
    (7, 3000, 7): "f689d84c37aaa099ae927c2430fe276b52b08759924fa3f03aff4ad01747471c",
    (3000, 7, 7): "22b28af9b8cfbbb3e2f25ffceda47a6a0f0c00882d95334f091069fd4f4dd25c",
}


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    """Random bytes that no release of numpy draws otherwise."""
    need = height * width * channels
    blocks = [hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(need // 32 + 1)]
    return np.frombuffer(b"".join(blocks), np.uint8)[:need].reshape(height, width, channels)


def placed(height: int, width: int, side: int, channels: int = 3) -> np.ndarray:
    return place(noise(height, width, channels), resize_and_centre_crop(height, width, target=(side, side)))


def resized_whole(pixels: np.ndarray, placement: Placement) -> np.ndarray:
    """The definition: two calls of Pillow, then the crop."""
    rows, columns, top, left, height, width = placement
    first = Image.fromarray(pixels).resize((columns, pixels.shape[0]), Image.Resampling.BICUBIC)
    second = np.asarray(first.resize((columns, rows), Image.Resampling.BICUBIC))
    return second[top : top + height, left : left + width]


@pytest.mark.parametrize("shape", PINNED, ids=str)
def test_the_same_picture_gives_the_same_bytes_under_every_pillow(shape):
    assert hashlib.sha256(placed(*shape).tobytes()).hexdigest() == PINNED[shape]


@pytest.mark.parametrize(
    ("height", "width", "side"),
    [
        (40, 52, 32),
        (512, 768, 224),
        (300, 100, 64),
        (100, 300, 64),
        (1000, 499, 224),
        (20, 1280, 20),
        (70, 9, 8),
    ],
)
def test_up_to_a_ratio_of_64_the_window_is_that_of_the_whole_resized_picture(height, width, side):
    placement = resize_and_centre_crop(height, width, target=(side, side))
    assert (placed(height, width, side) == resized_whole(noise(height, width), placement)).all()


def test_strips_change_no_byte(monkeypatch):
    whole = placed(300, 200, 64)
    monkeypatch.setattr("hipmr_hf.encryption.placement._STRIP_PIXELS", 1000)
    assert (placed(300, 200, 64) == whole).all()


def test_a_gray_array_keeps_its_one_channel():
    gray = placed(50, 60, 32, channels=1)
    as_rgb = place(np.repeat(noise(50, 60, 1), 3, axis=2), resize_and_centre_crop(50, 60, target=(32, 32)))
    assert gray.shape == (32, 32, 1) and (gray == as_rgb[..., :1]).all()


def test_pixels_of_the_right_size_are_only_cropped():
    pixels = noise(50, 60)
    assert (place(pixels, whole_patches(50, 60, patch_size=16)) == pixels[:48, :48]).all()


@pytest.mark.parametrize("shape", [(16, 3000), (3000, 16), (9, 4000), (2500, 30)])
def test_an_extreme_shape_is_cut_to_the_same_window_within_one_grey_level(shape):
    placement = resize_and_centre_crop(*shape, target=(24, 24))
    assert max(placement[:2]) > 64 * 24
    whole = resized_whole(noise(*shape), placement)
    assert np.abs(placed(*shape, 24).astype(int) - whole).max() <= 1


def test_what_lies_outside_of_the_window_of_an_extreme_shape_is_not_looked_at():
    pixels = noise(16, 5000).copy()
    before = place(pixels, resize_and_centre_crop(16, 5000, target=(32, 32)))
    pixels[:, :2480] = pixels[:, 2520:] = 0
    assert (place(pixels, resize_and_centre_crop(16, 5000, target=(32, 32))) == before).all()


def test_owner_and_client_cut_alike():
    pixels = noise(16, 5000)
    settings = RandomShuffling(image_size=32, patch_size=16)
    assert (settings.prepare(Image.fromarray(pixels)) == settings.prepare(pixels)).all()


def test_sides_that_no_image_has_are_refused():
    with pytest.raises(ValueError, match=r"would become 800x5000000.*bound the longer side"):
        MixingUp(image_size=Sides(800), patch_size=4).placement(16, 100_000)


# A child of its own, since the peak of a process never falls. `VmHWM` starts anew with the child; `ru_maxrss`
# may begin with what its parent held.
MEASURE = """
import sys
import numpy as np
from hipmr_hf import RandomShuffling

def peak():
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024

height, width, patch = map(int, sys.argv[1:])
settings = RandomShuffling(image_size=224, patch_size=patch)
settings.prepare(np.zeros((300, 400, 3), np.uint8))
before = peak()
settings.prepare(np.full((height, width, 3), 7, np.uint8))
print(peak() - before)
"""


@pytest.mark.parametrize(
    ("height", "width", "patch"),
    [
        (4, 100_000, 4),
        (60_000, 16, 16),
        (16, 60_000, 16),
        (1, 2_000_000, 1),
        (4000, 3000, 16),
        (14_000, 230, 16),
    ],
)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak from /proc")
def test_the_peak_stays_below_the_pixels_twice_and_50_mb(height, width, patch):
    command = [sys.executable, "-c", MEASURE, str(height), str(width), str(patch)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2 * (height * width * 3) + 50_000_000
