import evaluate
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, top_k_accuracy_score

from hipmr_hf.metrics import Accuracy
from hipmr_hf.metrics.accuracy import accuracy_scores


@pytest.fixture
def scores() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.normal(size=(200, 10)), generator.integers(0, 10, 200)


def test_it_equals_scikit_learn(scores):
    logits, labels = scores
    result = Accuracy().compute(predictions=logits, references=labels)
    assert result["accuracy"] == pytest.approx(accuracy_score(labels, logits.argmax(1)))
    assert result["top_5_accuracy"] == pytest.approx(top_k_accuracy_score(labels, logits, k=5))


def test_class_ids_give_top_1_alone(scores):
    logits, labels = scores
    ids = Accuracy().compute(predictions=logits.argmax(1), references=labels)
    assert ids == {"accuracy": Accuracy().compute(predictions=logits, references=labels)["accuracy"]}


def test_it_joins_others_in_combine(scores):
    class Count(Accuracy):
        def _compute(self, predictions, references):
            return {"count": len(references)}

    logits, labels = scores
    result = evaluate.combine([Accuracy(), Count()]).compute(predictions=logits, references=labels)
    assert result.keys() == {"accuracy", "top_5_accuracy", "count"}


def test_batches_add_up(scores):
    logits, labels = scores
    metric = Accuracy()
    for part in np.array_split(np.arange(200), 7):
        metric.add_batch(predictions=logits[part], references=labels[part])
    assert metric.compute() == Accuracy().compute(predictions=logits, references=labels)


def test_few_classes_have_no_top_5():
    assert Accuracy().compute(predictions=[[0.1, 0.9], [0.8, 0.2]], references=[1, 1]) == {"accuracy": 0.5}


def test_labels_out_of_range_are_refused():
    with pytest.raises(
        ValueError, match=r"references: got class ids 0..7, but the predictions have 2 classes"
    ):
        Accuracy().compute(predictions=[[0.1, 0.9], [0.8, 0.2]], references=[0, 7])


def test_no_predictions_are_written_to_disk(scores, tmp_path):
    logits, labels = scores
    Accuracy(cache_dir=str(tmp_path)).compute(predictions=logits, references=labels)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "predictions", [[[np.nan, np.nan], [0.1, 0.9]], [[0.3, np.nan], [0.1, 0.9]], [np.nan, 1.0]]
)
def test_a_model_that_diverged_is_an_error_and_no_vote_for_the_first_class(predictions):
    with pytest.raises(ValueError, match=r"predictions: 1 of 2 images have a score that is not a number"):
        accuracy_scores(predictions, [0, 1])


def test_a_metric_refuses_what_is_not_a_number_too():
    with pytest.raises(ValueError, match="not a number"):
        Accuracy().compute(predictions=[[np.nan, np.nan], [0.1, 0.9]], references=[0, 1])


@pytest.mark.parametrize(
    ("predictions", "references"), [([1, 2], [1]), ([], []), ([[[0.1]]], [0]), ([[0.1, 0.9]], [[1]])]
)
def test_predictions_and_references_that_do_not_belong_together_are_refused(predictions, references):
    with pytest.raises(ValueError, match="predictions: got shape"):
        accuracy_scores(predictions, references)
