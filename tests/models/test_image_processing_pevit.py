import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, ViTImageProcessorPil

from hipmr_hf.models import PEViTConfig, PEViTImageProcessorPil


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
    names = "auto_map do_convert_rgb do_normalize do_rescale image_mean image_processor_type image_std"
    assert sorted(stored) == [*names.split(), "patch_size", "rescale_factor"]
