import pytest
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig

from hipmr_hf.models import PEYolosConfig


def test_settings_survive_saving(tmp_path):
    config = PEYolosConfig(image_size=(32, 48), num_labels=3, use_mid_position_embeddings=True, giou_cost=3)
    config.save_pretrained(tmp_path)
    reloaded = AutoConfig.from_pretrained(tmp_path)
    assert type(reloaded) is PEYolosConfig
    assert {**reloaded.to_dict(), "_name_or_path": ""} == config.to_dict()


@pytest.mark.parametrize(
    ("preset", "sizes"), [("tiny", (192, 12, 3)), ("small", (384, 12, 6)), ("base", (768, 12, 12))]
)
def test_presets_have_the_papers_sizes(preset, sizes):
    config = getattr(PEYolosConfig, preset)()
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == sizes
    assert config.intermediate_size == 4 * sizes[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_detection_tokens": 0}, "`num_detection_tokens` must be a positive integer, got 0"),
        ({"hidden_size": 30, "num_attention_heads": 4}, "multiple of `num_attention_heads`, got 30 and 4"),
        ({"image_size": (32, 50)}, r"whole patches of 8 pixels, got \[32, 50\]"),
        ({"eos_coefficient": 0}, "`eos_coefficient` must be above 0, got 0"),
        ({"bbox_cost": -1}, "`bbox_cost` must be at least 0, got -1"),
        ({"class_cost": 0, "bbox_cost": 0, "giou_cost": 0}, "One of class_cost, bbox_cost, giou_cost"),
        ({"drop_path_rate": 1}, "`drop_path_rate` must be at least 0 and below 1, got 1"),
        ({"patch_embedding": "conv"}, "patch_embedding"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(StrictDataclassError, match=message):
        PEYolosConfig(**settings)
