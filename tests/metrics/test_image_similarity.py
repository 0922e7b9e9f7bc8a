"""PSNR and SSIM against known values, and the shift that hides a perfect picture from both."""

import numpy as np
import pytest

from hipmr_hf.metrics import ImageSimilarity
from hipmr_hf.metrics.image_similarity import PSNR_LIMIT, align, image_similarity, psnr, ssim


@pytest.fixture
def crop(photo):
    return photo[100:164, 100:180]


def test_psnr_of_a_known_error():
    assert psnr(np.zeros((8, 8)), np.full((8, 8), 51.0)) == pytest.approx(20 * np.log10(5))


def test_equal_images_score_the_limit_and_one(crop):
    assert psnr(crop, crop) == PSNR_LIMIT
    assert ssim(crop, crop) == pytest.approx(1)


def test_ssim_agrees_with_scikit_image(crop):
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is only a second opinion")
    noisy = np.clip(crop + np.random.default_rng(0).normal(0, 20, crop.shape), 0, 255).astype(np.uint8)

    theirs = metrics.structural_similarity(
        noisy,
        crop,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
    )

    assert ssim(noisy, crop) == pytest.approx(theirs, abs=1e-6)


def test_a_rolled_picture_is_found_again(crop):
    rolled = np.roll(crop, (16, -9), axis=(0, 1))

    scores = image_similarity(rolled, crop)

    np.testing.assert_array_equal(align(rolled, crop), crop)
    assert scores["psnr"] < 20
    assert scores["psnr_aligned"] == PSNR_LIMIT


def test_the_metric_averages_over_images(crop):
    scores = ImageSimilarity().compute(predictions=[crop, 255 - crop], references=[crop, crop])

    assert scores["ssim"] == pytest.approx((1 + ssim(255 - crop, crop)) / 2)


def test_images_of_other_sizes_are_refused(crop):
    with pytest.raises(ValueError, match="like the plain image"):
        psnr(crop[1:], crop)
    with pytest.raises(ValueError, match="window of SSIM"):
        ssim(crop[:8, :8], crop[:8, :8])
