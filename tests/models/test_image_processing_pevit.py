import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, ViTImageProcessorPil, pipeline

from hipmr_hf import MixingUp, RandomShuffling
from hipmr_hf.leaks import borders
from hipmr_hf.models import PEViTConfig, PEViTForImageClassification, PEViTImageProcessorPil
from hipmr_hf.models.image_processing_pevit import border_ratio, logger


@pytest.fixture
def images():
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (16, 24, 3), dtype=np.uint8) for _ in range(3)]


@pytest.mark.parametrize("kind", ["pil", "channels_last", "channels_first", "torch", "batch"])
def test_every_kind_of_input_gives_the_same_pixel_values(images, kind):
    inputs = {
        "pil": [Image.fromarray(image) for image in images],
        "channels_last": images,
        "channels_first": [image.transpose(2, 0, 1) for image in images],
        "torch": [torch.from_numpy(image.transpose(2, 0, 1)) for image in images],
        "batch": np.stack(images),
    }[kind]
    pixel_values = PEViTImageProcessorPil(patch_size=8)(inputs, return_tensors="np").pixel_values
    expected = np.stack(images).transpose(0, 3, 1, 2).astype(np.float64) / 127.5 - 1
    assert pixel_values.dtype == np.float32
    np.testing.assert_allclose(pixel_values, expected, atol=1e-6)


@pytest.mark.parametrize(
    "settings", [{}, {"do_normalize": False}, {"do_rescale": False, "image_mean": 100.0}]
)
def test_agrees_with_transformers_step_by_step(images, settings):
    settings = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4], **settings}
    ours = PEViTImageProcessorPil(patch_size=8, **settings)(images, return_tensors="np").pixel_values
    theirs = ViTImageProcessorPil(do_resize=False, **settings)(images, return_tensors="np").pixel_values
    np.testing.assert_allclose(ours, theirs, atol=1e-6, rtol=1e-6)


def test_torch_tensors_are_contiguous_and_writable(images):
    pixel_values = PEViTImageProcessorPil(patch_size=8)(images, return_tensors="pt").pixel_values
    assert pixel_values.shape == (3, 3, 16, 24)
    assert pixel_values.is_contiguous()


def test_images_are_left_as_they_were(images):
    before = [image.copy() for image in images]
    PEViTImageProcessorPil(patch_size=8)(images, return_tensors="np")
    for image, copy in zip(images, before, strict=True):
        np.testing.assert_array_equal(image, copy)


def test_grayscale_becomes_rgb():
    image = Image.fromarray(np.full((16, 16), 255, dtype=np.uint8))
    pixel_values = PEViTImageProcessorPil(patch_size=8)(image, return_tensors="np").pixel_values
    np.testing.assert_array_equal(pixel_values, np.ones((1, 3, 16, 16)))


def test_several_sizes_come_back_as_a_list(images):
    inputs = [images[0], np.zeros((8, 8, 3), dtype=np.uint8)]
    pixel_values = PEViTImageProcessorPil(patch_size=8)(inputs).pixel_values
    assert [value.shape for value in pixel_values] == [(3, 16, 24), (3, 8, 8)]
    with pytest.raises(ValueError, match=r"images of one size, got .*\(8, 8\), \(16, 24\)"):
        PEViTImageProcessorPil(patch_size=8)(inputs, return_tensors="np")


@pytest.mark.parametrize("shape", [(16, 20, 3), (12, 16, 3)])
def test_an_image_of_broken_patches_is_refused_with_the_remedy(shape):
    with pytest.raises(ValueError, match="not whole patches of `patch_size` 8") as error:
        PEViTImageProcessorPil(patch_size=8)(np.zeros(shape, dtype=np.uint8))
    for word in ("RandomShuffling", "MixingUp", "encryption_config.json"):
        assert word in str(error.value)


@pytest.mark.parametrize("name", ["do_resize", "do_center_crop", "do_pad"])
def test_geometry_is_refused(images, name):
    with pytest.raises(ValueError, match=f"{name}.* is refused"):
        PEViTImageProcessorPil(**{name: True})
    with pytest.raises(ValueError, match=f"{name}.* is refused"):
        PEViTImageProcessorPil(patch_size=8)(images, **{name: True})
    PEViTImageProcessorPil(patch_size=8)(images, **{name: False})


def test_a_size_is_refused(images):
    with pytest.raises(ValueError, match=r"size.* is refused"):
        PEViTImageProcessorPil(patch_size=8)(images, size={"height": 224, "width": 224})


def test_patch_size_must_be_positive():
    with pytest.raises(ValueError, match="`patch_size` must be a positive integer, got -1"):
        PEViTImageProcessorPil(patch_size=-1)


def test_settings_survive_saving_and_hold_nothing_else(tmp_path):
    PEViTImageProcessorPil(patch_size=8, image_mean=[0.1, 0.2, 0.3]).save_pretrained(tmp_path)
    PEViTConfig().save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "preprocessor_config.json").read_text())
    reloaded = AutoImageProcessor.from_pretrained(tmp_path)
    assert type(reloaded) is PEViTImageProcessorPil
    assert (reloaded.patch_size, list(reloaded.image_mean)) == (8, [0.1, 0.2, 0.3])
    names = "do_convert_rgb do_normalize do_rescale image_mean image_std patch_size rescale_factor"
    assert sorted(stored) == names.split()


# Plain pictures


@pytest.fixture
def warnings(monkeypatch):
    """What is warned of, each time, however often the process has said it before."""
    told = []
    monkeypatch.setattr(logger, "warning_once", told.append)
    return told


def test_the_encrypted_size_is_saved_and_any_other_size_is_refused(tmp_path):
    encryption = RandomShuffling(image_size=32, patch_size=8, drop_ratio=0.5)
    size = {"patch_size": encryption.encrypted_patch_size, "encrypted_size": encryption.encrypted_size}
    PEViTImageProcessorPil(**size).save_pretrained(tmp_path)
    processor = PEViTImageProcessorPil.from_pretrained(tmp_path)
    assert list(processor.encrypted_size) == [16, 32]
    assert processor(np.zeros((16, 32, 3), np.uint8)).pixel_values[0].shape == (3, 16, 32)
    with pytest.raises(ValueError, match=r"is 32x16 pixels .*this model is 16x32, so it is plain.*settings"):
        processor(np.zeros((32, 16, 3), np.uint8))


@pytest.mark.parametrize("size", [(16,), (16, 20), (0, 16)])
def test_an_encrypted_size_of_broken_patches_is_refused(size):
    with pytest.raises(ValueError, match=r"`encrypted_size` must be .* in whole patches of 8 pixels, got"):
        PEViTImageProcessorPil(patch_size=8, encrypted_size=size)


ENCRYPTIONS = (RandomShuffling(), RandomShuffling(sub_patch_grid=2), MixingUp(image_size=224))


@pytest.mark.parametrize("encryption", ENCRYPTIONS, ids=["RS", "RS+MI", "MI"])
def test_a_plain_photograph_is_warned_of_and_its_encryption_is_not(photo, encryption, warnings):
    processor = PEViTImageProcessorPil(patch_size=encryption.encrypted_patch_size)
    processor([encryption(photo)] * 3)
    assert warnings == []
    processor([MixingUp(image_size=encryption.encrypted_size, patch_size=8).prepare(photo)] * 3)
    assert len(warnings) == 1 and "A picture may be plain: its patches continue each other" in warnings[0]


def test_one_encrypted_picture_that_looks_plain_by_chance_does_not_make_a_batch_look_so(photo, warnings):
    """A grainy sky, mixed up: its patches continue each other."""
    mixing = MixingUp(image_size=96, patch_size=8)
    sky = np.broadcast_to(np.linspace(90, 150, 96)[:, None, None], (96, 96, 3))
    sky = (sky + np.random.default_rng(0).normal(0, 8, sky.shape)).astype(np.uint8)
    processor = PEViTImageProcessorPil(patch_size=4)
    processor([mixing(sky), mixing(photo)])
    assert warnings == []
    processor([mixing(sky)])
    assert len(warnings) == 1


@pytest.mark.parametrize("patch_size", [2, 8, 16, 56, 224])
def test_borders_are_judged_as_the_search_for_leaks_judges_them(photo, patch_size):
    """The files of `models` travel to the Hub alone, so what is measured stands in both places."""
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    for pixels in (photo[:224, :224], RandomShuffling()(photo), noise, np.zeros((224, 224, 3), np.uint8)):
        expected = borders.border_ratio(np.ascontiguousarray(pixels), patch_size)
        found = border_ratio(np.ascontiguousarray(pixels.transpose(2, 0, 1)), patch_size)
        assert found == (None if expected is None else pytest.approx(expected, rel=1e-5))


def test_the_pipeline_refuses_a_photograph_and_warns_of_a_cropped_one(photo, tmp_path, warnings):
    encryption = RandomShuffling()
    config = PEViTConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, num_labels=3)
    PEViTForImageClassification(config).save_pretrained(tmp_path)
    PEViTImageProcessorPil(encrypted_size=encryption.encrypted_size).save_pretrained(tmp_path)
    classify = pipeline("image-classification", model=str(tmp_path), device="cpu")
    plain = Image.fromarray(photo)
    with pytest.raises(ValueError, match="so it is plain, or was encrypted in another way"):
        classify(plain.crop((0, 0, 640, 416)))
    assert len(classify(encryption(plain))) == 3 and warnings == []
    assert len(classify(Image.fromarray(encryption.prepare(plain)))) == 3
    assert len(warnings) == 1
