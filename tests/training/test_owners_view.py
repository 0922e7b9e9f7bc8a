"""The owner asks a model about plain pictures, which it is shown encrypted."""

import logging

import pytest
from transformers import AutoModelForSemanticSegmentation

from hipmr_hf import MixingUp
from hipmr_hf.models import image_processing_pevit
from hipmr_hf.training import build_segmenter
from hipmr_hf.training.digit_scenes import digit_scenes
from hipmr_hf.training.owners_view import OwnersView

MIXING = MixingUp(patch_size=16)
TINY = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_labels": 2}


@pytest.fixture
def told():
    """What the guard against plain pictures says, which it says of one scene in twelve after mixing too."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logger = logging.getLogger(image_processing_pevit.__name__)
    logger.addHandler(handler)
    type(logger).warning_once.cache_clear()
    yield said
    logger.removeHandler(handler)


def test_nobody_is_warned_of_pictures_that_were_encrypted_a_moment_ago(told, tmp_path):
    model, processor = build_segmenter(MIXING, (48, 48), **TINY)
    for part in (model, processor, MIXING):
        part.save_pretrained(tmp_path)
    view = OwnersView.load(str(tmp_path), AutoModelForSemanticSegmentation)
    scene = digit_scenes(7, seed=3, size=(96, 96), digit_sizes=(20, 28), with_masks=True)[6]["image"]
    encrypted = MIXING(scene)
    processor(encrypted)
    assert len(told) == 1 and told[0].startswith("A picture may be plain")
    type(image_processing_pevit.logger).warning_once.cache_clear()
    assert view.of(scene).seen.size == (96, 96)
    assert len(told) == 1
