import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from hipmr_hf.metrics import MultiLabel
from hipmr_hf.metrics.multi_label import multi_label_scores


@pytest.fixture
def scores() -> tuple[np.ndarray, np.ndarray]:
    """Logits with many equal ones, of classes that are rare, frequent, and, the last, in no picture."""
    generator = np.random.default_rng(0)
    truth = generator.random((200, 5)) < np.array([0.02, 0.2, 0.5, 0.9, 0.0])
    return np.round(generator.normal(size=(200, 5)) + truth, 1) - 0.55, truth.astype(int)


def test_they_equal_scikit_learn(scores):
    logits, truth = scores
    result = MultiLabel().compute(predictions=logits, references=truth)
    assert result["f1_micro"] == pytest.approx(f1_score(truth, logits > 0, average="micro"))
    there = truth[:, :4], logits[:, :4]
    assert result["f1_macro"] == pytest.approx(f1_score(there[0], there[1] > 0, average="macro"))
    expected = average_precision_score(*there, average="macro")
    assert result["average_precision"] == pytest.approx(expected, abs=1e-6)


def test_batches_add_up(scores):
    logits, truth = scores
    metric = MultiLabel()
    for part in np.array_split(np.arange(200), 7):
        metric.add_batch(predictions=logits[part], references=truth[part])
    assert metric.compute() == MultiLabel().compute(predictions=logits, references=truth)


def test_nothing_to_find_is_zero_and_no_warning():
    assert set(multi_label_scores([[1.0, -1.0]], [[0, 0]]).values()) == {0.0}


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([[0.1, np.nan]], [[0, 1]], "1 of 1 images have a score that is not a number"),
        ([[0.1, 0.9]], [[0, 2]], "references: expected 1"),
        ([[0.1, 0.9]], [1], "predictions: got shape"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "predictions: got shape"),
    ],
)
def test_what_cannot_be_scored_is_refused(predictions, references, message):
    with pytest.raises(ValueError, match=message):
        multi_label_scores(predictions, references)
