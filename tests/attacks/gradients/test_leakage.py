"""Gradients of one image give its encrypted patches back; those of a large batch do not."""

import numpy as np
import pytest
import torch

from hipmr_hf.attacks.gradients.leakage import gradient_leakage, gradients_of
from hipmr_hf.encryption import RandomShuffling
from hipmr_hf.models import PEViTConfig, PEViTForImageClassification


def classifier(position_encoding: str, image_size: int, *, hidden_size: int = 64, patch_size: int = 8):
    torch.manual_seed(0)
    config = PEViTConfig(
        hidden_size=hidden_size,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=2 * hidden_size,
        patch_size=patch_size,
        image_size=image_size,
        position_encoding=position_encoding,
        num_labels=10,
    )
    return PEViTForImageClassification(config)


def encrypted(photo: np.ndarray, image_size: int, count: int = 1, patch_size: int = 8) -> np.ndarray:
    settings = RandomShuffling(image_size=image_size, patch_size=patch_size)
    windows = [np.ascontiguousarray(photo[:, 10 * index : 10 * index + 400]) for index in range(count)]
    return np.stack([settings(window) for window in windows])


def test_positions_give_the_picture_back_in_place(photo):
    images = encrypted(photo, 32)

    result = gradient_leakage(classifier("absolute", 32), images, [3], steps=0)

    assert result.effort["method"] == "positions"
    assert result.scores["in_place"] == 1 and result.chance["in_place"] == 0
    assert np.abs(result.reconstruction.astype(int) - images[0]).max() <= 1


def test_without_positions_the_patches_come_back_as_a_set(photo):
    result = gradient_leakage(classifier("reference", 24), encrypted(photo, 24), [3], steps=0)

    assert result.effort["method"] == "relu"
    assert result.scores["recovered"] > 0.75 and result.scores["patch_psnr"] > 30
    assert result.scores["in_place"] < 1


def test_matching_gradients_recovers_patches_where_no_closed_form_holds(photo):
    images = encrypted(photo, 16)

    result = gradient_leakage(classifier("none", 16), images, [3], steps=150)

    assert result.effort["method"] == "matching"
    assert result.scores["recovered"] >= 0.75


@pytest.mark.parametrize("position_encoding", ["absolute", "reference"])
def test_averaged_gradients_of_a_large_batch_do_not_give_the_patches(photo, position_encoding):
    images = encrypted(photo, 32, count=12)

    result = gradient_leakage(classifier(position_encoding, 32), images, [*range(10), 0, 1], steps=3)

    assert result.scores["recovered"] < 0.1


def test_the_model_is_left_as_it_was(photo):
    model = classifier("absolute", 16).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}

    gradient_leakage(model, encrypted(photo, 16), [0], steps=2)

    assert model.training and all(weight.grad is None for weight in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_gradients_are_those_of_training(photo):
    model = classifier("reference", 16).eval()
    pixels, labels = torch.rand(2, 3, 16, 16), torch.tensor([1, 2])

    found = gradients_of(model, pixels, labels)
    model(pixel_values=pixels, labels=labels).loss.backward()

    for name, weight in model.named_parameters():
        torch.testing.assert_close(found[name], weight.grad, rtol=1e-3, atol=1e-6)


def test_a_model_without_patches_is_refused():
    with pytest.raises(ValueError, match="patch embedding"):
        gradient_leakage(torch.nn.Linear(4, 2), np.zeros((1, 2, 2, 1), np.uint8), [0])
