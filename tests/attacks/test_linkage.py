"""Shuffling keeps the set of patches, so a picture is found among candidates; unrelated noise is not."""

import numpy as np
import pytest

from hipmr_hf.attacks.linkage import link
from hipmr_hf.encryption import MixingUp, RandomShuffling

LABELS = np.arange(12)


@pytest.fixture(scope="module")
def crops():
    from sklearn.datasets import load_sample_image

    rng = np.random.default_rng(0)
    photo = load_sample_image("china.jpg")
    corners = [(rng.integers(0, 427 - 64), rng.integers(0, 640 - 64)) for _ in LABELS]
    return np.stack([photo[y : y + 64, x : x + 64] for y, x in corners])


@pytest.mark.parametrize("distance", ["nearest", "quantiles"])
@pytest.mark.parametrize(
    "settings",
    [
        RandomShuffling(image_size=64, patch_size=8),
        RandomShuffling(image_size=64, patch_size=8, interval=2, drop_ratio=0.25),
        MixingUp(image_size=64, patch_size=8),
    ],
)
def test_the_same_picture_is_found(crops, settings, distance):
    encrypted = settings.encrypt_batch(crops)

    result = link(
        encrypted,
        crops,
        query_encryption=settings,
        query_labels=LABELS,
        gallery_labels=LABELS,
        distance=distance,
    )

    assert result.top1 > 0.9
    assert result.chance == pytest.approx(1 / 12)


def test_pictures_of_noise_are_linked_by_chance_only():
    rng = np.random.default_rng(0)
    settings = RandomShuffling(image_size=64, patch_size=8)
    queries, gallery = (rng.integers(0, 256, (12, 64, 64, 3), dtype=np.uint8) for _ in range(2))

    result = link(
        settings.encrypt_batch(queries),
        gallery,
        query_encryption=settings,
        query_labels=LABELS,
        gallery_labels=LABELS,
    )

    assert result.top1 <= 0.35


def test_encrypted_images_are_linked_with_each_other(crops):
    first, second = RandomShuffling(image_size=64, patch_size=8), MixingUp(image_size=64, patch_size=8)

    result = link(
        first.encrypt_batch(crops),
        second.encrypt_batch(crops),
        query_encryption=first,
        gallery_encryption=second,
        query_labels=LABELS,
        gallery_labels=LABELS,
    )

    assert result.top5 > 0.6


def test_without_labels_only_distances_come_back(crops):
    settings = RandomShuffling(image_size=64, patch_size=8)

    result = link(settings.encrypt_batch(crops[:3]), crops, query_encryption=settings)

    assert result.distances.shape == (3, 12)
    assert result.top1 is None


def test_labels_for_one_side_are_refused(crops):
    with pytest.raises(ValueError, match="both or neither"):
        link(crops, crops, query_encryption=RandomShuffling(), query_labels=LABELS)
    with pytest.raises(ValueError, match="'nearest' or 'quantiles'"):
        link(crops, crops, query_encryption=RandomShuffling(), distance="cosine")
