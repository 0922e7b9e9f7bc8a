"""What the palette keeps is learned from few pictures; noise is linked by chance only."""

import numpy as np
import pytest

from hipmr_hf.attacks.linkage_learned import link_labelled, picture_features
from hipmr_hf.encryption import MixingUp, RandomShuffling
from hipmr_hf.errors import InputValueError

PEOPLE = 6
LABELS = np.repeat(np.arange(PEOPLE), 8)
KNOWN = np.arange(len(LABELS)) % 8 < 4
TURNED = {"sub_patch_symmetries": True}


def subjects(rng: np.random.Generator) -> np.ndarray:
    """Each subject has four tones of its own, in any order, and each picture noise of its own."""
    tones = rng.integers(20, 230, (PEOPLE, 4))
    cells = np.stack([rng.permuted(np.repeat(tones[label], 16)).reshape(8, 8) for label in LABELS])
    large = np.kron(cells, np.ones((8, 8)))[..., None] + rng.normal(0, 12, (len(LABELS), 64, 64, 3))
    return large.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "settings",
    [
        RandomShuffling(image_size=64, patch_size=8),
        RandomShuffling(image_size=64, patch_size=8, sub_patch_grid=2, **TURNED, shuffle_tones=True),
        MixingUp(patch_size=8, **TURNED, shuffle_tones=True),
    ],
    ids=str,
)
def test_subjects_are_found_by_their_palette_and_not_without(settings):
    encrypted = settings.encrypt_batch(subjects(np.random.default_rng(0)))
    sides = encrypted[KNOWN], LABELS[KNOWN], encrypted[~KNOWN]

    result = link_labelled(*sides, LABELS[~KNOWN], encryption=settings)
    dealt = link_labelled(*sides, np.random.default_rng(1).permutation(LABELS[~KNOWN]), encryption=settings)

    assert result.top1 >= 0.9 and result.by in ("tones", "both") and result.chance == pytest.approx(1 / 6)
    assert dealt.top1 <= 0.5 and set(result.each) == {"textures", "tones", "both"}


def test_turning_a_patch_changes_no_feature_of_a_shuffled_picture():
    rng, settings = np.random.default_rng(0), RandomShuffling(image_size=32, patch_size=8)
    image = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    turned = image.copy()
    turned[:8, :8] = np.rot90(turned[:8, :8])
    turned[8:16, :8] = turned[8:16, :8][:, ::-1]
    features = picture_features(np.stack([image, turned, image[::-1, ::-1]]), settings)
    for found in features.values():
        assert np.allclose(found[0], found[1]) and np.allclose(found[0], found[2])


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 0, 0, 1]])
def test_what_nobody_can_learn_from_is_refused(labels):
    images, settings = np.zeros((4, 16, 16, 3), np.uint8), RandomShuffling(image_size=16, patch_size=8)
    with pytest.raises(InputValueError, match=r"known_labels: .* two or more"):
        link_labelled(images, np.array(labels), images, np.array(labels), encryption=settings)
