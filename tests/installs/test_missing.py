"""Libraries that are missing while others of their extra are there."""

import importlib.util
import sys

import numpy as np
import pytest

from hipmr_hf import RandomShuffling
from hipmr_hf.errors import MissingExtraError, check_extra, needs_extra
from hipmr_hf.metrics import MeanAveragePrecision
from hipmr_hf.privacy_report import privacy_report
from hipmr_hf.training.digit_scenes import digit_scenes


@pytest.fixture
def without(monkeypatch):
    """Makes a library look as if it were not installed."""
    find = importlib.util.find_spec

    def hide(library: str) -> None:
        monkeypatch.setitem(sys.modules, library, None)
        hidden = {library}
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *rest: None if name in hidden else find(name, *rest)
        )

    return hide


def test_a_full_audit_is_refused_before_its_work_where_nothing_can_be_trained(without):
    without("torch")
    picture = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(MissingExtraError, match=r'^full effort .* "hipmr-hf\[audit,torch\]"$'):
        privacy_report([picture] * 2, RandomShuffling(image_size=32), effort="full")


def test_example_scenes_need_scikit_learn(without):
    without("sklearn.datasets")
    with pytest.raises(MissingExtraError, match=r'"hipmr-hf\[examples\]"$'):
        digit_scenes(1, seed=0)


def test_mean_average_precision_needs_its_evaluator(without):
    without("faster_coco_eval")
    boxes = [{"labels": [0], "boxes": [[0, 0, 4, 4]]}]
    with pytest.raises(MissingExtraError, match=r'"hipmr-hf\[detection\]"$'):
        MeanAveragePrecision().compute(predictions=[{**boxes[0], "scores": [0.5]}], references=boxes)


def test_what_is_there_is_not_imported_and_a_module_of_ours_is_our_mistake():
    sys.modules.pop("this", None)
    check_extra("a poem", "torch", "this")
    assert "this" not in sys.modules
    with pytest.raises(ModuleNotFoundError) as error, needs_extra("training", "torch"):
        import hipmr_hf.nothing  # noqa: F401
    assert not isinstance(error.value, MissingExtraError)
