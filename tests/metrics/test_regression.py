import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from hipmr_hf.metrics import Regression
from hipmr_hf.metrics.regression import regression_scores


@pytest.mark.parametrize("shape", [(100,), (100, 1), (100, 3)])
def test_they_equal_scikit_learn(shape):
    generator = np.random.default_rng(0)
    truth = 50 + 20 * generator.normal(size=shape)
    found = truth + generator.normal(size=shape)
    result = Regression().compute(predictions=found, references=truth)
    assert result["mse"] == pytest.approx(mean_squared_error(truth, found))
    assert result["mae"] == pytest.approx(mean_absolute_error(truth, found))
    assert result["r2"] == pytest.approx(r2_score(truth, found))


def test_numbers_that_are_all_the_same_are_met_or_not():
    assert regression_scores([2.0, 2.0], [2.0, 2.0])["r2"] == 1.0
    assert regression_scores([2.0, 1.0], [2.0, 2.0])["r2"] == 0.0


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([1.0, np.inf], [1.0, 2.0], "1 of 2 images got no number"),
        ([1.0], [1.0, 2.0], "predictions: got shape"),
        ([], [], "predictions: got shape"),
    ],
)
def test_what_cannot_be_scored_is_refused(predictions, references, message):
    with pytest.raises(ValueError, match=message):
        regression_scores(predictions, references)
