"""A JPEG is decoded at the size that is needed: close to the whole, never below three times the target."""

import io

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipmr_hf import Encryption, MixingUp, RandomShuffling, SecretKey, Sides
from hipmr_hf.dataset.rows import RowEncryption
from hipmr_hf.encryption.decoding import Sized
from hipmr_hf.encryption.keys import new_nonce
from hipmr_hf.errors import ImageReadingError, InputValueError
from hipmr_hf.images.reading import read_image
from hipmr_hf.metrics.image_similarity import psnr

ORIENTATION = 0x0112


def photographs() -> list[PIL.Image.Image]:
    from sklearn.datasets import load_sample_images

    return [PIL.Image.fromarray(image) for image in load_sample_images().images]  # 640 x 427


def jpeg(image: PIL.Image.Image, *, orientation: int = 1, **options) -> bytes:
    exif, file = PIL.Image.Exif(), io.BytesIO()
    exif[ORIENTATION] = orientation
    image.save(file, "JPEG", **{"quality": 92, "exif": exif, **options})
    return file.getvalue()


def prepared(file: bytes, encryption: Encryption) -> np.ndarray:
    return encryption.prepare(PIL.Image.open(io.BytesIO(file)))


def both(file: bytes, **knobs) -> list[np.ndarray]:
    kinds = ("reduced", "full")
    return [prepared(file, RandomShuffling(patch_size=16, jpeg_decoding=kind, **knobs)) for kind in kinds]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}], ids=str)
@pytest.mark.parametrize("side", [48, 64])
def test_photographs_come_within_45_db_of_the_full_decoding(side, options):
    for photograph in photographs():
        reduced, full = both(jpeg(photograph, **options), image_size=side)
        assert (reduced != full).any()  # else nothing was tested
        assert psnr(reduced, full) > 45


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_seen_alike(orientation):
    file = jpeg(photographs()[0], orientation=orientation)
    reduced, full = both(file, image_size=(64, 48))
    assert (reduced != full).any() and psnr(reduced, full) > 45


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_other_modes_are_reduced_too(mode):
    reduced, full = both(jpeg(photographs()[1].convert(mode)), image_size=64)
    assert (reduced != full).any() and psnr(reduced, full) > 45


@settings(max_examples=60, deadline=None)
@given(st.integers(9, 400), st.integers(9, 400), st.integers(1, 8), st.integers(1, 12), st.integers(1, 12))
def test_never_below_three_times_the_target(height, width, orientation, rows, columns):
    encryption = MixingUp(image_size=(8 * rows, 8 * columns), patch_size=8)
    file = jpeg(PIL.Image.new("RGB", (width, height)), orientation=orientation)
    sized = Sized(encryption)
    seen = read_image(file, least=sized).shape[:2]
    full = read_image(file).shape[:2]
    target = encryption.placement(*full)[:2]
    assert sized.size == full
    scales = {tuple(-(-side // scale) for side in full) for scale in (1, 2, 4, 8)}
    assert seen in scales
    for side, least, own in zip(seen, target, full, strict=True):
        assert side >= min(own, 3 * least)


def test_the_image_given_stays_as_it_was():
    image = PIL.Image.open(io.BytesIO(jpeg(photographs()[0])))
    encryption = RandomShuffling(image_size=48)
    first = encryption.prepare(image)
    assert image.size == (640, 427) and (encryption.prepare(image) == first).all()
    image.load()  # what is loaded is used as it is
    whole = RandomShuffling(image_size=48, jpeg_decoding="full").prepare(image)
    assert (encryption.prepare(image) == whole).all() and (whole != first).any()


@pytest.mark.parametrize("decoding", ["reduced", "full"])
@pytest.mark.parametrize("kind", [RandomShuffling(image_size=64), MixingUp(image_size=Sides(64))], ids=str)
def test_the_client_gets_the_pixels_of_the_owner(tmp_path, kind, decoding):
    encryption = type(kind).from_dict({**kind.to_dict(), "jpeg_decoding": decoding})
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg(photographs()[0], orientation=3))
    key, nonce = SecretKey.generate(), new_nonce()
    row = RowEncryption(encryption, "image", ())
    row = row if not encryption.draws_randomness else RowEncryption(encryption, "image", (), key=key)
    columns = row({"image": [path.read_bytes()]}, [0])
    owner = read_image(columns["image"][0]["bytes"])
    for given_ in (path, str(path), PIL.Image.open(path)):
        if encryption.draws_randomness:
            pixels = encryption.encrypt_batch(
                encryption.prepare(given_)[None], key=key, nonces=columns["nonce"], remember_nonces=False
            )[0]
        else:
            pixels = np.asarray(encryption(given_))
        assert (pixels == owner).all()
    assert nonce not in columns.get("nonce", [])


def test_keyed_orders_do_not_depend_on_it():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    key, nonce = SecretKey.generate(), new_nonce()
    found = [
        RandomShuffling(image_size=64, jpeg_decoding=kind).encrypt_batch(
            image[None], key=key, nonces=[nonce], remember_nonces=False
        )
        for kind in ("reduced", "full")
    ]
    assert (found[0] == found[1]).all()


def test_old_settings_mean_full_and_new_ones_say_reduced(tmp_path):
    for kind in (RandomShuffling, MixingUp):
        new, old = kind(image_size=64), kind(image_size=64, jpeg_decoding="full")
        assert new.to_dict()["jpeg_decoding"] == "reduced" and "jpeg_decoding" not in old.to_dict()
        for settings_ in (new, old):
            settings_.save_pretrained(tmp_path)
            assert Encryption.from_pretrained(tmp_path) == settings_
    with pytest.raises(InputValueError, match="jpeg_decoding: got 'half'"):
        RandomShuffling(jpeg_decoding="half")


def test_a_picture_too_small_is_told_as_before():
    file = jpeg(PIL.Image.new("RGB", (8, 8)))
    with pytest.raises(InputValueError, match="smaller than one patch"):
        prepared(file, RandomShuffling())


@pytest.mark.parametrize("jpeg_decoding", ["reduced", "full"])
def test_a_file_with_a_wrong_sum_is_refused_alike(jpeg_decoding):
    file = io.BytesIO()
    PIL.Image.new("RGB", (64, 64), (9, 1, 2)).save(file, "PNG")
    damaged = bytearray(file.getvalue())
    damaged[damaged.index(b"IDAT") + 8] ^= 0xFF
    encryption = RandomShuffling(image_size=32, patch_size=8, jpeg_decoding=jpeg_decoding)
    with pytest.raises(ImageReadingError):
        encryption(PIL.Image.open(io.BytesIO(bytes(damaged))))
    with pytest.raises(ImageReadingError):
        read_image(bytes(damaged), least=lambda height, width, mirrored: (32, 32))
