from types import SimpleNamespace

import pytest
import torch
from transformers import YolosConfig
from transformers.loss.loss_for_object_detection import ForObjectDetectionLoss

from hipmr_hf.models import loss_peyolos
from hipmr_hf.models.loss_peyolos import detection_counts, detection_loss, match

CONFIG = YolosConfig(num_labels=3, eos_coefficient=0.1)


def predictions(batch_size: int = 4, queries: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(batch_size, queries, 4, generator=generator, dtype=torch.float64)
    boxes = 0.2 + 0.3 * torch.rand(batch_size, queries, 4, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), boxes.requires_grad_()


def labels_for(*numbers: int) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        {
            "class_labels": torch.randint(0, 3, (number,), generator=generator),
            "boxes": 0.2 + 0.3 * torch.rand(number, 4, generator=generator, dtype=torch.float64),
        }
        for number in numbers
    ]


@pytest.mark.parametrize("numbers", [(2, 0, 1, 3), (0, 0, 0, 0), (9, 1, 1, 1)])
def test_one_process_gives_the_loss_of_transformers(numbers):
    logits, boxes = (prediction.float() for prediction in predictions())
    labels = [{**label, "boxes": label["boxes"].float()} for label in labels_for(*numbers)]
    theirs, parts, _ = ForObjectDetectionLoss(logits, labels, torch.device("cpu"), boxes, CONFIG)
    ours, our_parts = detection_loss(CONFIG, logits, boxes, labels)
    torch.testing.assert_close(ours, theirs)
    for name in ("loss_ce", "loss_bbox", "loss_giou", "cardinality_error"):
        torch.testing.assert_close(our_parts[name], parts[name].to(ours).detach())


def test_parts_of_a_step_add_up_to_its_gradient():
    """Gradient accumulation over batches with unlike numbers of objects."""
    labels = labels_for(3, 0, 1, 1)
    logits, boxes = predictions()
    detection_loss(CONFIG, logits, boxes, labels)[0].backward()
    whole = logits.grad.clone(), boxes.grad.clone()
    logits.grad = boxes.grad = None
    counts = detection_counts(CONFIG, labels, 6)
    for part in (slice(0, 1), slice(1, 4)):
        detection_loss(CONFIG, logits[part], boxes[part], labels[part], counts)[0].backward()
    torch.testing.assert_close((logits.grad, boxes.grad), whole)


def test_more_objects_than_detections_are_matched_as_far_as_it_goes():
    logits, boxes = predictions(1, 2)
    ((queries, objects),) = match(CONFIG, logits, boxes, labels_for(5))
    assert queries.tolist() == [0, 1] and len(set(objects.tolist())) == 2
    assert detection_counts(CONFIG, labels_for(5), 2).tolist() == [2, 5]


def test_the_matching_is_the_cheapest():
    logits, boxes = (
        torch.zeros(1, 3, 4),
        torch.tensor([[[0.1, 0.1, 0.1, 0.1], [0.5, 0.5, 0.2, 0.2], [0.9] * 4]]),
    )
    labels = [{"class_labels": torch.tensor([0, 1]), "boxes": boxes[0, [1, 0]]}]
    ((queries, objects),) = match(CONFIG, logits, boxes, labels)
    assert (queries.tolist(), objects.tolist()) == ([0, 1], [1, 0])


def test_perfect_detections_cost_nothing_but_their_class():
    labels = labels_for(2)
    boxes = labels[0]["boxes"][None]
    logits = 50.0 * torch.nn.functional.one_hot(labels[0]["class_labels"], 4)[None].double()
    loss, parts = detection_loss(CONFIG, logits, boxes, labels)
    assert loss.item() == pytest.approx(0, abs=1e-9)
    assert (parts["class_error"], parts["cardinality_error"]) == (0, 0)


def test_boxes_without_area_have_finite_gradients():
    logits, boxes = predictions(1, 2)
    flat = torch.zeros_like(boxes).requires_grad_()
    labels = [{"class_labels": torch.tensor([0]), "boxes": torch.zeros(1, 4, dtype=torch.float64)}]
    loss, _ = detection_loss(CONFIG, logits, flat, labels)
    loss.backward()
    assert loss.isfinite() and flat.grad.isfinite().all()


def test_a_diverged_model_gives_a_loss_that_is_not_a_number_but_no_error():
    logits, boxes = predictions(1, 3)
    loss, _ = detection_loss(CONFIG, logits * float("nan"), boxes, labels_for(2))
    assert loss.isnan()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (labels_for(1), "`labels` must hold one entry per image, got 1 for 2 images"),
        ([{"boxes": torch.zeros(0, 4)}] * 2, r"missing: \['class_labels'\]"),
        ([{"class_labels": torch.tensor([0, 1]), "boxes": torch.zeros(1, 4)}] * 2, r"1 `boxes` and"),
        (
            [{"class_labels": torch.tensor([3]), "boxes": torch.zeros(1, 4)}] * 2,
            r"must be 0\.\.2 .*got 3\.\.3",
        ),
    ],
)
def test_labels_that_do_not_fit_are_named(labels, message):
    with pytest.raises(ValueError, match=message):
        detection_loss(CONFIG, *predictions(2), labels)


def test_without_scipy_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr(loss_peyolos, "linear_sum_assignment", None)
    with pytest.raises(ImportError, match="needs scipy"):
        match(CONFIG, *predictions(1), labels_for(1))


def test_any_object_with_the_weights_is_a_config():
    weights = {"class_cost": 1, "bbox_cost": 5, "giou_cost": 2, "eos_coefficient": 0.1}
    config = SimpleNamespace(**weights, bbox_loss_coefficient=5, giou_loss_coefficient=2)
    ours, _ = detection_loss(config, *predictions(), labels_for(1, 2, 0, 1))
    torch.testing.assert_close(ours, detection_loss(CONFIG, *predictions(), labels_for(1, 2, 0, 1))[0])
