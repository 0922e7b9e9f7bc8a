import torch

from hipmr_hf import MixingUp
from hipmr_hf.training.detectors import build_peyolos, build_yolos_baseline
from hipmr_hf.training.place_supervision import (
    detection_places,
    grid_places,
    place_loss,
    place_targets,
    spread_positions,
    supervise_places,
)

TINY = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_labels": 3}
LABEL = {
    "class_labels": torch.tensor([0, 2]),
    "boxes": torch.tensor([[0.5, 0.5, 0.8, 0.8], [0.3, 0.3, 0.3, 0.3]]),
}
SPACING = torch.tensor([[1 / 6, 1 / 4]])


def test_a_place_tells_the_smallest_object_that_covers_it():
    classes, boxes = place_targets(
        [LABEL], torch.tensor([[[0.3, 0.3], [0.6, 0.6], [0.95, 0.95]]]), SPACING, 3
    )
    assert classes.tolist() == [[2, 0, 3]]
    torch.testing.assert_close(boxes[0, :2], LABEL["boxes"].flip(0))


def test_an_object_between_the_places_still_teaches_one():
    tiny = {"class_labels": torch.tensor([1]), "boxes": torch.tensor([[0.5, 0.5, 0.01, 0.01]])}
    classes, _ = place_targets([tiny], grid_places(4, 4)[None], torch.tensor([[0.25, 0.25]]), 3)
    assert (classes == 1).sum() >= 1


def test_perfect_predictions_cost_nothing_and_padding_does_not_count():
    model, _ = build_peyolos(MixingUp(patch_size=8), (16, 24), **TINY)
    places = grid_places(4, 6)[None]
    classes, boxes = place_targets([LABEL], places, SPACING, 3)
    logits = 50 * torch.nn.functional.one_hot(classes, 4).float()
    assert place_loss(model.config, logits, boxes, [LABEL], places, SPACING) < 1e-5
    real = torch.ones(1, 24, dtype=torch.bool)
    real[:, 12:] = False
    spoiled = logits.clone()
    spoiled[:, 12:] = -spoiled[:, 12:]
    assert place_loss(model.config, spoiled, boxes, [LABEL], places, SPACING) > 1
    assert place_loss(model.config, spoiled, boxes, [LABEL], places, SPACING, real) < 1e-5


def test_an_image_without_objects_still_gives_every_head_a_gradient():
    model, _ = build_peyolos(MixingUp(patch_size=8), (16, 24), num_detection_tokens=6, **TINY)
    empty = {"class_labels": torch.zeros(0, dtype=torch.int64), "boxes": torch.zeros(0, 4)}
    outputs = model(torch.rand(1, 3, 16, 24))
    supervise_places(model, outputs, [empty], torch.ones(1, 4, 6, dtype=torch.bool)).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_padding_moves_neither_places_nor_loss():
    torch.manual_seed(0)
    model, _ = build_peyolos(MixingUp(patch_size=8), (16, 24), num_detection_tokens=6, **TINY)
    small, mask = torch.rand(1, 3, 8, 16), torch.zeros(1, 16, 24, dtype=torch.long)
    padded = torch.zeros(1, 3, 16, 24)
    padded[:, :, :8, :16], mask[:, :8, :16] = small, 1
    alone = supervise_places(model, model(small), [LABEL], torch.ones(1, 2, 4, dtype=torch.bool))
    within = supervise_places(model, model(padded, mask), [LABEL], mask[:, ::4, ::4].bool())
    torch.testing.assert_close(alone, within)


def test_detection_tokens_start_where_they_look():
    for build in (build_peyolos, build_yolos_baseline):
        model, _ = build(MixingUp(patch_size=8), (16, 24), num_detection_tokens=24, **TINY)
        spread_positions(model)
        positions = model.base_model.embeddings.position_embeddings[0].detach()
        cells, tokens = positions[1:25], positions[25:]
        nearest = torch.cdist(detection_places(24), grid_places(4, 6)).argmin(dim=1)
        torch.testing.assert_close(tokens, cells[nearest])
        assert torch.cdist(cells, cells).fill_diagonal_(1).min() > 0.05  # every place is told from the others
