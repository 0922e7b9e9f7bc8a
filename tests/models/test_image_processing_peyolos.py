import numpy as np
import pytest
import torch
from transformers.image_transforms import center_to_corners_format

from hipmr_hf.models import PEYolosImageProcessorPil

PROCESSOR = PEYolosImageProcessorPil(patch_size=8)


def image(height: int, width: int, value: int = 255) -> np.ndarray:
    return np.full((height, width, 3), value, dtype=np.uint8)


def annotation(*objects: dict) -> dict:
    return {"image_id": 7, "annotations": list(objects)}


def box(x, y, width, height, category: int = 1, **more) -> dict:
    return {"bbox": [x, y, width, height], "category_id": category, **more}


@pytest.mark.parametrize("kind", ["np", "pt"])
def test_unequal_images_are_padded_and_masked(kind):
    inputs = PROCESSOR([image(16, 24), image(8, 32)], return_tensors=kind)
    assert tuple(inputs.pixel_values.shape) == (2, 3, 16, 32)
    mask = np.zeros((2, 16, 32))
    mask[0, :, :24] = mask[1, :8, :] = 1
    np.testing.assert_array_equal(inputs.pixel_mask, mask)
    np.testing.assert_array_equal(inputs.pixel_values[:, 0], mask)  # white is 1, padding 0


def test_without_tensors_images_and_masks_keep_their_sizes():
    inputs = PROCESSOR([image(16, 24), image(8, 32)])
    assert [value.shape for value in inputs.pixel_values] == [(3, 16, 24), (3, 8, 32)]
    assert [mask.shape for mask in inputs.pixel_mask] == [(16, 24), (8, 32)]


def test_boxes_become_shares_of_the_image_without_its_padding():
    objects = annotation(box(4, 2, 8, 4, category=2), box(0, 0, 16, 8))
    inputs = PROCESSOR([image(8, 16), image(16, 32)], [objects, annotation()], return_tensors="pt")
    first, second = inputs.labels
    assert first["class_labels"].tolist() == [2, 1]
    torch.testing.assert_close(first["boxes"], torch.tensor([[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 1, 1]]))
    assert first["area"].tolist() == [32, 128] and first["orig_size"].tolist() == [8, 16]
    assert first["image_id"].tolist() == [7]
    assert second["boxes"].shape == (0, 4) and second["class_labels"].dtype == torch.int64


def test_boxes_are_clipped_and_those_without_area_and_crowds_left_out():
    objects = annotation(
        box(-4, -4, 8, 8),
        box(20, 2, 4, 4),
        box(3, 3, 0, 5),
        box(1, 1, 5, 5, iscrowd=1),
        box(12, 4, 9, 9, area=3),
    )
    (labels,) = PROCESSOR(image(8, 16), objects, return_tensors="np").labels
    corners = center_to_corners_format(torch.tensor(labels["boxes"])) * torch.tensor([16, 8, 16, 8])
    torch.testing.assert_close(corners, torch.tensor([[0.0, 0, 4, 4], [12, 4, 16, 8]]))
    assert labels["area"].tolist() == [16, 3]


def test_post_processing_undoes_the_labels():
    objects = annotation(box(4, 2, 8, 4, category=2), box(1, 1, 3, 6, category=0))
    (labels,) = PROCESSOR(image(8, 16), objects, return_tensors="pt").labels
    logits = torch.nn.functional.one_hot(labels["class_labels"], 4).float() * 9

    class Outputs:
        pass

    outputs = Outputs()
    outputs.logits, outputs.pred_boxes = logits[None], labels["boxes"][None]
    (result,) = PROCESSOR.post_process_object_detection(outputs, 0.9, [(80, 160)])
    assert result["labels"].tolist() == [2, 0]
    torch.testing.assert_close(result["boxes"], torch.tensor([[40.0, 20, 120, 60], [10, 10, 40, 70]]))
    (nothing,) = PROCESSOR.post_process_object_detection(outputs, 0.9999)
    assert nothing["boxes"].shape == (0, 4)
    with pytest.raises(ValueError, match="one \\(height, width\\) per image, got 2 for 1 images"):
        PROCESSOR.post_process_object_detection(outputs, 0.5, [(1, 1), (2, 2)])


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ([annotation()], "`annotations` must hold one entry per image, got 1 for 2"),
        ([{"bbox": []}, {"bbox": []}], "a dict with a list `annotations`"),
    ],
)
def test_annotations_that_do_not_fit_are_named(annotations, message):
    with pytest.raises(ValueError, match=message):
        PROCESSOR([image(8, 16), image(8, 16)], annotations)


def test_plain_images_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"not whole patches of `patch_size` 8.*MixingUp"):
        PROCESSOR(image(10, 16))
    with pytest.raises(ValueError, match=r"do_resize.* is refused"):
        PROCESSOR(image(8, 16), do_resize=True)
