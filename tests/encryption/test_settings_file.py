import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hipmr_hf import Encryption, MixingUp, RandomShuffling
from hipmr_hf.layout import SETTINGS_FILE

SETTINGS = [
    RandomShuffling(),
    RandomShuffling(
        image_size=(96, 160), interval=4, drop_ratio=0.25, sub_patch_grid=2, sub_patch_symmetries=True
    ),
    MixingUp(),
    MixingUp(image_size=(64, 128), patch_size=32, sub_patch_grid=4, patch_normalization=True),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_settings_survive_a_file(tmp_path, settings):
    path = settings.save_pretrained(tmp_path)
    assert path == tmp_path / SETTINGS_FILE and [path] == list(tmp_path.iterdir())
    assert type(settings).from_pretrained(tmp_path) == settings
    assert Encryption.from_pretrained(tmp_path) == settings


@given(
    st.integers(1, 8),
    st.sampled_from([2, 4, 8, 16]),
    st.integers(0, 7),
    st.floats(0, 0.5),
    st.booleans(),
    st.booleans(),
)
def test_settings_survive_json(rows, patch_size, half_interval, drop, symmetries, normalization):
    interval = min(2 * half_interval, patch_size - 2)
    settings = RandomShuffling(
        (rows * patch_size, 2 * patch_size), patch_size, interval, drop, 1, symmetries, normalization
    )
    assert Encryption.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


def test_the_file_is_frozen(tmp_path):
    """Files out there must stay readable: a change here needs a new format version."""
    MixingUp(image_size=224).save_pretrained(tmp_path)
    assert json.loads((tmp_path / SETTINGS_FILE).read_text()) == {
        "format_version": 1,
        "strategy": "mi",
        "image_size": 224,
        "patch_size": 16,
        "sub_patch_grid": 2,
        "sub_patch_symmetries": False,
        "patch_normalization": False,
    }


def test_the_other_strategy_is_refused(tmp_path):
    MixingUp().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="strategy: got 'mi', RandomShuffling reads 'rs'"):
        RandomShuffling.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "format_version: got 2, this release reads 1"),
        ({"format_version": None}, "format_version: got None"),
        ({"strategy": "xor"}, "strategy: got 'xor', Encryption reads"),
        ({"strategy": ["rs"]}, "strategy: got \\['rs'\\]"),
        ({"key": "00ff"}, "unknown \\['key'\\]"),
        ({"patch_size": -1}, "patch_size: got -1"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, change, message):
    (tmp_path / SETTINGS_FILE).write_text(json.dumps({**RandomShuffling().to_dict(), **change}))
    with pytest.raises(ValueError, match=message):
        Encryption.from_pretrained(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "\x00\x01"])
def test_a_file_that_is_no_json_is_refused(tmp_path, content):
    (tmp_path / SETTINGS_FILE).write_text(content)
    with pytest.raises(ValueError, match="is not valid JSON"):
        Encryption.from_pretrained(tmp_path)


def test_a_json_file_that_is_no_object_is_refused(tmp_path):
    (tmp_path / SETTINGS_FILE).write_text("[1]")
    with pytest.raises(TypeError, match="settings: got list, expected a JSON object"):
        Encryption.from_pretrained(tmp_path)


def test_a_folder_without_settings_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"there is no {SETTINGS_FILE}"):
        Encryption.from_pretrained(tmp_path)


def test_a_missing_setting_is_refused():
    settings = RandomShuffling().to_dict()
    del settings["interval"]
    with pytest.raises(ValueError, match="lacks \\['interval'\\]"):
        Encryption.from_dict(settings)


def test_the_base_holds_no_settings():
    with pytest.raises(TypeError, match="use RandomShuffling or MixingUp"):
        Encryption()
