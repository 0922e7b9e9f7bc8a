import json
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hipmr_hf import Encryption, MixingUp, RandomShuffling, Sides
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
    st.integers(2, 8),
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
    MixingUp(image_size=224, jpeg_decoding="full").save_pretrained(tmp_path)
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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": 8192, "patch_size": 1}, "67108864 patches, expected <= 131072; choose larger"),
        ({"image_size": 16384, "patch_size": 1024}, "268435456 pixels, expected <= 67108864"),
        ({"image_size": [65_535, 65_535], "patch_size": 65_535}, "pixels, expected <= 67108864"),
        (
            {"strategy": "mi", "image_size": 8192, "patch_size": 2, "sub_patch_grid": 2},
            "patches, expected <=",
        ),
        ({"strategy": "mi", "image_size": {"shorter": 65_535, "longer": None}}, "pixels, expected <="),
        ({"strategy": "mi", "image_size": {"shorter": 4096}, "patch_size": 4}, "patches, expected <="),
    ],
)
def test_settings_that_would_cost_hours_are_refused_before_memory_is_asked_for(settings, message):
    kind = MixingUp if settings.get("strategy") == "mi" else RandomShuffling
    begun = tracemalloc.start() or time.process_time()
    with pytest.raises(ValueError, match=message):
        Encryption.from_dict({**kind().to_dict(), **settings})
    assert time.process_time() - begun < 1 and tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_an_image_is_not_enlarged_beyond_what_settings_may_ask_for():
    mixing = MixingUp(image_size=Sides(8000), patch_size=32)
    with pytest.raises(
        ValueError, match="image: got 100x300 pixels, which would become 8000x24000, more than"
    ):
        mixing.placement(100, 300)
    large = MixingUp().placement(9000, 9000)  # as it is
    assert (large.height, large.width) == (8992, 8992)


def test_64_and_64_by_64_stay_two_settings_so_that_stored_pictures_can_be_decrypted():
    square, sides = RandomShuffling(image_size=64), RandomShuffling(image_size=(64, 64))
    assert square._stream_info() != sides._stream_info()
    assert Encryption.from_dict(json.loads(json.dumps(sides.to_dict()))) == sides
