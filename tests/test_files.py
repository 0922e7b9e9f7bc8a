import os

import pytest

from hipmr_hf.errors import FileInUseError, InputValueError
from hipmr_hf.files import check_is_free, new_private_file, whole_file, whole_folder, write_whole


def test_work_done_twice_at_the_same_time_counts_once(tmp_path):
    path = tmp_path / "shard"
    with whole_file(path, once=True) as late:
        with whole_file(path, once=True) as early:
            early.write_text("early")
        late.write_text("late")
    assert path.read_text() == "early"
    assert [left.name for left in tmp_path.iterdir()] == ["shard"]


def test_a_file_that_fails_leaves_the_old_one(tmp_path):
    write_whole(tmp_path / "a", "old")
    with pytest.raises(KeyboardInterrupt), whole_file(tmp_path / "a") as place:
        place.write_text("half")
        raise KeyboardInterrupt
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


def test_a_folder_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), whole_folder(tmp_path / "out") as folder:
        (folder / "half").touch()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_private_folder_is_private_from_the_start(tmp_path):
    with whole_folder(tmp_path / "out", private=True) as folder:
        assert folder.stat().st_mode & 0o077 == 0
    assert (tmp_path / "out").stat().st_mode & 0o077 == 0


def test_a_private_file_is_never_written_over(tmp_path):
    new_private_file(tmp_path / "key", "one")
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0
    with pytest.raises(FileExistsError):
        new_private_file(tmp_path / "key", "two")


def test_places_that_no_folder_can_be_renamed_to_are_refused_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "target").mkdir()
    os.symlink(tmp_path / "target", tmp_path / "link")
    monkeypatch.chdir(tmp_path / "target")
    for place in (tmp_path / "link", tmp_path / "target", type(tmp_path)("."), type(tmp_path)("/proc")):
        with pytest.raises(InputValueError, match="cannot be put in place whole"):
            check_is_free(place)
    (tmp_path / "target" / "file").touch()
    with pytest.raises(FileInUseError, match="is not an empty folder"):
        check_is_free(tmp_path / "target" / "file")
