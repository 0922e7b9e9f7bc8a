import numpy as np

from benchmarks.accuracy.bccd_masks import mask_of


def test_a_cells_mask_is_the_ellipse_inside_its_box_and_smaller_kinds_lie_on_top():
    # told from the top down: a platelet and a white cell inside of a red one's box
    objects = {"bbox": [[40, 30, 10, 8], [20, 20, 40, 30], [10, 10, 80, 60]], "category": [2, 1, 0]}
    mask = np.asarray(mask_of((100, 80), objects))
    assert mask.shape == (80, 100)
    for kind, (x, y, width, height) in ((1, (10, 10, 80, 60)), (2, (20, 20, 40, 30)), (3, (40, 30, 10, 8))):
        rows, columns = np.nonzero(mask >= kind)
        assert (columns.min(), columns.max() + 1 - columns.min()) == (x, width)
        assert (rows.min(), rows.max() + 1 - rows.min()) == (y, height)
        assert abs(len(rows) / (np.pi * width * height / 4) - 1) < 0.1
    assert mask[34, 45] == 3 and mask[25, 40] == 2 and mask[60, 50] == 1 and mask[11, 11] == 0
