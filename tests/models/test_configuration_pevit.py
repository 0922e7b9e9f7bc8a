import pytest
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig

from hipmr_hf.models import PEViTConfig, PEViTForImageClassification


@pytest.mark.parametrize(
    ("preset", "sizes"),
    [("tiny", (192, 12, 3, 768)), ("small", (384, 12, 6, 1536)), ("base", (768, 12, 12, 3072))],
)
def test_presets_have_the_sizes_of_the_paper(preset, sizes):
    config = getattr(PEViTConfig, preset)()
    found = (
        config.hidden_size,
        config.num_hidden_layers,
        config.num_attention_heads,
        config.intermediate_size,
    )
    assert found == sizes


def test_presets_take_overrides():
    config = PEViTConfig.tiny(num_hidden_layers=4, patch_size=8, num_labels=7)
    assert (config.num_hidden_layers, config.patch_size, config.num_labels) == (4, 8, 7)


def test_small_has_as_many_parameters_as_published():
    model = PEViTForImageClassification(PEViTConfig.small(num_labels=1000))
    assert model.num_parameters() == 22_271_080


def test_explicit_intermediate_size_stays():
    assert PEViTConfig(intermediate_size=100).intermediate_size == 100


@pytest.mark.parametrize("image_size", [32, (32, 48), [32, 48]])
def test_config_survives_saving(tmp_path, image_size):
    config = PEViTConfig(
        hidden_size=32, num_attention_heads=2, image_size=image_size, position_encoding="absolute"
    )
    config.save_pretrained(tmp_path)
    assert type(AutoConfig.from_pretrained(tmp_path)) is PEViTConfig
    assert PEViTConfig.from_pretrained(tmp_path).to_dict() == config.to_dict()
    assert PEViTConfig.from_dict(config.to_dict()).to_dict() == config.to_dict()


def test_position_grid_is_rows_and_columns():
    assert PEViTConfig(image_size=(64, 96), patch_size=16).position_grid == (4, 6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden_size": 30, "num_attention_heads": 4}, "`hidden_size` must be a multiple"),
        ({"patch_size": 0}, "`patch_size` must be a positive integer, got 0"),
        ({"num_hidden_layers": 0}, "`num_hidden_layers` must be a positive integer"),
        ({"drop_path_rate": 1.0}, "`drop_path_rate` must be at least 0 and below 1, got 1.0"),
        ({"patch_drop_rate": -0.1}, "`patch_drop_rate` must be at least 0"),
        ({"distillation_alpha": 2.0}, "`distillation_alpha` must be between 0 and 1"),
        ({"distillation_tau": 0.0}, "`distillation_tau` must be above 0"),
        ({"position_encoding": "relative"}, "'reference', 'none', 'absolute'"),
        ({"patch_embedding": "conv"}, "'linear', 'nonlinear'"),
        ({"hidden_size": "768"}, "expected int"),
        ({"image_size": [1, 2, 3]}, "`image_size` must be a positive integer or"),
        ({"image_size": 30, "position_encoding": "absolute"}, "`image_size` must be whole patches of 16"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(StrictDataclassError, match=message):
        PEViTConfig(**arguments)


def test_image_size_need_not_be_whole_patches_without_positions():
    assert PEViTConfig(image_size=30, position_encoding="reference").image_size == 30
