"""A patch embedding fitted on public pictures gives the tokens of the old one as well as patches allow."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images
from sklearn.linear_model import Ridge
from transformers import Dinov2Config, Dinov2Model

from hipmr_hf import MixingUp, RandomShuffling
from hipmr_hf.adaptation import refit
from hipmr_hf.adaptation.pairs import patch_pairs
from hipmr_hf.adaptation.refit import refit_patch_embedding
from hipmr_hf.encryption.places import encrypt_with_places
from hipmr_hf.errors import InputValueError
from hipmr_hf.models import PEViTConfig
from hipmr_hf.models.convert_transformers import convert_transformers_state_dict
from hipmr_hf.models.embeddings_pevit import build_patch_embeddings
from hipmr_hf.models.image_processing_pevit import PEViTImageProcessorPil

CONFIG = Dinov2Config(hidden_size=24, num_hidden_layers=1, num_attention_heads=2, image_size=64, patch_size=8)
HARD = {"interval": 2, "sub_patch_grid": 2, "sub_patch_symmetries": True, "shuffle_tones": True}


@pytest.fixture(scope="module")
def pictures():
    """Crops of two photographs that come with scikit-learn."""
    rng = np.random.default_rng(0)
    photos = load_sample_images().images
    corners = rng.integers(0, 300, (40, 2))
    return [photos[i % 2][top : top + 96, left : left + 96] for i, (top, left) in enumerate(corners)]


def converted(**settings):
    torch.manual_seed(0)
    source = Dinov2Model(CONFIG)
    tensors = {f"dinov2.{name}": tensor for name, tensor in source.state_dict().items()}
    model, _ = convert_transformers_state_dict(tensors, CONFIG, **settings)
    processor = PEViTImageProcessorPil(
        patch_size=8, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
    )
    return model, processor


def pixel_values(picture, processor):
    """(1, 3, height, width) in float64, whether the picture is plain or encrypted."""
    scaled = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].double() / 255
    mean, std = (
        torch.tensor(values, dtype=torch.float64).view(3, 1, 1)
        for values in (processor.image_mean, processor.image_std)
    )
    return (scaled - mean) / std


def test_shuffling_alone_is_fitted_and_the_features_stay(pictures):
    model, processor = converted(position_encoding="none")
    encryption = RandomShuffling(image_size=64, patch_size=8)
    fitted, new, report = refit_patch_embedding(model, processor, encryption, pictures)
    assert report.explained > 0.9999 and report.patch_embedding == "linear"
    plain = encryption.prepare(pictures[0])
    encrypted = encryption.encrypt_batch(plain[None])[0]
    with torch.no_grad():
        theirs = model.pevit(pixel_values(plain, processor)).pooler_output
        ours = fitted.pevit(**new(encrypted, return_tensors="pt")).pooler_output
    assert torch.nn.functional.cosine_similarity(ours, theirs).item() > 0.999999


@torch.no_grad()
def test_in_float64_without_a_ridge_the_tokens_are_the_teachers(pictures, monkeypatch):
    """Where nothing but places is encrypted, the old embedding is the answer, and is found."""
    monkeypatch.setattr(refit, "_RIDGE", 0)
    model, processor = converted(position_encoding="none")
    encryption = RandomShuffling(image_size=64, patch_size=8)
    fitted, new, report = refit_patch_embedding(model.double(), processor, encryption, pictures)
    assert report.explained > 1 - 1e-12 and fitted.dtype == torch.float64
    plain = encryption.prepare(pictures[0])[None]
    encrypted, places, _ = encrypt_with_places(encryption, plain)
    theirs = model.pevit(pixel_values(plain[0], processor)).last_hidden_state
    ours = fitted.pevit(pixel_values(encrypted[0], new)).last_hidden_state
    torch.testing.assert_close(ours[:, :1], theirs[:, :1], atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(ours[:, 1:], theirs[:, 1:][:, places[0]], atol=1e-9, rtol=1e-9)


def test_a_model_in_half_precision_is_fitted_in_float32(pictures):
    model, processor = converted(position_encoding="none")
    encryption = RandomShuffling(image_size=64, patch_size=8)
    fitted, _, report = refit_patch_embedding(model.bfloat16(), processor, encryption, pictures)
    assert fitted.dtype == torch.float32 and report.explained > 0.9999


@pytest.mark.parametrize("ridge", [0, 1e-4, 1])
def test_the_regression_is_the_ridge_regression_of_scikit_learn(ridge, monkeypatch):
    monkeypatch.setattr(refit, "_RIDGE", ridge)
    rng = np.random.default_rng(0)
    features = 3 + rng.normal(size=(300, 20)) * rng.uniform(0.1, 10, 20)
    tokens = features @ rng.normal(size=(20, 6)) + rng.normal(size=(300, 6)) - 5
    mean_square = len(features) * features.var(axis=0).mean()
    known = Ridge(alpha=ridge * mean_square, solver="svd").fit(features, tokens)
    weight, bias = refit._ridge(torch.from_numpy(features), torch.from_numpy(tokens))
    np.testing.assert_allclose(weight, known.coef_.T, atol=1e-9, rtol=1e-9)
    np.testing.assert_allclose(bias, known.intercept_, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("kind", ["nonlinear", "invariant", "texture"])
def test_no_other_last_layer_misses_less(kind, monkeypatch):
    """In float64 and without a ridge the gradient of what is missed is nothing."""
    monkeypatch.setattr(refit, "_RIDGE", 0)
    torch.manual_seed(0)
    config = PEViTConfig(hidden_size=12, num_attention_heads=2, patch_size=3, patch_embedding=kind)
    embeddings = build_patch_embeddings(config).double()
    pixels, tokens = (torch.randn(400, *shape, dtype=torch.float64) for shape in ((3, 3, 3), (12,)))
    refit._fit_last(embeddings, pixels, tokens)
    (refit._embedded(embeddings, pixels) - tokens).square().sum().backward()
    last = [weight.grad for name, weight in embeddings.named_parameters() if "projection" not in name]
    assert len(last) == (3 if kind == "invariant" else 2)
    assert all(grad.abs().max() < 1e-9 for grad in last)


@pytest.mark.parametrize("kind", ["linear", "nonlinear", "invariant", "texture"])
def test_hard_settings_are_explained_in_part_and_all_else_stays(pictures, kind):
    model, processor = converted(position_encoding="none")
    encryption = RandomShuffling(image_size=64, patch_size=8, **HARD)
    fitted, new, report = refit_patch_embedding(
        model, processor, encryption, pictures, patch_embedding=kind, steps=20
    )
    # Tones explain most of these tokens, and the texture embedding leaves them out: .10 to .19 in ten trials.
    least, most = (0.03, 0.5) if kind == "texture" else (0.5, 1)
    assert least < report.explained < most and fitted.config.patch_embedding == kind
    assert (new.patch_size, tuple(new.encrypted_size)) == (3, encryption.encrypted_size)
    theirs, ours = model.state_dict(), fitted.state_dict()
    same = [name for name in theirs if ".patch_embeddings." not in name]
    assert all(torch.equal(theirs[name], ours[name]) for name in same)
    inputs = new(encryption(pictures[0]), return_tensors="pt")
    assert torch.isfinite(fitted(**inputs).logits).all()


def test_an_embedding_of_noise_explains_nothing(pictures):
    model, processor = converted(position_encoding="none")
    noise = [np.random.default_rng(i).integers(0, 256, (64, 64, 3), np.uint8) for i in range(10)]
    encryption = MixingUp(image_size=64, patch_size=8, sub_patch_symmetries=True, patch_normalization=True)
    _, _, report = refit_patch_embedding(model, processor, encryption, noise)
    assert report.explained < 0.1


def test_places_and_tones_are_told(pictures):
    settings = {"image_size": 64, "patch_size": 8, "shuffle_tones": True}
    plain = RandomShuffling(image_size=64, patch_size=8, drop_ratio=0.5).prepare(pictures[0])[None]
    encrypted, textures, tones = encrypt_with_places(RandomShuffling(**settings, drop_ratio=0.5), plain)
    assert encrypted.shape[1] * encrypted.shape[2] == 32 * 64
    assert textures.shape == tones.shape == (1, 32)
    assert sorted(textures[0]) == sorted(tones[0]) and (textures != tones).any()
    pairs = patch_pairs([pictures[0]], RandomShuffling(**settings), most=64)
    # Without mixing the partner is the encrypted patch itself, before rounding and cutting.
    inside = (pairs.plain > 0) & (pairs.plain < 255)
    assert np.abs(pairs.plain - pairs.encrypted)[inside].max() < 1


def test_what_cannot_be_fitted_is_said(pictures):
    model, processor = converted(position_encoding="none")
    encryption = RandomShuffling(image_size=64, patch_size=8)
    with pytest.raises(InputValueError, match="expected at least 200"):
        refit_patch_embedding(model, processor, encryption, pictures[:1])
    model.config.patch_embedding = "invariant"
    with pytest.raises(InputValueError, match="convert the plain model anew"):
        refit_patch_embedding(model, processor, encryption, pictures)
