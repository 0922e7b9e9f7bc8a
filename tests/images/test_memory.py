"""What one picture may cost: bounded pixels, memory by its pixels, and a run that goes on without it.

Each measurement has a process of its own, since a process's peak never falls. `VmHWM` starts anew with a
process; `ru_maxrss` may begin with what its parent held.
"""

import io
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
from datasets import Dataset, Features, Image
from picture_files import RGB, file_of, noise, png

from hipmr_hf import MixingUp
from hipmr_hf.cli import main
from hipmr_hf.dataset.job import EncryptionJob
from hipmr_hf.dataset.mapping import encrypt_dataset
from hipmr_hf.dataset.rows import RowEncryption
from hipmr_hf.errors import ImageReadingError
from hipmr_hf.images.reading import read_image

MEGABYTE = 1_000_000
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak from /proc")


@pytest.fixture
def small_bound(monkeypatch):
    """Pillow's own bound, set to 100 x 100 pixels."""
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 10_000)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "TIFF", "GIF"])
def test_max_pixels_goes_beyond_pillows_bound_for_this_picture_alone(image_format, small_bound):
    file = file_of(noise(200, 150), image_format)
    with pytest.raises(ImageReadingError, match=r"give max_pixels \(--max-pixels\)"):
        read_image(file)
    assert read_image(file, max_pixels=30_000).shape == (200, 150, 3)
    with pytest.raises(ImageReadingError, match="more than max_pixels = 29999"):
        read_image(file, max_pixels=29_999)
    assert PIL.Image.MAX_IMAGE_PIXELS == 10_000


def test_max_pixels_may_lie_below_pillows_bound():
    with pytest.raises(ImageReadingError, match="more than max_pixels = 99"):
        read_image(file_of(noise(10, 10), "PNG"), max_pixels=99)
    with pytest.raises(ImageReadingError, match="more than max_pixels = 99"):
        read_image(PIL.Image.new("L", (10, 10)), max_pixels=99)


@pytest.mark.parametrize("max_pixels", [0, -1, 1.5, True, "many"])
def test_other_values_are_refused(max_pixels):
    with pytest.raises(ValueError, match="max_pixels: got"):
        read_image(noise(4, 4), max_pixels=max_pixels)
    with pytest.raises(ValueError, match="max_pixels: got"):
        EncryptionJob(MixingUp(), max_pixels=max_pixels)


def dataset_of(*files: bytes) -> Dataset:
    rows = [{"bytes": file, "path": None} for file in files]
    return Dataset.from_dict({"image": rows}, features=Features({"image": Image()}))


def test_the_limit_is_each_pictures_own_in_a_dataset(small_bound):
    plain = dataset_of(*(file_of(noise(side, 160), "PNG") for side in (160, 40, 200)))
    skipped = []
    encrypted = encrypt_dataset(
        plain, MixingUp(), max_pixels=160 * 160, on_error="skip", on_skip=lambda _, rows: skipped.extend(rows)
    )
    assert len(encrypted) == 2 and skipped == [2]


def test_the_limit_can_be_told_on_the_command_line(tmp_path, small_bound):
    (tmp_path / "plain").mkdir()
    for name, side in (("small", 160), ("large", 200)):
        (tmp_path / "plain" / f"{name}.png").write_bytes(file_of(noise(side, 160), "PNG"))
    command = ["encrypt", str(tmp_path / "plain"), "--strategy", "mi", "--on-error", "skip"]
    command += ["--max-pixels", "25600", "--output-dir", str(tmp_path / "out")]
    assert not main(command)
    (shard,) = (tmp_path / "out").rglob("*.parquet")
    assert len(Dataset.from_parquet(str(shard), cache_dir=str(tmp_path / "cache"))) == 1


MEASURE = """
import sys
from hipmr_hf.images.reading import read_image

def peak():
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024

small, large = (open(path, "rb").read() for path in sys.argv[1:])
read_image(small)
before = peak()
pixels = read_image(large)
print(peak() - before, pixels.nbytes)
"""
EXIF = PIL.Image.Exif()
EXIF[0x0112] = 6
# Decoders that hold more than their picture (progressive JPEG, WebP, JPEG 2000, AVIF) are told of in the
# docstring of `read_image`.
WRITTEN = {
    "PNG": ("RGB", {}),
    "PNG with alpha": ("RGBA", {}),
    "16-bit PNG": ("I;16", {}),
    "JPEG": ("RGB", {"exif": EXIF}),
    "BMP": ("RGB", {}),
    "TIFF": ("RGB", {}),
    "PPM": ("RGB", {}),
    "GIF": ("P", {}),
}


@linux
@pytest.mark.parametrize("kind", WRITTEN)
def test_the_peak_of_reading_stays_below_the_pixels_twice_and_50_mb(kind, tmp_path):
    mode, options = WRITTEN[kind]
    files = []
    for side in (100, 5000):
        blank = np.zeros((side, side), np.uint16) if mode == "I;16" else None
        image = PIL.Image.new(mode, (side, side)) if blank is None else PIL.Image.fromarray(blank)
        files.append(tmp_path / f"{side}")
        files[-1].write_bytes(file_of(image, next(f for f in PIL.Image.SAVE if f in kind), **options))
    done = subprocess.run([sys.executable, "-c", MEASURE, *files], capture_output=True, text=True, check=True)
    peak, size = map(int, done.stdout.split())
    assert size == 5000 * 5000 * 3 and peak < 2 * size + 50 * MEGABYTE


STARVED = """
import io, resource, sys
import numpy as np, PIL.Image
from hipmr_hf import MixingUp
from hipmr_hf.dataset.rows import RowEncryption
from hipmr_hf.images.reading import read_image

def file_of(side):
    file = io.BytesIO()
    PIL.Image.new("RGB", (side, side)).save(file, "PNG")
    return file.getvalue()

rows = [file_of(side) for side in (64, {side}, 64)]
encrypt = RowEncryption(MixingUp(), "image", (), on_error="skip")
encrypt({{"image": [file_of(500)]}}, [0])
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + {room}, held + {room}))
columns, skipped = encrypt.encrypt({{"image": rows}}, range(3))
print(len(columns["image"]), skipped)
"""


@linux
def test_where_memory_ends_the_row_is_skipped_and_not_the_run():
    code = STARVED.format(side=8000, room=200 * MEGABYTE)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "2 [(1, 'the image needs more memory than there is.')]", done.stderr


@pytest.mark.parametrize(("most", "skipped"), [(1, []), (0, [0, 1, 2])])
def test_rows_that_do_not_fit_together_are_encrypted_alone(most, skipped, monkeypatch):
    encrypt_batch = MixingUp.encrypt_batch

    def with_little_memory(self, images, **options):
        if len(images) > most:
            raise MemoryError
        return encrypt_batch(self, images, **options)

    monkeypatch.setattr(MixingUp, "encrypt_batch", with_little_memory)
    encrypt = RowEncryption(MixingUp(), "image", (), on_error="skip")
    columns, refused = encrypt.encrypt({"image": [noise(32, 32)] * 3}, range(3))
    assert len(columns["image"]) == 3 - len(skipped)
    assert refused == [(row, "the image needs more memory than there is.") for row in skipped]


@linux
def test_a_picture_that_fits_the_bound_is_read_within_it():
    code = STARVED.format(side=5000, room=(2 * 75 + 50) * MEGABYTE).replace(
        "columns, skipped = encrypt.encrypt", "print(read_image(rows[1]).shape); sys.exit()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "(5000, 5000, 3)", done.stderr


def test_a_tiny_file_of_extreme_sides_costs_nothing():
    file = png([b"\7" * 300_000] * 4, 100_000, 8, RGB)
    assert len(file) < 2000
    encrypted = encrypt_dataset(dataset_of(file), MixingUp(image_size=32, patch_size=4))
    assert encrypted[0]["image"].size == (16, 16)
    assert read_image(file).shape == (4, 100_000, 3)
    with PIL.Image.open(io.BytesIO(file)) as image:
        assert MixingUp(image_size=32, patch_size=4)(image).size == (16, 16)
