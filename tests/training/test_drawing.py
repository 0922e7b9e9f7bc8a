import numpy as np
from PIL import Image

from hipmr_hf.training.drawing import captioned, class_colour, draw_detections, legend, tile

NAMES = ["cat", "dog"]


def detections(*boxes, labels=None):
    return {"scores": [0.9] * len(boxes), "labels": labels or [0] * len(boxes), "boxes": list(boxes)}


def test_a_box_lies_around_its_object_and_leaves_it_visible():
    image = Image.new("RGB", (40, 40))
    picture = np.asarray(draw_detections(image, detections([10, 20, 30, 30]), NAMES)).astype(int)
    assert picture.shape == (320, 320, 3) and np.asarray(image).max() == 0
    red = (picture[..., 0] > 200) & (picture[..., 1] < 150)
    assert (
        red[160, 80:241].all()
        and red[240, 80:241].all()
        and red[160:241, 80].all()
        and red[160:241, 240].all()
    )
    assert not picture[166:235, 86:235].any() and not picture[245:].any()


def test_labels_stay_inside_the_picture_and_classes_differ_in_colour():
    boxes = ([300, 0, 319, 10], [0, 300, 19, 319])
    picture = np.asarray(
        draw_detections(Image.new("RGB", (320, 320)), detections(*boxes, labels=[0, 1]), NAMES)
    )
    colours = {
        tuple(colour) for colour in picture.reshape(-1, 3)[picture.reshape(-1, 3).any(axis=1)].tolist()
    }
    assert {tuple(picture[10, 300].tolist()), tuple(picture[319, 0].tolist())} <= colours
    assert tuple(picture[10, 300]) != tuple(picture[319, 0])
    assert (picture[:20, 240:300] > 0).any()  # the label of a box in the corner begins left of it


def test_pictures_of_different_sizes_do_not_overlap():
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    red, green, blue = (
        Image.new("RGB", size, colour)
        for size, colour in zip([(9, 5), (7, 8), (4, 30)], colours, strict=True)
    )
    sheet = np.asarray(tile([[red, green], [blue]]))
    assert [int((sheet == colour).all(axis=2).sum()) for colour in colours] == [45, 56, 120]


def test_a_caption_fits_above_its_column_and_a_legend_names_every_colour():
    picture = Image.new("RGB", (200, 40))
    line, below = captioned([picture], "words that are far too long for so small a picture, by much")
    assert below is picture and line.width == 200
    dark = np.asarray(line.convert("L")) < 128
    assert dark.any() and not dark[:, :2].any() and not dark[:, -2:].any()
    colours = {"cat": class_colour(1), "dog": class_colour(2)}
    sheet = np.asarray(legend(picture, colours))
    assert (sheet[:40] == 0).all()
    for colour in colours.values():
        assert (sheet[40:] == colour).all(axis=-1).sum() > 200
