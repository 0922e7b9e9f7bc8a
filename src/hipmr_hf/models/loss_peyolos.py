"""PEYOLOS's loss: a matching of detections to objects, then class, box distance and overlap."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

try:  # transformers does not install scipy; a checkpoint must load for inference without it
    from scipy.optimize import linear_sum_assignment
except ImportError:
    linear_sum_assignment = None

Labels = Sequence[Mapping[str, torch.Tensor]]
Matching = list[tuple[torch.Tensor, torch.Tensor]]


@torch.compiler.disable  # SciPy's part breaks the graph; in pieces, the rest would be compiled many times
def detection_loss(
    config: Any,
    logits: torch.Tensor,
    pred_boxes: torch.Tensor,
    labels: Labels,
    counts: torch.Tensor | None = None,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Loss of DETR and YOLOS, the same for any split of an optimisation step.

    Cross-entropy over all detections, unmatched ones as "no object" with weight `eos_coefficient`, divided by
    the sum of the weights; plus the L1 distance and 1 - GIoU of matched boxes, divided by the number of
    objects. Both divisors are those of the whole step: with gradients averaged over processes, as DDP does,
    the sum of the gradients of all parts is the gradient of one large batch.

    Args:
        config: Has `eos_coefficient`, the three costs and the two loss coefficients of [`PEYolosConfig`];
            transformers' YOLOS configs do as well.
        logits: (batch, queries, num_labels + 1); the last class is "no object".
        pred_boxes: (batch, queries, 4), centre x, centre y, width and height as shares of the image.
        labels: For each image `class_labels` int64 (objects,) and `boxes` (objects, 4), as `pred_boxes`.
        counts: What [`detection_counts`] gives, added up over every image of the optimisation step: of all
            accumulated batches and all processes. By default, of this batch: of all processes while
            gradients are computed in a process group, else of this process.

    Returns:
        The loss, and detached parts: `loss_ce`, `loss_bbox`, `loss_giou`; `class_error`, per cent of the
        matched detections whose class is wrong; `cardinality_error`, mean over images of the difference
        between the number of detections that are not "no object" and of objects.

    Raises:
        ValueError: If `labels` do not fit the predictions.
        ImportError: If scipy is missing.

    Source: Carion et al., "End-to-End Object Detection with Transformers", section 3.1 and appendix A.
    """
    # Half precision has too few digits for overlaps and logarithms.
    logits, pred_boxes = (
        tensor.to(torch.promote_types(tensor.dtype, torch.float32)) for tensor in (logits, pred_boxes)
    )
    labels = _check_labels(labels, logits, pred_boxes)
    matching = match(config, logits, pred_boxes, labels)
    counts, num_processes = _step_counts(config, labels, logits, counts)
    class_weights, num_objects = counts[0] / num_processes, counts[1].clamp(min=1) / num_processes

    image, query = _matched_queries(matching, logits.device)
    classes, boxes = (_matched_targets(matching, labels, name) for name in ("class_labels", "boxes"))
    loss_ce = _class_loss(config, logits, image, query, classes) / class_weights
    matched = pred_boxes[image, query]
    loss_bbox = (matched - boxes).abs().sum() / num_objects
    loss_giou = (1 - generalized_iou(to_corners(matched), to_corners(boxes))).sum() / num_objects
    loss = loss_ce + config.bbox_loss_coefficient * loss_bbox + config.giou_loss_coefficient * loss_giou
    parts = {"loss_ce": loss_ce.detach(), "loss_bbox": loss_bbox.detach(), "loss_giou": loss_giou.detach()}
    return loss, parts | _errors(logits.detach(), labels, image, query, classes)


def detection_counts(config: Any, labels: Labels, num_queries: int) -> torch.Tensor:
    """What [`detection_loss`] divides by: the sum of the class weights and the number of objects.

    Both follow from the labels alone, so they are known before the first forward pass of a step.

    Args:
        config: Has `eos_coefficient`.
        labels: As in [`detection_loss`]; of these, `class_labels` alone is used.
        num_queries: Detections per image.

    Returns:
        float64 (2,); add the counts of several batches to have those of all.

    >>> from types import SimpleNamespace
    >>> config = SimpleNamespace(eos_coefficient=0.1)
    >>> detection_counts(config, [{"class_labels": torch.tensor([4, 1])}], num_queries=12)
    tensor([3., 2.], dtype=torch.float64)
    """
    objects = [len(label["class_labels"]) for label in labels]
    matched = sum(min(number, num_queries) for number in objects)
    unmatched = len(objects) * num_queries - matched
    return torch.tensor([matched + config.eos_coefficient * unmatched, sum(objects)], dtype=torch.float64)


@torch.no_grad()
def match(config: Any, logits: torch.Tensor, pred_boxes: torch.Tensor, labels: Labels) -> Matching:
    """Assign each object of an image to a detection so that the sum of the costs is least.

    Args:
        config, logits, pred_boxes, labels: As in [`detection_loss`].

    Returns:
        For each image the indices of detections, rising, and of the objects assigned to them: int64
        (min(queries, objects),) each, on the CPU.
    """
    if linear_sum_assignment is None:
        raise ImportError("The detection loss needs scipy. Install it with `pip install scipy`.")
    # The assignment runs on the CPU, and everything before it is small: one transfer, no kernels per image.
    probabilities, pred_boxes = logits.softmax(-1).cpu(), pred_boxes.cpu()
    matching = []
    for probability, boxes, label in zip(probabilities, pred_boxes, labels, strict=True):
        target = label["boxes"].cpu()
        overlap = generalized_iou(to_corners(boxes)[:, None], to_corners(target)[None])
        cost = config.bbox_cost * torch.cdist(boxes, target, p=1) - config.giou_cost * overlap
        cost = cost - config.class_cost * probability[:, label["class_labels"].cpu()]
        # A diverged model must not stop the run: a gradient scaler skips such a step by itself.
        cost = cost.nan_to_num(nan=1e8, posinf=1e8, neginf=-1e8)
        matching.append(tuple(torch.as_tensor(side) for side in linear_sum_assignment(cost.numpy())))
    return matching


def to_corners(boxes: torch.Tensor) -> torch.Tensor:
    """(..., 4) centre x, centre y, width, height to x1, y1, x2, y2.

    >>> to_corners(torch.tensor([0.5, 0.5, 0.5, 1.0]))
    tensor([0.2500, 0.0000, 0.7500, 1.0000])
    """
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat((centre - half, centre + half), dim=-1)


def generalized_iou(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Generalized IoU of corner boxes (..., 4), which broadcast: 1 for equal boxes, down to -1."""
    overlap = _area(
        torch.maximum(first[..., :2], second[..., :2]), torch.minimum(first[..., 2:], second[..., 2:])
    )
    hull = _area(
        torch.minimum(first[..., :2], second[..., :2]), torch.maximum(first[..., 2:], second[..., 2:])
    )
    union = _area(first[..., :2], first[..., 2:]) + _area(second[..., :2], second[..., 2:]) - overlap
    tiny = torch.finfo(union.dtype).tiny  # two boxes without area have no overlap, rather than 0/0
    return overlap / union.clamp(min=tiny) - (hull - union) / hull.clamp(min=tiny)


def _area(start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    return (end - start).clamp(min=0).prod(dim=-1)


def _class_loss(
    config: Any, logits: torch.Tensor, image: torch.Tensor, query: torch.Tensor, classes: torch.Tensor
) -> torch.Tensor:
    """The weighted sum of the cross-entropies of all detections."""
    no_object = logits.shape[-1] - 1
    targets = torch.full(logits.shape[:2], no_object, dtype=torch.int64, device=logits.device)
    targets[image, query] = classes
    weights = logits.new_ones(no_object + 1)
    weights[no_object] = config.eos_coefficient
    return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), weights, reduction="sum")


def _matched_queries(matching: Matching, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    images = [torch.full_like(queries, index) for index, (queries, _) in enumerate(matching)]
    return torch.cat(images).to(device), torch.cat([queries for queries, _ in matching]).to(device)


def _matched_targets(matching: Matching, labels: Labels, name: str) -> torch.Tensor:
    pairs = zip(labels, matching, strict=True)
    return torch.cat([label[name][objects.to(label[name].device)] for label, (_, objects) in pairs])


@torch.no_grad()
def _errors(
    logits: torch.Tensor, labels: Labels, image: torch.Tensor, query: torch.Tensor, classes: torch.Tensor
) -> dict[str, torch.Tensor]:
    best = logits.argmax(-1)
    wrong = (best[image, query] != classes).to(logits.dtype)
    found = (best != logits.shape[-1] - 1).sum(1)
    objects = torch.tensor([len(label["class_labels"]) for label in labels], device=logits.device)
    return {
        "class_error": 100 * wrong.mean() if len(wrong) else wrong.sum(),
        "cardinality_error": (found - objects).abs().to(logits.dtype).mean(),
    }


def _step_counts(
    config: Any, labels: Labels, logits: torch.Tensor, counts: torch.Tensor | None
) -> tuple[torch.Tensor, int]:
    """The counts of the whole step, and the number of processes that average their gradients."""
    grouped = torch.distributed.is_available() and torch.distributed.is_initialized()
    # Without gradients nothing is averaged, and another process may not be evaluating at all.
    num_processes = torch.distributed.get_world_size() if grouped and logits.requires_grad else 1
    given = counts is not None
    counts = counts if given else detection_counts(config, labels, logits.shape[1])
    counts = counts.to(logits)
    if num_processes > 1 and not given:
        torch.distributed.all_reduce(counts)
    return counts, num_processes


def _check_labels(
    labels: Labels, logits: torch.Tensor, pred_boxes: torch.Tensor
) -> list[dict[str, torch.Tensor]]:
    batch_size, num_labels = len(logits), logits.shape[-1] - 1
    if len(labels) != batch_size:
        raise ValueError(
            f"`labels` must hold one entry per image, got {len(labels)} for {batch_size} images."
        )
    checked = []
    for index, label in enumerate(labels):
        if missing := {"class_labels", "boxes"} - set(label):
            raise ValueError(
                f"`labels[{index}]` must hold `class_labels` and `boxes`, missing: {sorted(missing)}. Give "
                "`annotations` to the image processor to get both."
            )
        classes = label["class_labels"].to(logits.device)
        boxes = label["boxes"].to(pred_boxes).reshape(-1, 4)
        if classes.shape != boxes.shape[:1]:
            raise ValueError(
                f"`labels[{index}]` has {len(boxes)} `boxes` and `class_labels` of the shape "
                f"{tuple(classes.shape)}; give each object one class and one box."
            )
        if len(classes) and not 0 <= int(classes.min()) <= int(classes.max()) < num_labels:
            raise ValueError(
                f"`class_labels` must be 0..{num_labels - 1} (`num_labels` of the config), got "
                f"{int(classes.min())}..{int(classes.max())} in `labels[{index}]`."
            )
        checked.append({"class_labels": classes, "boxes": boxes})
    return checked


__all__ = ["detection_counts", "detection_loss", "generalized_iou", "match", "to_corners"]
