import contextlib
import io

import evaluate
import numpy as np
import pytest
import torch

from hipmr_hf.metrics import MeanAveragePrecision
from hipmr_hf.metrics.mean_average_precision import NAMES, mean_average_precision

CLASSES = ["a", "b", "c", "never"]


def random_images(num_images: int = 40, seed: int = 0) -> tuple[list[dict], list[dict]]:
    """Boxes of all sizes, crowds, misses, duplicates, and images without either."""
    random = np.random.default_rng(seed)
    predictions, references = [], []
    for _ in range(num_images):
        count = int(random.integers(0, 8))
        start, sides = random.uniform(0, 300, (count, 2)), random.uniform(8, 200, (count, 2))
        truth = np.concatenate([start, start + sides], axis=1)
        labels = random.integers(0, 3, count)
        references.append(
            {
                "boxes": truth,
                "labels": labels,
                "area": sides.prod(axis=1) * 0.9,
                "iscrowd": random.random(count) < 0.1,
            }
        )
        found = np.concatenate([truth, truth, random.uniform(0, 200, (3, 4))])
        found += random.normal(0, 6, found.shape)
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        guesses = np.concatenate([labels, random.integers(0, 3, count + 3)])
        predictions.append({"boxes": found, "labels": guesses, "scores": random.random(len(found))})
    return predictions, references


def pycocotools_numbers(predictions: list[dict], references: list[dict]) -> np.ndarray:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def entries(image: int, entry: dict, **more: str):
        for i, (x1, y1, x2, y2) in enumerate(entry["boxes"].tolist()):
            box = {
                "image_id": image,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "category_id": int(entry["labels"][i]),
            }
            yield box | {name: float(entry[key][i]) for name, key in more.items()}

    truth = [
        box for i, entry in enumerate(references) for box in entries(i, entry, area="area", iscrowd="iscrowd")
    ]
    found = [box for i, entry in enumerate(predictions) for box in entries(i, entry, score="scores")]
    coco = COCO()
    with contextlib.redirect_stdout(io.StringIO()):
        coco.dataset = {
            "images": [{"id": i} for i in range(len(references))],
            "annotations": [{**box, "id": i + 1} for i, box in enumerate(truth)],
            "categories": [{"id": i, "name": name} for i, name in enumerate(CLASSES)],
            "info": {},
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


@pytest.mark.parametrize("seed", range(3))
def test_the_twelve_numbers_are_those_of_pycocotools(seed):
    predictions, references = random_images(seed=seed)
    ours = MeanAveragePrecision().compute(predictions=predictions, references=references, class_names=CLASSES)
    theirs = pycocotools_numbers(predictions, references)
    np.testing.assert_allclose([ours[name] for name in NAMES], theirs, atol=1e-9)
    assert 0.05 < ours["map"] < 0.9  # so that the comparison says something
    per_class = [ours[f"map_{name}"] for name in CLASSES]
    assert per_class[-1] == -1 and np.mean(per_class[:-1]) == pytest.approx(ours["map"], abs=1e-9)


def test_the_function_needs_no_metric_and_gives_the_same():
    predictions, references = random_images(12)
    result = mean_average_precision(predictions, references, class_names=CLASSES)
    metric = MeanAveragePrecision()
    assert result == metric.compute(predictions=predictions, references=references, class_names=CLASSES)


@pytest.mark.parametrize("field", ["boxes", "scores"])
def test_detections_that_are_no_numbers_are_refused(field):
    found = {"boxes": [[0.0, 0, 1, 1]], "labels": [1], "scores": [0.5]}
    found[field] = [[np.nan, 0, 1, 1]] if field == "boxes" else [np.nan]
    with pytest.raises(ValueError, match=f"predictions: an image has {field} that are not finite"):
        mean_average_precision([found], [{"boxes": [], "labels": []}])


def test_images_added_one_by_one_and_as_tensors_give_the_same():
    predictions, references = random_images(12)
    at_once = MeanAveragePrecision().compute(predictions=predictions, references=references)
    metric = MeanAveragePrecision()
    for prediction, reference in zip(predictions, references, strict=True):
        tensors = {name: torch.tensor(np.asarray(values)) for name, values in prediction.items()}
        metric.add(prediction=tensors, reference=reference)
    assert metric.compute() == at_once


def test_perfect_detections_score_one_and_none_score_zero():
    _, references = random_images(8)
    perfect = [
        {"boxes": entry["boxes"], "labels": entry["labels"], "scores": np.ones(len(entry["labels"]))}
        for entry in references
    ]
    nothing = [{"boxes": [], "labels": [], "scores": []} for _ in references]
    plain = [{name: entry[name] for name in ("boxes", "labels")} for entry in references]
    assert MeanAveragePrecision().compute(predictions=perfect, references=plain)["map"] == pytest.approx(1)
    assert MeanAveragePrecision().compute(predictions=nothing, references=plain)["map"] == 0


def test_without_any_object_every_number_is_minus_one():
    nothing = {"boxes": [], "labels": []}
    result = MeanAveragePrecision().compute(
        predictions=[{**nothing, "scores": []}], references=[nothing], class_names=["a"]
    )
    assert set(result.values()) == {-1.0}


def test_it_combines_with_other_metrics_and_prints_nothing(capsys):
    predictions, references = random_images(4)
    combined = evaluate.combine([MeanAveragePrecision(), MeanAveragePrecision(experiment_id="two")])
    assert "map_50" in str(combined.compute(predictions=predictions, references=references))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([], [{"boxes": [], "labels": []}], "predictions: got 0 images, but references have 1"),
        ([{"boxes": [], "labels": []}], [{"boxes": [], "labels": []}], "predictions: scores missing"),
        (
            [{"boxes": [[0, 0, 1, 1]], "labels": [1, 2], "scores": [1]}],
            [{"boxes": [], "labels": []}],
            "1 boxes but 2 labels",
        ),
        (
            [{"boxes": [], "labels": [], "scores": []}],
            [{"boxes": [[0, 0, 1, 1]], "labels": [4]}],
            r"class_names: got 4 names, but labels 4\.\.4",
        ),
    ],
)
def test_what_does_not_fit_is_named(predictions, references, message):
    with pytest.raises(ValueError, match=message):
        MeanAveragePrecision().compute(predictions=predictions, references=references, class_names=CLASSES)
