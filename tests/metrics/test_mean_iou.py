import numpy as np
import pytest
from sklearn.metrics import confusion_matrix as sklearn_confusion
from sklearn.metrics import jaccard_score

from hipmr_hf.metrics import MeanIoU
from hipmr_hf.metrics.mean_iou import confusion_matrix, iou_scores, mean_iou

NAMES = ["ground", "cat", "dog", "cow", "nowhere"]


def images(seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Predictions and references of several sizes; class 4 is nowhere, and 255 counts for nothing."""
    random = np.random.default_rng(seed)
    sizes = [(10, 14), (14, 10), (7, 7)]
    truth = [random.choice(np.array([0, 1, 2, 3, 255], np.uint8), size) for size in sizes]
    found = [
        np.where(random.random(one.shape) < 0.6, one % 4, random.integers(0, 4, one.shape)) for one in truth
    ]
    return found, truth


def test_scores_are_scikit_learns():
    found, truth = images()
    flat_found, flat_truth = (np.concatenate([one.ravel() for one in maps]) for maps in (found, truth))
    kept = flat_truth != 255
    flat_found, flat_truth = flat_found[kept], flat_truth[kept]
    scores = mean_iou(found, truth, num_labels=5, class_names=NAMES)
    each = jaccard_score(flat_truth, flat_found, average=None)
    assert scores["mean_iou"] == pytest.approx(jaccard_score(flat_truth, flat_found, average="macro"))
    assert [scores[f"iou_{name}"] for name in NAMES] == pytest.approx([*each, -1])
    theirs = sklearn_confusion(flat_truth, flat_found, labels=range(5))
    ours = sum(confusion_matrix(*pair, num_labels=5) for pair in zip(found, truth, strict=True))
    np.testing.assert_array_equal(ours, theirs)
    assert scores["pixel_accuracy"] == pytest.approx((flat_found == flat_truth).mean())
    assert scores["mean_accuracy"] == pytest.approx((np.diag(theirs)[:4] / theirs.sum(axis=1)[:4]).mean())


def test_the_metric_gathers_batches():
    found, truth = images()
    metric = MeanIoU()
    for pair in zip(found, truth, strict=True):
        metric.add_batch(predictions=[pair[0]], references=[pair[1]])
    scores = metric.compute(num_labels=5, class_names=NAMES)
    assert scores == pytest.approx(mean_iou(found, truth, num_labels=5, class_names=NAMES))


def test_a_class_that_is_only_predicted_counts_as_wrong():
    scores = mean_iou([[[0, 1]]], [[[0, 0]]], num_labels=2)
    assert scores["mean_iou"] == 0.25 and scores["mean_accuracy"] == 0.5


@pytest.mark.parametrize(
    ("found", "truth", "message"),
    [
        ([[[0, 1]]], [[[0]]], r"shape \(1, 2\) for a reference of \(1, 1\)"),
        ([[[0, 7]]], [[[0, 1]]], "predictions: got class ids 0..7"),
        ([[[0, 1]]], [[[0, 9]]], "references: got class ids 0..9"),
        ([[[0, 1]]], [[[255, 255]]], "no pixel counts"),
        ([[[0, 1]]], [], "not one for each"),
    ],
)
def test_what_cannot_be_compared_is_named(found, truth, message):
    with pytest.raises(ValueError, match=message):
        mean_iou(found, truth, num_labels=3)


def test_names_and_classes_must_be_as_many():
    with pytest.raises(ValueError, match="1 names for 2 classes"):
        iou_scores(np.eye(2), class_names=["ground"])
