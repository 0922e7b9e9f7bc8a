import pytest
import torch
from transformers import AutoImageProcessor, DeiTConfig, DeiTModel

from hipmr_hf import MixingUp, RandomShuffling, Sides
from hipmr_hf.training.detectors import build_peyolos, build_yolos_baseline

TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


def test_boxes_need_mixing_up():
    with pytest.raises(ValueError, match="boxes mean nothing once the patches are shuffled"):
        build_peyolos(RandomShuffling(image_size=32, patch_size=8), (32, 32))


def test_the_baselines_queries_differ():
    model, processor = build_yolos_baseline(
        MixingUp(patch_size=8), (16, 24), num_detection_tokens=7, num_labels=3, **TINY
    )
    assert (model.config.image_size, model.config.patch_size) == ([32, 48], 8)
    assert processor.patch_size == 8 and model.config.num_labels == 3
    boxes = model.eval()(torch.randn(1, 3, 32, 48)).pred_boxes[0]
    assert torch.cdist(boxes, boxes).fill_diagonal_(1).min() > 1e-6


def test_the_processor_knows_the_size_of_every_image_where_they_have_one(tmp_path):
    """New, from the weights of another model, and gone on with."""
    fixed = MixingUp(image_size=(32, 48), patch_size=8)
    model, processor = build_peyolos(fixed, (16, 24), **TINY)
    model.save_pretrained(tmp_path / "peyolos")
    processor.save_pretrained(tmp_path / "peyolos")
    assert list(AutoImageProcessor.from_pretrained(tmp_path / "peyolos").encrypted_size) == [16, 24]
    DeiTModel(DeiTConfig(**TINY, intermediate_size=32)).save_pretrained(tmp_path / "deit")
    for checkpoint in (str(tmp_path / "deit"), str(tmp_path / "peyolos")):
        _, processor = build_peyolos(fixed, (16, 24), checkpoint=checkpoint)
        assert tuple(processor.encrypted_size) == (16, 24)
        _, processor = build_peyolos(MixingUp(Sides(32, 64), patch_size=8), (16, 24), checkpoint=checkpoint)
        assert processor.encrypted_size is None


@pytest.mark.parametrize("checkpoint", [None, "somewhere"])
def test_unknown_arguments_are_refused(checkpoint):
    with pytest.raises(
        ValueError, match="hidden_sise: PEYolosConfig has no such argument, did you mean hidd"
    ):
        build_peyolos(MixingUp(patch_size=8), (16, 24), checkpoint=checkpoint, hidden_sise=8)
    with pytest.raises(ValueError, match="drop_path_rate: YolosConfig has no such argument"):
        build_yolos_baseline(MixingUp(patch_size=8), (16, 24), drop_path_rate=0.1)
    with pytest.raises(ValueError, match="size: got 'huge', expected one of 'tiny', 'small', 'base'"):
        build_peyolos(MixingUp(patch_size=8), (16, 24), size="huge")
