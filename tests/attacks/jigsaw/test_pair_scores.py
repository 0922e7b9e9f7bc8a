"""Dissimilarities know true neighbours, and log-odds are fair to what is not there."""

import io

import numpy as np
import pytest
from PIL import Image

from hipmr_hf.attacks.base import encrypt_with_truth, split_mosaic
from hipmr_hf.attacks.jigsaw.colour import to_lab, to_luma_weighted
from hipmr_hf.attacks.jigsaw.compatibility import DISSIMILARITIES, dissimilarities
from hipmr_hf.attacks.jigsaw.pair_scores import (
    PairWeights,
    fit_weights,
    log_odds,
    pair_scores,
    pair_top1,
    true_pairs,
)
from hipmr_hf.attacks.jigsaw.weights import weights_for
from hipmr_hf.encryption import RandomShuffling


def puzzle(photo, **knobs):
    settings = RandomShuffling(**{"image_size": 128, "patch_size": 16, **knobs})
    sample = encrypt_with_truth(settings, settings.prepare(photo)[None])
    return settings, split_mosaic(sample.images[0], settings.encrypted_patch_size), sample.positions[0]


@pytest.mark.parametrize("name", sorted(DISSIMILARITIES))
def test_each_dissimilarity_beats_chance_in_both_directions(photo, name):
    _, pieces, positions = puzzle(photo)
    costs = dissimilarities(pieces, (name,))[0]

    ranks = [
        (costs[d][pairs[:, 0]] < costs[d][pairs[:, 0], pairs[:, 1]][:, None]).mean()
        for d, pairs in enumerate(true_pairs(positions, (8, 8)))
    ]

    assert max(ranks) < 0.3  # one half by guessing


def test_shipped_weights_find_most_neighbours_of_the_papers_default(photo):
    settings, pieces, positions = puzzle(photo)

    scores = pair_scores(pieces, weights_for(settings))

    assert pair_top1(scores, positions, (8, 8)) > 0.75


def test_weights_fitted_on_one_photograph_serve_another(photo):
    from sklearn.datasets import load_sample_image

    settings, pieces, positions = puzzle(photo, sub_patch_grid=2)
    fitted = fit_weights(settings, [load_sample_image("flower.jpg")], names=("border", "strip"))

    assert pair_top1(pair_scores(pieces, fitted), positions, (8, 8)) > 3 / 63


def test_offset_cost_does_not_change_with_brightness(photo):
    _, pieces, _ = puzzle(photo)
    stack = to_luma_weighted(pieces)
    offset = DISSIMILARITIES["offset"][1]

    brighter = stack + np.arange(len(stack), dtype=np.float32)[:, None, None, None]

    np.testing.assert_allclose(offset(stack, stack), offset(brighter, brighter), atol=1e-2)


def test_luma_cost_hardly_sees_chroma():
    grey, tinted = (np.array([[level]], np.uint8) for level in ([100, 100, 100], [100, 110, 60]))

    difference = np.abs(to_luma_weighted(grey) - to_luma_weighted(tinted))[0, 0]

    assert difference[1:].max() < 3
    assert np.abs(to_lab(grey) - to_lab(tinted))[0, 0, 1:].max() > 20


def stored_as_jpeg(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90, subsampling="4:2:0")
    return np.asarray(Image.open(file))


def test_subsampled_chroma_hides_neighbours_only_from_who_trusts_it(photo):
    settings = RandomShuffling(image_size=192, patch_size=16)
    sample = encrypt_with_truth(settings, settings.prepare(photo)[None])
    pieces = split_mosaic(stored_as_jpeg(sample.images[0]), 16)

    naive, prepared = (
        pair_top1(
            pair_scores(pieces, weights_for(settings, image_format=stored)), sample.positions[0], (12, 12)
        )
        for stored in ("png", "jpeg420")
    )

    assert prepared > 0.4
    assert prepared > naive + 0.1


def test_weights_fitted_on_what_was_stored_know_what_storing_does(photo):
    from sklearn.datasets import load_sample_image

    settings = RandomShuffling(image_size=128, patch_size=16)
    crops = [load_sample_image("flower.jpg")]

    fitted = fit_weights(settings, crops, names=("border", "luma_border"), storage=stored_as_jpeg)
    lossless = fit_weights(settings, crops, names=("border", "luma_border"))

    def trust_in_luma(weights):
        return weights.weights[1] / sum(weights.weights[:2])

    assert trust_in_luma(fitted) > trust_in_luma(lossless)


def test_weights_that_do_not_look_at_offsets_see_through_brightness_jitter(photo):
    usual, blind = (weights_for(RandomShuffling(patch_normalization=flag)) for flag in (False, True))
    found = []
    for seed in range(24):  # a puzzle is a matter of luck, the mean of so many is not
        _, pieces, positions = puzzle(photo)
        shifts = np.random.default_rng(seed).integers(-40, 41, (len(pieces), 1, 1, 1))
        jittered = np.clip(pieces.astype(int) + shifts, 0, 255).astype(np.uint8)
        found.append([pair_top1(pair_scores(jittered, one), positions, (8, 8)) for one in (usual, blind)])

    raw, prepared = np.mean(found, axis=0)

    assert prepared > max(0.55, raw)


def test_odds_of_a_row_without_a_match_fall_when_absence_is_likely():
    features = np.zeros((1, 2, 4, 4), np.float32)
    features[0, 0, 0, 1] = 4

    sure, doubtful = (log_odds(features, (1.0,), absent=absent)[0, 0, 1] for absent in (-30.0, 3.0))

    assert sure > doubtful > 0


def test_a_patch_is_never_its_own_neighbour(photo):
    _, pieces, _ = puzzle(photo)

    scores = pair_scores(pieces, PairWeights(("border",), (1.0, 0.0)))

    assert (np.diagonal(scores, axis1=1, axis2=2) < scores.min(axis=2) + 1e-6).all()


def test_errors_name_what_came_and_what_is_allowed():
    with pytest.raises(ValueError, match=r"names: got \['cubic'\]"):
        dissimilarities(np.zeros((2, 4, 4, 3), np.uint8), ("cubic",))
    with pytest.raises(ValueError, match="image_format: got 'gif'"):
        weights_for(RandomShuffling(), image_format="gif")
    with pytest.raises(ValueError, match="two for each of the 1 names"):
        PairWeights(("border",), (1.0,))
    with pytest.raises(ValueError, match="photographs: got none"):
        fit_weights(RandomShuffling(), [])


def test_shipped_weights_are_fitted_for_turned_patches():
    for knobs in (
        {"sub_patch_symmetries": True},
        {"sub_patch_symmetries": True, "patch_normalization": True},
    ):
        source = weights_for(RandomShuffling(**knobs)).source

        assert "sub_patch_grid=1, sub_patch_symmetries=True" in source
