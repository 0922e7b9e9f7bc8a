"""LiRA finds everybody where a model memorises, and nobody where it does not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hipmr_hf.attacks.membership import (
    MANY_SHADOWS,
    confidence,
    every_model_in_turn,
    likelihood_ratio,
    membership_result,
)
from hipmr_hf.errors import InputValueError

CLASSES, FEATURES = 4, 40


@pytest.fixture(scope="module")
def memorising():
    """Logits of real models that fit random labels: ridge regressions with more features than rows."""
    rng = np.random.default_rng(0)
    inputs, labels = rng.normal(size=(60, FEATURES)), rng.integers(CLASSES, size=60)
    order = rng.random((9, 60)).argsort(axis=0)
    members = order < 4
    logits = []
    for chosen in members:
        rows, targets = inputs[chosen], np.eye(CLASSES)[labels[chosen]]
        weights = rows.T @ np.linalg.solve(rows @ rows.T + 0.1 * np.eye(len(rows)), targets)
        logits.append(10 * inputs @ weights)
    return np.stack(logits), labels, members


@pytest.mark.parametrize(("variant", "least", "least_found"), [("online", 0.97, 0.7), ("offline", 0.9, 0.1)])
def test_members_of_a_model_that_memorises_are_found(memorising, variant, least, least_found):
    logits, labels, members = memorising
    scores = list(every_model_in_turn(confidence(logits, labels), members, variant=variant))
    found = [membership_result(*pair) for pair in zip(scores, members, strict=True)]
    assert np.mean([result.auc for result in found]) > least
    assert np.mean([result.true_positives[0.01] for result in found]) > least_found


@pytest.mark.parametrize("variant", ["online", "offline"])
def test_members_that_are_dealt_out_anew_are_found_by_chance_only(memorising, variant):
    logits, labels, members = memorising
    dealt = np.random.default_rng(1).permuted(members, axis=1)
    known = confidence(logits, labels)
    areas = []
    for number, scores in enumerate(every_model_in_turn(known, members, variant=variant)):
        areas.append(membership_result(scores, dealt[number]).auc)
    assert abs(np.mean(areas) - 0.5) < 0.12


def test_models_that_saw_nothing_give_chance():
    rng = np.random.default_rng(2)
    members = rng.random((8, 4000)) < 0.5
    kept = (members[:-1].sum(0) > 0) & (members[:-1].sum(0) < 7)
    members, confidences = members[:, kept], rng.normal(size=(8, kept.sum()))
    scores = likelihood_ratio(confidences[-1], confidences[:-1], members[:-1])
    result = membership_result(scores, members[-1])
    assert abs(result.auc - 0.5) < 0.03
    assert result.true_positives[0.01] < 0.025


def test_the_curve_is_scikit_learns():
    from sklearn.metrics import roc_auc_score, roc_curve

    rng = np.random.default_rng(3)
    scores, members = rng.integers(0, 30, 500).astype(float), rng.random(500) < 0.4
    result = membership_result(scores, members)
    false_rates, true_rates, _ = roc_curve(members, scores, drop_intermediate=False)
    np.testing.assert_allclose(result.false_positive_rates, false_rates)
    np.testing.assert_allclose(result.true_positive_rates, true_rates)
    assert result.auc == pytest.approx(roc_auc_score(members, scores))


def test_scores_are_the_ratio_of_two_normals_fitted_by_scipy():
    from scipy.stats import norm

    rng = np.random.default_rng(4)
    shadows, members = rng.normal(size=(MANY_SHADOWS, 5)), rng.random((MANY_SHADOWS, 5)) < 0.5
    target = rng.normal(size=5)
    ratio = likelihood_ratio(target, shadows, members)
    for record in range(5):
        seen, unseen = (shadows[chosen, record] for chosen in (members[:, record], ~members[:, record]))
        expected = norm.logpdf(target[record], seen.mean(), seen.std(ddof=1))
        expected -= norm.logpdf(target[record], unseen.mean(), unseen.std(ddof=1))
        assert ratio[record] == pytest.approx(expected)
    offline = likelihood_ratio(target, shadows, members, variant="offline")
    below = norm.cdf(target[0], shadows[~members[:, 0], 0].mean(), shadows[~members[:, 0], 0].std(ddof=1))
    assert norm.cdf(offline[0]) == pytest.approx(below)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.floats(-50, 50))
@settings(max_examples=30, deadline=None)
def test_confidence_is_the_log_odds_whatever_is_added_to_all_logits(seed, records, shift):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(records, 6)), rng.integers(6, size=records)
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    own = shares[np.arange(records), labels]
    np.testing.assert_allclose(confidence(logits + shift, labels), np.log(own / (1 - own)), atol=1e-9)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_the_area_does_not_depend_on_order_or_scale_and_turns_with_the_sign(seed):
    rng = np.random.default_rng(seed)
    scores, members = rng.normal(size=40), np.arange(40) % 3 == 0
    result, order = membership_result(scores, members), rng.permutation(40)
    assert membership_result(np.exp(scores)[order], members[order]).auc == pytest.approx(result.auc)
    assert membership_result(-scores, members).auc == pytest.approx(1 - result.auc)
    assert 0 <= result.true_positives[0.001] <= result.true_positives[0.01] <= 1


def test_certainty_is_no_infinity_and_queries_are_averaged():
    assert np.isfinite(confidence(np.array([[900.0, 0.0]]), np.array([0]))).all()
    rng = np.random.default_rng(5)
    members = np.arange(6)[:, None] % 2 == np.arange(8) % 2
    shadows, target = rng.normal(size=(6, 8, 3)), rng.normal(size=(8, 3))
    together = likelihood_ratio(target, shadows, members)
    apart = [likelihood_ratio(target[:, view], shadows[..., view], members) for view in range(3)]
    np.testing.assert_allclose(together, np.mean(apart, axis=0))


def test_views_of_records_get_their_records_labels():
    logits = np.zeros((2, 3, 4, 5))
    logits[:, np.arange(3), :, [0, 2, 4]] = 7
    found = confidence(logits, np.array([0, 2, 4]), queries=True)
    assert found.shape == (2, 3, 4)
    assert (found > 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: confidence(np.zeros((3, 2)), np.zeros(4, int)), "labels: got the shape"),
        (lambda: confidence(np.zeros((3, 2)), np.full(3, 2)), "expected classes from 0 to 1"),
        (lambda: confidence(np.full((3, 2), np.nan), np.zeros(3, int)), "not finite"),
        (lambda: likelihood_ratio(np.zeros(2), np.zeros((3, 2)), np.ones((3, 2), bool)), "did not see it"),
        (lambda: likelihood_ratio(np.zeros(2), np.zeros((3, 2)), np.zeros((3, 2), bool)), "saw it"),
        (lambda: likelihood_ratio(np.zeros(2), np.zeros((3, 3)), np.ones((3, 2), bool)), "got the shapes"),
        (lambda: likelihood_ratio(np.zeros(2), np.zeros((3, 2)), np.ones((3, 2))), "expected bool"),
        (lambda: membership_result(np.zeros(2), np.ones(2, bool)), "some that are not"),
    ],
)
def test_bad_input_is_told_in_one_line(call, message):
    with pytest.raises(InputValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
