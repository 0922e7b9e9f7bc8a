import pytest
import torch

from hipmr_hf.models import (
    PEViTConfig,
    PEViTForImageClassification,
    PEViTForSemanticSegmentation,
    PEViTImageProcessorPil,
)

POSITIONS = {"position_encoding": "absolute", "image_size": (16, 24)}


def tiny_config(**overrides) -> PEViTConfig:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_labels": 5}
    return PEViTConfig(**{**sizes, "patch_size": 4, **POSITIONS, **overrides})


def random_pixels(batch_size: int, height: int, width: int) -> torch.Tensor:
    return torch.randn(batch_size, 3, height, width, generator=torch.Generator().manual_seed(1))


def build(seed: int = 0, **overrides) -> PEViTForSemanticSegmentation:
    """A model whose weights are drawn large, so that mistakes show."""
    torch.manual_seed(seed)
    return PEViTForSemanticSegmentation(tiny_config(initializer_range=0.2, **overrides)).eval()


@torch.no_grad()
def test_logits_stand_where_the_pixels_do_in_pictures_of_any_shape():
    """A patch's token is all that its inner pixels depend on, when nothing is mixed before or after it."""
    model = build(num_hidden_layers=1)
    for height, width in ((16, 24), (24, 16), (4, 8)):
        assert model(random_pixels(2, height, width)).logits.shape == (2, 5, height, width)
    tokens = torch.zeros(1, 32, 4, 6)
    tokens[0, :, 2, 5] = 1
    changed = (model.decode_head(tokens) != model.decode_head(torch.zeros_like(tokens))).any(dim=1)[0]
    rows, columns = (places.unique().tolist() for places in changed.nonzero(as_tuple=True))
    # the patch of 4 pixels, and the pixel beyond its border that the smoothing reaches
    assert rows == list(range(7, 13)) and columns == list(range(19, 24))


def test_the_loss_is_the_mean_over_the_pixels_that_count():
    model, pixels = build(), random_pixels(2, 16, 24)
    labels = torch.randint(0, 5, (2, 16, 24), generator=torch.Generator().manual_seed(0))
    labels[0, :7] = 255
    output = model(pixels, labels=labels)
    counted = labels != 255
    expected = torch.nn.functional.cross_entropy(output.logits.permute(0, 2, 3, 1)[counted], labels[counted])
    torch.testing.assert_close(output.loss, expected)
    nothing = model(pixels, labels=torch.full_like(labels, 255)).loss
    nothing.backward()
    assert nothing == 0 and torch.isfinite(model.decode_head.unfolding.weight.grad).all()


def test_distilled_checkpoints_and_other_heads_give_their_backbone(tmp_path):
    classifier = PEViTForImageClassification(tiny_config(use_distillation_token=True))
    classifier.save_pretrained(tmp_path)
    model, report = PEViTForSemanticSegmentation.from_pretrained(
        tmp_path, num_labels=3, output_loading_info=True
    )
    torch.testing.assert_close(model.pevit.embeddings.cls_token, classifier.pevit.embeddings.cls_token)
    assert {name.split(".")[0] for name in report["missing_keys"]} == {"decode_head"}
    assert model(random_pixels(1, 16, 24)).logits.shape == (1, 3, 16, 24)


def test_it_learns_the_class_of_every_pixel():
    """Bright pixels are class 1, in mixed patches as in plain ones."""
    torch.manual_seed(0)
    model = PEViTForSemanticSegmentation(tiny_config(num_labels=2))
    pixels = (
        torch.rand(8, 1, 16, 24, generator=torch.Generator().manual_seed(2)).expand(-1, 3, -1, -1) * 2 - 1
    )
    labels = (pixels[:, 0] > 0).long()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(250):
        optimizer.zero_grad()
        model(pixels, labels=labels).loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = model.eval()(pixels).logits.argmax(dim=1)
    assert (found == labels).float().mean() > 0.95


@torch.no_grad()
def test_the_processor_gives_class_ids_at_the_size_asked_for():
    output = build()(random_pixels(2, 16, 24))
    processor = PEViTImageProcessorPil(patch_size=4)
    same = processor.post_process_semantic_segmentation(output)
    torch.testing.assert_close(torch.stack(same), output.logits.argmax(dim=1))
    larger = processor.post_process_semantic_segmentation(output, target_sizes=[(32, 48), (16, 24)])
    assert larger[0].shape == (32, 48) and torch.equal(larger[1], same[1])
    (told, _) = processor.post_process_semantic_segmentation(output, return_segmentation_scores=True)
    assert torch.equal(told.segmentation, same[0])
    assert torch.equal(told.segmentation_scores, output.logits[0])
    with pytest.raises(ValueError, match=r"one \(height, width\) per image, got 1 for 2"):
        processor.post_process_semantic_segmentation(output, target_sizes=[(32, 48)])


@pytest.mark.parametrize("overrides", [{"patch_drop_rate": 0.2}, {"num_labels": 0}])
def test_what_would_leave_pixels_without_a_class_is_refused(overrides):
    with pytest.raises(ValueError, match="at least one label and every patch"):
        build(**overrides)


def test_labels_of_another_size_are_named():
    with pytest.raises(ValueError, match=r"of shape \(1, 16, 24\), got \(1, 32, 48\)"):
        build()(random_pixels(1, 16, 24), labels=torch.zeros(1, 32, 48, dtype=torch.long))
