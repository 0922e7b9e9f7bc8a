"""`pipeline("image-feature-extraction")` on encrypted pictures, and the search that docs/builder.md shows."""

import numpy as np
import torch
from PIL import Image
from transformers import pipeline

from hipmr_hf import PEViTConfig, PEViTForImageClassification, PEViTImageProcessorPil, RandomShuffling
from hipmr_hf.metrics import Retrieval

SHUFFLING = RandomShuffling(image_size=32, patch_size=8, sub_patch_grid=2)


def test_a_picture_is_found_by_the_features_of_another_encryption_of_it(tmp_path):
    """Each has a permutation of its own, to which the class token is blind; a classifier will do."""
    torch.manual_seed(0)
    config = PEViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, patch_size=4, num_labels=3
    )
    PEViTForImageClassification(config).save_pretrained(tmp_path)
    PEViTImageProcessorPil(patch_size=4).save_pretrained(tmp_path)
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for _ in range(8)]
    known, asked = ([SHUFFLING(picture) for picture in pictures] for _ in range(2))

    features = pipeline("image-feature-extraction", model=str(tmp_path), device="cpu", batch_size=4)
    tokens = np.array(features(known[0]))
    assert tokens.shape == (1, 1 + 16, 32)
    gallery, queries = (np.array(features(images, pool=True))[:, 0] for images in (known, asked))
    assert gallery.shape == (8, 32)
    np.testing.assert_allclose(gallery[0], tokens[0, 0], atol=1e-6)
    distances = np.linalg.norm(queries[:, None] - gallery, axis=-1)
    names = list(range(8))
    found = Retrieval().compute(predictions=distances, references=names, gallery_labels=names)
    assert found["top1"] == 1.0 and found["chance_top1"] == 0.125
