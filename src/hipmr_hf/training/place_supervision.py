"""A head start for detectors: before detections are matched to objects, tokens learn what is at their place.

A detector trained from scratch on few images hardly learns from matched detections alone: each object teaches
one detection token, and not always the same. Here every patch and every detection token has a place in the
image and learns, by the detector's own two heads, the class and box of the object that covers it, as in
detectors that predict at every position (Tian et al., "FCOS", ICCV 2019). Afterwards the loss is the paper's.
This is an addition to the published recipe; the model stays as it is.
"""

import itertools
import math
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from ..models.loss_peyolos import Labels, generalized_iou, to_corners

INNER_SHARE = 0.7
"""Share of a box's width and height, around its centre, in which a place belongs to the object."""
NO_OBJECT_WEIGHT = 0.5
"""Weight of a place without an object; most places have one in crowded images and none in others."""
SINE_AMPLITUDE = 0.2
"""Of the positions that patches start with: several times PyTorch's and the paper's random .02."""


def grid_places(rows: int, columns: int) -> torch.Tensor:
    """Centres of the cells of a grid, row-major.

    Returns:
        (rows * columns, 2): x and y as shares, in 0..1, of the image.

    Example:
        >>> grid_places(1, 2)
        tensor([[0.2500, 0.5000],
                [0.7500, 0.5000]])
    """
    y, x = torch.meshgrid(_centres(rows), _centres(columns), indexing="ij")
    return torch.stack((x.flatten(), y.flatten()), dim=1)


def detection_places(num_detection_tokens: int) -> torch.Tensor:
    """Spread detection tokens over the image in rows of nearly equal length.

    Returns:
        (num_detection_tokens, 2): x and y as shares, in 0..1, of the image.

    Example:
        >>> detection_places(3)
        tensor([[0.5000, 0.2500],
                [0.2500, 0.7500],
                [0.7500, 0.7500]])
    """
    rows = max(1, round(math.sqrt(num_detection_tokens * 3 / 4)))  # most photographs are 4:3
    ends = [num_detection_tokens * row // rows for row in range(rows + 1)]
    places = [
        torch.stack((x := _centres(last - first), torch.full_like(x, (row + 0.5) / rows)), dim=1)
        for row, (first, last) in enumerate(itertools.pairwise(ends))
    ]
    return torch.cat(places)


@torch.no_grad()
def spread_positions(model: PreTrainedModel) -> None:
    """Let a new detector's patches start with sine positions, and each detection token with a patch's.

    Args:
        model: PEYOLOS or transformers' YOLOS, not trained to detect yet; its positions are overwritten.

    Source: Vaswani et al., "Attention Is All You Need", section 3.5, in two dimensions.
    """
    config = model.config
    height, width = _pair(config.image_size)
    patch = _pair(config.patch_size)
    cells = grid_places(height // patch[0], width // patch[1])
    places = detection_places(config.num_detection_tokens)
    nearest = torch.cdist(places, cells).argmin(dim=1)
    positions = model.base_model.embeddings.position_embeddings
    sines = SINE_AMPLITUDE * _sines(cells, config.hidden_size).to(positions)
    positions[0, 1 : 1 + len(cells)] = sines
    positions[0, 1 + len(cells) :] = sines[nearest]


def place_targets(
    labels: Labels, places: torch.Tensor, spacing: torch.Tensor, num_labels: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """What each place should tell: the smallest object whose inner part covers it, or none.

    Args:
        labels: for each image `class_labels` int64 (objects,) and `boxes` (objects, 4), centre x, centre y,
            width and height as shares of the image.
        places: (images, places, 2) or (1, places, 2), x and y as shares of the image.
        spacing: (images, 2) or (1, 2), distance of neighbouring places in x and y, as shares of the image.
        num_labels: classes; this number itself stands for "no object".

    Returns:
        Classes int64 (images, places), and boxes (images, places, 4), zero without an object.

    Example:
        >>> label = {"class_labels": torch.tensor([1]), "boxes": torch.tensor([[0.25, 0.5, 0.4, 0.9]])}
        >>> place_targets([label], grid_places(1, 2)[None], torch.tensor([[0.5, 1.0]]), num_labels=3)[0]
        tensor([[1, 3]])
    """
    places = places.expand(len(labels), -1, -1)
    classes = torch.full(places.shape[:2], num_labels, dtype=torch.int64, device=places.device)
    boxes = places.new_zeros(*places.shape[:2], 4)
    # An object smaller than the distance of places still owns the places next to its centre.
    least = (spacing / 2).expand(len(labels), -1)
    for index, label in enumerate(labels):
        objects = label["boxes"].to(places)
        if not len(objects):
            continue
        reach = (objects[:, 2:] * INNER_SHARE / 2).clamp(min=least[index])
        inside = ((places[index, :, None] - objects[:, :2]).abs() <= reach).all(dim=-1)  # (places, objects)
        area = torch.where(inside, objects[:, 2:].prod(dim=-1), math.inf)
        smallest, owner = area.min(dim=1)
        covered = smallest < math.inf
        classes[index, covered] = label["class_labels"].to(classes)[owner[covered]]
        boxes[index, covered] = objects[owner[covered]]
    return classes, boxes


def place_loss(
    config: Any,
    logits: torch.Tensor,
    pred_boxes: torch.Tensor,
    labels: Labels,
    places: torch.Tensor,
    spacing: torch.Tensor,
    real: torch.Tensor | None = None,
) -> torch.Tensor:
    """Loss of predictions that stand at places: class everywhere, box where there is an object.

    Args:
        config: has the coefficients of `detection_loss`.
        logits: (images, places, num_labels + 1); the last class is "no object".
        pred_boxes: (images, places, 4), centre x, centre y, width and height as shares of the image.
        labels: as in `place_targets`.
        places, spacing: as in `place_targets`.
        real: bool (images, places), False where there is only padding.

    Returns:
        The loss, divided by the batch's own sum of weights and number of covered places.
    """
    logits, pred_boxes = logits.float(), pred_boxes.float()
    num_labels = logits.shape[-1] - 1
    classes, boxes = place_targets(labels, places.to(pred_boxes), spacing.to(pred_boxes), num_labels)
    if real is not None:
        classes = classes.masked_fill(~real, -100)  # cross_entropy leaves these out
    weights = logits.new_ones(num_labels + 1)
    weights[num_labels] = NO_OBJECT_WEIGHT
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), classes.flatten(), weights)
    covered = (classes >= 0) & (classes < num_labels)
    if not covered.any():
        return loss + 0 * pred_boxes.sum()  # so that every process has a gradient for the box head
    found, true = pred_boxes[covered], boxes[covered]
    distance = (found - true).abs().sum(dim=-1).mean()
    overlap = 1 - generalized_iou(to_corners(found), to_corners(true)).mean()
    return loss + config.bbox_loss_coefficient * distance + config.giou_loss_coefficient * overlap


def supervise_places(
    model: PreTrainedModel, outputs: Any, labels: Labels, patch_mask: torch.Tensor
) -> torch.Tensor:
    """Place loss of all patches plus that of all detection tokens.

    Args:
        model: PEYOLOS or transformers' YOLOS, unwrapped: its heads read the patches.
        outputs: of its forward pass.
        labels: as in `place_targets`.
        patch_mask: bool (images, rows, columns), False where there is only padding, at the right and below.

    Returns:
        The sum of both losses.
    """
    _, rows, columns = patch_mask.shape
    patches = outputs.last_hidden_state[:, 1 : 1 + rows * columns]
    logits, boxes = model.class_labels_classifier(patches), model.bbox_predictor(patches).sigmoid()
    # Places and distances are shares of the image without its padding: columns and rows of its own.
    own = torch.stack((patch_mask[:, 0].sum(dim=1), patch_mask[:, :, 0].sum(dim=1)), dim=1).clamp(min=1)
    cells = grid_places(rows, columns).to(own.device) * (own.new_tensor([columns, rows]) / own)[:, None]
    loss = place_loss(model.config, logits, boxes, labels, cells, 1 / own, patch_mask.flatten(1))
    number = model.config.num_detection_tokens
    places = detection_places(number).to(own.device)[None]
    spacing = places.new_full((1, 2), number**-0.5)
    return loss + place_loss(model.config, outputs.logits, outputs.pred_boxes, labels, places, spacing)


def _centres(number: int) -> torch.Tensor:
    return (torch.arange(number) + 0.5) / number


def _pair(size: int | tuple[int, int] | list[int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else tuple(size)


def _sines(places: torch.Tensor, width: int) -> torch.Tensor:
    """(places, width): sines and cosines of x and of y at width // 4 frequencies from half a turn on."""
    number = width // 4
    frequencies = math.pi * torch.logspace(0, 1, number, base=20.0)
    angles = places[:, :, None] * frequencies  # (places, 2, number)
    waves = torch.cat((angles.sin(), angles.cos()), dim=-1).flatten(1)
    return nn.functional.pad(waves, (0, width - waves.shape[1]))
