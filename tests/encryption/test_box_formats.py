import pytest

from hipmr_hf.encryption.box_formats import suspicious, to_coco
from hipmr_hf.errors import InputValueError


@pytest.mark.parametrize(
    ("box_format", "box"),
    [
        ("coco", (20, 10, 40, 30)),
        ("xyxy", (20, 10, 60, 40)),
        ("yolo", (0.2, 0.25, 0.2, 0.3)),
        ("xywh_share", (0.1, 0.1, 0.2, 0.3)),
        ("xyxy_share", (0.1, 0.1, 0.3, 0.4)),
    ],
)
def test_every_format_comes_to_the_same_box(box_format, box):
    assert to_coco(box, box_format, (100, 200)) == pytest.approx([20, 10, 40, 30])


@pytest.mark.parametrize("box_format", ["yolo", "xywh_share", "xyxy_share"])
def test_pixels_are_no_shares(box_format):
    with pytest.raises(InputValueError, match=f"no share of the picture, as --box-format {box_format}"):
        to_coco((20, 10, 40, 30), box_format, (100, 200))


@pytest.mark.parametrize("box", [None, (1, 2, 3), (1, 2, 3, 4, 5), (1, 2, None, 4), ("a", 2, 3, 4), 7])
def test_what_is_not_four_numbers_is_refused(box):
    with pytest.raises(InputValueError, match="four numbers"):
        to_coco(box, "xyxy", (100, 200))


@pytest.mark.parametrize("boxes", [[None], [(1, 2, 3)], [(1, 2, None, 4)], [("a", 2, 3, 4)], [7], []])
def test_what_is_no_box_at_all_is_left_to_whoever_moves_boxes(boxes):
    assert suspicious(boxes, (100, 200)) is None
