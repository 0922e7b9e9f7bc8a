"""Whose unfinished rows are taken over, and whose are not."""

import os

import pytest

from hipmr_hf.dataset.unfinished import place_of, unfinished_folder
from hipmr_hf.errors import InputValueError

IDENTITY = {"key": None, "release": "1"}


def test_pieces_without_their_job_are_not_adopted(tmp_path):
    folder = place_of(tmp_path / "out")
    folder.mkdir(mode=0o700)
    (folder / "piece.parquet").touch()
    with (
        pytest.raises(InputValueError, match="a run that nothing is known of"),
        unfinished_folder(tmp_path / "out", IDENTITY),
    ):
        pass
    assert (folder / "piece.parquet").exists()


def test_a_folder_that_others_can_write_is_not_adopted(tmp_path):
    folder = place_of(tmp_path / "out")
    folder.mkdir()
    os.chmod(folder, 0o777)
    with (
        pytest.raises(InputValueError, match="can be written by others"),
        unfinished_folder(tmp_path / "out", IDENTITY),
    ):
        pass


def test_another_key_is_told(tmp_path):
    with pytest.raises(KeyboardInterrupt), unfinished_folder(tmp_path / "out", IDENTITY) as folder:
        (folder / "piece.parquet").touch()
        raise KeyboardInterrupt
    with (
        pytest.raises(InputValueError, match="another key"),
        unfinished_folder(tmp_path / "out", {**IDENTITY, "key": "1"}),
    ):
        pass
