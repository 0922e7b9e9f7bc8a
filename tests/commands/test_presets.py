"""`hipmr presets`, and what `--preset` and no settings at all mean to the other commands."""

import re

import pytest
from command_helpers import RS, only_error, run

from hipmr_hf import Encryption, RandomShuffling
from hipmr_hf.cli import build_parser
from hipmr_hf.commands.audit import _settings
from hipmr_hf.commands.presets import flags
from hipmr_hf.commands.settings_arguments import settings_from
from hipmr_hf.encryption.preset_table import DEFAULT_PRESET, PRESETS
from hipmr_hf.hub.preset_figures import BY_SIZE, measures_of, told, told_by_size


def test_the_list_tells_settings_leaks_linkage_and_accuracy_of_each(capsys):
    assert run("presets", "--image-size", 64) == 0
    paragraphs = dict(paragraph.split(":", 1) for paragraph in capsys.readouterr().out.strip().split("\n\n"))
    assert [name.split(" ")[0] for name in paragraphs] == list(PRESETS)
    assert next(iter(paragraphs)) == f"{DEFAULT_PRESET} (the default)"
    for name, paragraph in zip(PRESETS, paragraphs.values(), strict=True):
        assert PRESETS[name].purpose in paragraph and PRESETS[name].left in paragraph
        for measure, said in measures_of(name).items():
            assert f"  {said}: {told(name, measure)}" in paragraph
        assert f"  {BY_SIZE[PRESETS[name].strategy]}: {told_by_size(name)}" in paragraph
        assert "  accuracy, measured at 64 pixels only: " in paragraph


def test_a_size_that_no_preset_has_is_one_line(capsys):
    assert run("presets", "--image-size", 100) == 2
    assert "image_size: got (100, 100), expected whole patches" in only_error(capsys)


@pytest.mark.parametrize("size", [64, 224, (96, 128)])
@pytest.mark.parametrize("name", PRESETS)
def test_its_flags_give_the_same_settings_one_by_one(name, size):
    encryption = Encryption.from_preset(name, size)
    words = ["encrypt", "a", "--output-dir", "b", *flags(encryption).split()]
    assert settings_from(build_parser("encrypt").parse_args(words)) == encryption


@pytest.mark.parametrize("command", ["encrypt", "audit"])
def test_the_help_names_every_preset(command, capsys):
    assert run(command, "--help") == 0
    said = " ".join(capsys.readouterr().out.split())
    names = re.search(r"only a size goes with: (.*?);", said)[1]
    assert re.split(", | or ", names) == list(PRESETS)


def test_no_settings_are_the_default_preset(images, tmp_path, capsys):
    assert run("encrypt", images, "--output-dir", tmp_path / "out") == 0
    assert Encryption.from_pretrained(tmp_path / "out") == Encryption.from_preset("classification")
    assert "Less is left by" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("words", "name", "size"),
    [
        (("--image-size", "64"), "classification", 64),
        (("--image-size", "64", "96"), "classification", (64, 96)),
        (("--preset", "reversible", "--image-size", "64"), "reversible", 64),
        (("--preset", "dense"), "dense", 224),
    ],
)
def test_a_size_goes_with_a_preset(words, name, size, images, tmp_path):
    assert run("encrypt", images, "--output-dir", tmp_path / "out", *words) == 0
    assert Encryption.from_pretrained(tmp_path / "out") == Encryption.from_preset(name, size)


def test_a_preset_that_mixes_keeps_shapes_between_two_sides(images, tmp_path, capsys):
    sides = ("--shorter-side", 64, "--longer-side", 96)
    assert run("encrypt", images, "--output-dir", tmp_path / "out", "--preset", "dense", *sides) == 0
    assert Encryption.from_pretrained(tmp_path / "out").image_size.longer == 96
    capsys.readouterr()
    for preset in ((), ("--preset", "strongest")):
        assert run("encrypt", images, "--output-dir", tmp_path / "no", *preset, *sides) == 2
        assert "only --strategy mi keeps the shape of each image, and --preset dense" in only_error(capsys)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--preset", "strong"), "preset: got 'strong', expected one of classification, dense"),
        (("--preset", "dense", "--patch-size", "8"), "--preset dense: got --patch-size as well"),
        (
            ("--preset", "dense", "--strategy", "mi", "--interval", "2"),
            "--preset dense: got --strategy and --interval as well, but a preset is taken as a whole",
        ),
    ],
)
@pytest.mark.parametrize("command", ["encrypt", "audit"])
def test_a_preset_with_other_settings_is_one_line(command, words, said, images, tmp_path, capsys):
    assert run(command, images, "--output-dir", tmp_path / "out", *words) == 2
    assert said in only_error(capsys)


@pytest.mark.parametrize("words", [("--settings", "a"), ("--sweep",), ("--card", "a")])
def test_settings_of_an_audit_come_from_one_place(words, images, tmp_path, capsys):
    assert run("audit", images, "--output-dir", tmp_path / "out", "--preset", "dense", *words) == 2
    assert "--preset: settings come from one place" in only_error(capsys)


@pytest.mark.parametrize(("words", "name"), [((), "classification"), (("--preset", "dense"), "dense")])
def test_an_audit_takes_a_preset_and_the_default_one(words, name):
    words = ["audit", "a", "--output-dir", "b", "--image-size", "64", *words]
    assert _settings(build_parser("audit").parse_args(words)) == [Encryption.from_preset(name, 64)]


def test_weaker_settings_name_the_preset_that_leaves_less(images, tmp_path, capsys):
    assert run("encrypt", images, "--output-dir", tmp_path / "out", *RS) == 0
    told = capsys.readouterr()
    assert "A jigsaw solver puts back all of the neighbouring patches" in told.err
    assert told.err.count("Less is left by --preset classification (") == 1
    assert Encryption.from_pretrained(tmp_path / "out") == RandomShuffling(32, 8)


def test_a_key_without_settings_is_told_which_preset_it_undoes(images, tmp_path, capsys):
    run("keygen", tmp_path / "a.key")
    capsys.readouterr()
    command = ("encrypt", images, "--image-size", 64, "--key-file", tmp_path / "a.key")
    assert run(*command, "--output-dir", tmp_path / "no") == 2
    assert "take the preset that it can undo (--preset reversible)" in only_error(capsys)
    assert run(*command, "--output-dir", tmp_path / "out", "--preset", "reversible") == 0
    back = ("--key-file", tmp_path / "a.key", "--output-dir", tmp_path / "back")
    assert run("decrypt", tmp_path / "out", *back) == 0
