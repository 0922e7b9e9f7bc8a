"""A patch embedding fitted on public pictures gives the tokens of the old one as well as patches allow."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images
from transformers import Dinov2Config, Dinov2Model

from hipmr_hf import MixingUp, RandomShuffling
from hipmr_hf.adaptation.pairs import patch_pairs
from hipmr_hf.adaptation.refit import refit_patch_embedding
from hipmr_hf.encryption.places import encrypt_with_places
from hipmr_hf.errors import InputValueError
from hipmr_hf.models.convert_transformers import convert_transformers_state_dict
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


def test_shuffling_alone_is_fitted_exactly_and_the_features_stay(pictures):
    model, processor = converted(position_encoding="none")
    encryption = RandomShuffling(image_size=64, patch_size=8)
    fitted, new, report = refit_patch_embedding(model, processor, encryption, pictures)
    assert report.explained > 0.99 and report.patch_embedding == "linear"
    plain = encryption.prepare(pictures[0])
    encrypted = encryption.encrypt_batch(plain[None])[0]
    scaled = torch.from_numpy(plain.copy()).permute(2, 0, 1)[None] / 255
    mean, std = torch.tensor(processor.image_mean), torch.tensor(processor.image_std)
    with torch.no_grad():
        theirs = model.pevit((scaled - mean.view(3, 1, 1)) / std.view(3, 1, 1)).pooler_output
        ours = fitted.pevit(**new(encrypted, return_tensors="pt")).pooler_output
    assert torch.nn.functional.cosine_similarity(ours, theirs).item() > 0.999


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
