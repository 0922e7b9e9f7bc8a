"""What the command line makes of an encryption's arguments."""

import argparse

import pytest

from hipmr_hf import MixingUp, RandomShuffling
from hipmr_hf.commands.settings_arguments import add_settings, settings_from


def settings(*words: str):
    parser = argparse.ArgumentParser()
    add_settings(parser.add_argument_group("encryption"))
    return settings_from(parser.parse_args(words))


@pytest.mark.parametrize("size", [("64",), ("64", "64")])
def test_a_square_is_written_in_one_way(size):
    """64 and (64, 64) draw other permutations."""
    assert settings("--strategy", "rs", "--image-size", *size) == RandomShuffling(image_size=64)
    assert settings("--strategy", "mi", "--image-size", *size) == MixingUp(image_size=64)


def test_other_shapes_are_height_and_width():
    assert settings("--patch-size", "16", "--image-size", "64", "96") == RandomShuffling(image_size=(64, 96))
