import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_helpers import RS, only_error, run

from hipmr_hf.hub.publishing import keep_off_the_hub

SHARD = "data/train-00000-of-00001.parquet"


@pytest.fixture
def clean(images, tmp_path, capsys) -> Path:
    """What `hipmr encrypt` made, with a key."""
    run("keygen", tmp_path / "a.key")
    assert (
        run("encrypt", images, "--output-dir", tmp_path / "set", *RS, "--key-file", tmp_path / "a.key") == 0
    )
    capsys.readouterr()
    return tmp_path / "set"


def test_a_clean_folder_and_a_clean_file_exit_with_0(clean, tmp_path, capsys):
    assert run("leaks", clean, "--key-file", tmp_path / "a.key") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("note train, column 'label': its 2 class names are published")
    assert lines[-2:] == [f"Inspected: {clean}", "  6 rows, 0 leaks, 1 note"]


def test_a_leak_exits_with_1_and_is_named(clean, capsys):
    (clean / "training_args.bin").touch()
    assert run("leaks", clean) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("LEAK training_args.bin: a pickled file") and lines[-1].startswith(
        "Next: mend"
    )


def test_a_key_in_a_file_is_found_by_any_of_the_keys_given(clean, tmp_path, capsys):
    run("keygen", tmp_path / "b.key")
    secret = (tmp_path / "a.key").read_text().split()[-1]
    (clean / "notes.txt").write_text(secret)
    keys = ("--key-file", tmp_path / "b.key", "--key-file", tmp_path / "a.key")
    assert run("leaks", clean, *keys) == 1
    out = capsys.readouterr().out
    assert "LEAK notes.txt: it holds a secret key" in out and secret not in out


def test_two_files_of_one_name_in_two_folders_are_told_apart(clean, capsys):
    (clean / "old" / "data").mkdir(parents=True)
    shutil.copy(clean / SHARD, clean / "old" / SHARD)
    for folder in ("a", "b"):
        (clean / folder).mkdir()
        (clean / folder / "john.png").touch()
    assert run("leaks", clean, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    places = [leak["place"] for leak in found["leaks"]]
    assert {"a/john.png", "b/john.png", f"old/{SHARD}"} <= set(places)
    assert found["num_rows"] == 12  # rows of both were looked at


def test_one_nonce_in_two_folders_would_be_a_leak_of_neither_alone(clean, capsys):
    """Rows of another folder are another dataset's: they are looked at, and not mixed with these."""
    (clean / "old").mkdir()
    shutil.copy(clean / SHARD, clean / "old")
    run("leaks", clean, "--json")
    reasons = " ".join(leak["reason"] for leak in json.loads(capsys.readouterr().out)["leaks"])
    assert "come more than once" not in reasons


@pytest.mark.parametrize("content", [b"", b"no parquet at all", b"PAR1" + bytes(40) + b"PAR1"])
def test_a_shard_that_is_no_parquet_is_a_leak(content, clean, capsys):
    (clean / "data" / "train-00001-of-00002.parquet").write_bytes(content)
    assert run("leaks", clean) == 1
    out = capsys.readouterr().out
    assert "LEAK data/train-00001-of-00002.parquet: it is no Parquet file, or a damaged one" in out
    assert "6 rows" in out  # those of the other shard


def test_pages_that_cannot_be_read_are_a_leak(clean, capsys):
    whole = (clean / SHARD).read_bytes()
    start = pq.read_metadata(clean / SHARD).row_group(0).column(0).data_page_offset
    (clean / SHARD).write_bytes(whole[:start] + bytes(2000) + whole[start + 2000 :])
    assert run("leaks", clean) == 1
    assert "cannot be read, so nobody can look into it; encrypt again." in capsys.readouterr().out


def test_files_that_are_not_parquet_are_inspected_too(clean, capsys):
    (clean / "README.md").write_text("made in /home/john/patients")
    (clean / "notes.docx").touch()
    assert run("leaks", clean) == 1
    out = capsys.readouterr().out
    assert "LEAK README.md: it holds a path of a local file system" in out
    assert "LEAK notes.docx: nobody expects this file here" in out


def test_a_single_plain_parquet_file_leaks(tmp_path, images, capsys):
    file = next(images.rglob("*.png"))
    pq.write_table(pa.table({"image": [file.read_bytes()]}), tmp_path / "patients.parquet")
    assert run("leaks", tmp_path / "patients.parquet") == 1
    assert "LEAK patients.parquet" in capsys.readouterr().out


def test_json_is_one_object_with_all_of_it(clean, capsys):
    (clean / "john.png").touch()
    assert run("leaks", clean, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["target"] == str(clean) and found["num_rows"] == 6
    assert found["leaks"] == [
        {"place": "john.png", "reason": "a picture file beside the data may be plain; remove it."}
    ]
    assert [remark["place"] for remark in found["remarks"]] == ["train, column 'label'"]


def test_an_empty_folder_is_bad_input(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert run("leaks", tmp_path / "empty") == 2
    assert "there is no file in" in only_error(capsys)


@pytest.mark.parametrize("place", ["/no/such/folder", "./nowhere", "a/b/c"])
def test_a_path_that_is_not_there_is_bad_input_and_never_asked_of_the_hub(place, monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *a, **k: 1 / 0)
    assert run("leaks", place) == 2
    assert f"PATH_OR_REPO: there is no {place}; check the path." in only_error(capsys)


def test_what_is_neither_here_nor_on_a_hub_within_reach_is_bad_input(monkeypatch, capsys):
    from huggingface_hub import constants, hf_api

    monkeypatch.setattr(hf_api.api, "endpoint", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert run("leaks", "me/nothing") == 2
    told = only_error(capsys)
    assert "PATH_OR_REPO: there is no me/nothing here, and on the Hub, dataset me/nothing:" in told


def test_what_trainer_keeps_for_itself_stays_off_the_hub_and_is_no_leak(tmp_path, capsys):
    """The files that Trainer leaves beside a checkpoint, in a folder prepared as the examples do."""
    output, own = tmp_path / "trained", ("training_args.bin", "trainer_state.json", "optimizer.bin")
    own += ("checkpoint-2/optimizer.pt", "checkpoint-2/rng_state.pth", "checkpoint-2/scheduler.pt")
    own += ("runs/Jan01_host/events.out.tfevents.1.host.1.0",)
    keep_off_the_hub(output)
    for name in own:
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_bytes(b"/home/john/data")
    (output / "config.json").write_text("{}")
    (output / "model.safetensors").write_bytes(bytes(100))
    assert run("leaks", output) == 0
    out = capsys.readouterr().out
    assert all(f"note {name}: stays off the Hub, as .gitignore says." in out for name in own)
    (output / ".gitignore").unlink()
    assert run("leaks", output) == 1
    assert capsys.readouterr().out.count("LEAK ") >= len(own) - 1  # the state is text, and has a path
