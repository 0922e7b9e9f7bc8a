import numpy as np
import pytest

from hipmr_hf.metrics import Retrieval
from hipmr_hf.metrics.retrieval import retrieval_chance, retrieval_scores


def test_random_distances_score_what_chance_says():
    rng = np.random.default_rng(0)
    queries, gallery = rng.integers(0, 4, 3000), rng.integers(0, 4, 12)

    scores = retrieval_scores(rng.random((3000, 12)), queries, gallery)

    chance = retrieval_chance(queries, gallery)
    assert scores["top1"] == pytest.approx(chance["top1"], abs=0.03)
    assert scores["top5"] == pytest.approx(chance["top5"], abs=0.03)


def test_the_nearest_entry_and_the_fifth_count():
    distances = np.array([[5.0, 4, 3, 2, 1, 6], [1.0, 2, 3, 4, 5, 6]])

    scores = retrieval_scores(distances, np.array([0, 5]), np.arange(6))

    assert scores == {"top1": 0.0, "top5": 0.5}


def test_a_small_gallery_is_found_among_five():
    assert retrieval_chance(np.array([0, 1]), np.array([0, 1, 2])) == {"top1": 1 / 3, "top5": 1.0}


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"expected \(1, 3\)"):
        retrieval_scores(np.zeros((1, 2)), np.zeros(1), np.zeros(3))


def test_the_metric_computes_from_lists():
    metric = Retrieval()
    found = metric.compute(predictions=[[0.0, 1.0], [0.0, 1.0]], references=[0, 1], gallery_labels=[0, 1])
    assert found == {"top1": 0.5, "top5": 1.0, "chance_top1": 0.5, "chance_top5": 1.0}
