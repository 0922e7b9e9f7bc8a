import numpy as np
import pytest
import torch
from PIL import Image

from hipmr_hf import MixingUp
from hipmr_hf.training import build_segmenter
from hipmr_hf.training.digit_scenes import digit_scenes
from hipmr_hf.training.segmentation import draw_mask

MIXING = MixingUp(patch_size=8)
TINY = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_labels": 2}
CAPTION, GAP = 30, 6


@pytest.fixture
def checkpoint(tmp_path):
    """A model that finds class 1 everywhere."""
    model, processor = build_segmenter(MIXING, (16, 24), **TINY)
    with torch.no_grad():
        model.decode_head.classifier.bias[:] = torch.tensor([-1e3, 1e3])
    for part in (model, processor, MIXING):
        part.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("with_masks", [True, False])
def test_the_owner_sees_what_the_model_sees_what_it_finds_and_the_truth(
    with_masks, checkpoint, example, tmp_path
):
    scenes = digit_scenes(2, seed=3, size=(32, 48), digit_sizes=(20, 28), with_masks=True, one_class=True)
    columns = ["image", "mask"] if with_masks else ["image"]
    scenes.select_columns(columns).to_parquet(tmp_path / "plain" / "data" / "test-00000-of-00001.parquet")
    options = ["--dataset_name", tmp_path / "plain", "--checkpoint", checkpoint]
    options += ["--output", tmp_path / "drawn.png"]
    drawn = np.asarray(Image.open(example("owner/draw_segments.py").main(list(map(str, options)))))

    height, width = 320, 480  # ten times as large
    assert drawn.shape[1] == len(columns) * (width + GAP) + width
    assert drawn.shape[0] == CAPTION + 2 * (GAP + height) + CAPTION
    for number, row in enumerate(scenes):
        top = CAPTION + GAP + number * (height + GAP)
        seen, *others = (
            drawn[top : top + height, left : left + width][5::10, 5::10]
            for left in range(0, drawn.shape[1], width + GAP)
        )
        plain = np.asarray(row["image"])
        assert (seen[::2, ::2] == seen[1::2, 1::2]).all() and (seen != plain).any()  # half as many pixels
        everywhere = draw_mask(row["image"], np.ones((32, 48), np.uint8))
        true = [draw_mask(row["image"], np.asarray(row["mask"]))] if with_masks else []
        for shown, expected in zip(others, [everywhere, *true], strict=True):
            np.testing.assert_array_equal(shown, np.asarray(expected))
