import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, TrainingArguments

from hipmr_hf import MixingUp, PEViTImageProcessorPil
from hipmr_hf.encryption.masks import move_mask
from hipmr_hf.training.plain_segmentation import PlainSegmentationTrainer, build_plain_segmenter

TINY = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_labels": 3}
TURNED = MixingUp(patch_size=8, sub_patch_symmetries=True, shuffle_tones=True)


def test_the_baseline_sees_plain_pictures_and_has_the_papers_embedding(tmp_path, caplog):
    """Whatever would fit what it is compared with."""
    model, processor = build_plain_segmenter(TURNED, (16, 24), patch_embedding=None, **TINY)
    assert model.config.patch_embedding == "nonlinear" and model.config.position_grid == (4, 6)
    smooth = Image.fromarray(np.add.outer(np.arange(32), np.arange(48)).astype(np.uint8)).convert("RGB")
    with caplog.at_level("WARNING"):
        inputs = processor([np.asarray(smooth)] * 8, return_tensors="pt")
    assert model(**inputs).logits.shape == (8, 3, 32, 48) and "plain" not in caplog.text
    processor.save_pretrained(tmp_path)
    assert type(AutoImageProcessor.from_pretrained(tmp_path)) is PEViTImageProcessorPil


@pytest.mark.parametrize("sub_patch_grid", [2, 4])
def test_plain_pixels_are_counted_as_mixing_up_makes_masks_small(sub_patch_grid, tmp_path):
    model, processor = build_plain_segmenter(TURNED, (16, 24), **TINY)
    args = TrainingArguments(str(tmp_path), use_cpu=True, report_to="none")
    trainer = PlainSegmentationTrainer(
        model=model, args=args, processing_class=processor, sub_patch_grid=sub_patch_grid
    )
    masks = np.random.default_rng(0).integers(0, 3, (2, 2, 32, 48), dtype=np.uint8)
    masks[1, 1, :8] = 255
    found, truth = trainer.compared(*map(torch.from_numpy, masks))
    mixing = MixingUp(patch_size=8, sub_patch_grid=sub_patch_grid)
    for small, whole in zip((*found, *truth), masks.reshape(4, 32, 48), strict=True):
        moved = move_mask(whole, mixing.placement(32, 48), sub_patch_grid=sub_patch_grid)
        np.testing.assert_array_equal(small, moved)
