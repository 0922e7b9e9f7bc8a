import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest
from command_helpers import CANARY, RS, files_in, last_line, only_error, picture, rows_of, run
from datasets import ClassLabel, Dataset, Features, Image, List, Value

from hipmr_hf.dataset.picture_files import write_picture_files
from hipmr_hf.images.reading import read_image

SEEDS = (0, 2, 4, 1, 3, 5)
"""Of the pictures of `images`, in the order of their rows."""


@pytest.fixture
def key(tmp_path) -> tuple[object, ...]:
    run("keygen", tmp_path / "a.key")
    return ("--key-file", tmp_path / "a.key")


@pytest.fixture
def encrypted(images, tmp_path, key, capsys) -> Path:
    assert run("encrypt", images, "--output-dir", tmp_path / "out", *RS, *key, "--num-proc", 2) == 0
    capsys.readouterr()
    return tmp_path / "out"


def test_what_a_key_encrypted_it_decrypts(encrypted, tmp_path, key):
    assert run("decrypt", encrypted, "--output-dir", tmp_path / "back", *key) == 0
    back = rows_of(tmp_path / "back")
    assert [row["label"] for row in back] == [0, 0, 0, 1, 1, 1] and "nonce" not in back[0]
    for row, seed in zip(back, SEEDS, strict=True):
        assert (read_image(row["image"]["bytes"]) == np.asarray(picture(seed))).all()
    assert (tmp_path / "back").stat().st_mode & 0o077 == 0
    loaded = datasets.load_dataset(str(tmp_path / "back"), split="train")
    assert loaded.features["label"] == ClassLabel(names=["cat", "dog"])


def test_what_comes_back_is_said_before_and_after(encrypted, tmp_path, key, capsys):
    assert run("decrypt", encrypted, "--output-dir", tmp_path / "back", *key) == 0
    captured = capsys.readouterr()
    told = "each picture comes back as it was resized and cropped for the encryption, 32x32 pixels, without a"
    assert captured.err.startswith(f"Decrypting: {told} name; it is not the original file.")
    lines = captured.out.splitlines()
    assert lines[0] == f"Plain dataset: {tmp_path / 'back'}" and lines[1].startswith(
        "  train: 6 pictures; 1 "
    )
    assert told in captured.out and lines[-1].startswith("Next: use it where only you can read it")


# Picture files


def test_picture_files_come_back_in_folders_of_their_classes(encrypted, tmp_path, key, capsys):
    assert run("decrypt", encrypted, "--output-dir", tmp_path / "back", "--format", "png", *key) == 0
    names = [f"train/{('cat', 'dog')[i >= 3]}/{i:06d}.png" for i in range(6)]
    assert files_in(tmp_path / "back") == names
    for name, seed in zip(names, SEEDS, strict=True):
        assert (np.asarray(PIL.Image.open(tmp_path / "back" / name)) == np.asarray(picture(seed))).all()
    assert (tmp_path / "back").stat().st_mode & 0o077 == 0
    assert "train: 6 pictures; 6 files" in capsys.readouterr().out


def test_picture_files_can_be_encrypted_again(encrypted, tmp_path, key):
    run("decrypt", encrypted, "--output-dir", tmp_path / "back", "--format", "png", *key)
    assert run("encrypt", tmp_path / "back", "--output-dir", tmp_path / "again", *RS) == 0
    assert [row["label"] for row in rows_of(tmp_path / "again")] == [0, 0, 0, 1, 1, 1]


def test_what_no_folder_can_say_goes_into_a_metadata_file(tmp_path):
    features = Features({"scan": Image(), "site": Value("string"), "boxes": List(Value("float32"))})
    batches = [{"scan": [b"one", b"two"], "site": ["north", None], "boxes": [[1.5], []]}]
    write_picture_files(tmp_path, "test", iter(batches), features)
    assert files_in(tmp_path) == ["test/000000.png", "test/000001.png", "test/metadata.jsonl"]
    lines = (tmp_path / "test" / "metadata.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"file_name": "000000.png", "site": "north", "boxes": [1.5]},
        {"file_name": "000001.png", "site": None, "boxes": []},
    ]


@pytest.mark.parametrize("name", ["../up", "a/b", "..", "", "metadata.jsonl", "x" * 200, ".hidden", "a\0b"])
def test_a_class_whose_name_leads_elsewhere_stays_in_its_folder(name, tmp_path):
    features = Features({"image": Image(), "label": ClassLabel(names=["cat", name])})
    (tmp_path / "out").mkdir()
    batches = [{"image": [b"one", b"two", b"three"], "label": [1, 0, None]}]
    write_picture_files(tmp_path / "out", "train", iter(batches), features)
    wanted = ["train/cat/000001.png", "train/class_1/000000.png", "train/metadata.jsonl"]
    assert files_in(tmp_path) == [f"out/{file}" for file in [*wanted, "train/no_class/000002.png"]]
    told = [json.loads(line) for line in (tmp_path / "out/train/metadata.jsonl").read_text().splitlines()]
    assert [row["label"] for row in told] == [name, "cat", None]


# What cannot be


def test_what_cannot_be_decrypted_says_so_before_any_work(images, tmp_path, key, capsys):
    run("encrypt", images, "--output-dir", tmp_path / "one-time", *RS)
    run("encrypt", images, "--output-dir", tmp_path / "eroded", *RS, "--interval", 2, *key, "--irreversible")
    for name, reason in (("one-time", "encrypted without a key"), ("eroded", "interval=2 lost pixels")):
        capsys.readouterr()
        assert run("decrypt", tmp_path / name, "--output-dir", tmp_path / "back", *key) == 2
        assert reason in only_error(capsys) and not list(tmp_path.glob("*back*"))


def test_a_wrong_key_is_told_before_any_work(encrypted, tmp_path, capsys):
    run("keygen", tmp_path / "wrong.key")
    capsys.readouterr()
    command = ("decrypt", encrypted, "--output-dir", tmp_path / "back")
    assert run(*command, "--key-file", tmp_path / "wrong.key") == 2
    assert "but the dataset was encrypted with key" in only_error(capsys)
    assert not list(tmp_path.glob("*back*"))


def test_what_is_nowhere_is_told(tmp_path, key, capsys, monkeypatch):
    from huggingface_hub.errors import HFValidationError

    def refuse(repo_id, **options):
        raise HFValidationError(repo_id)

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    capsys.readouterr()
    assert run("decrypt", "no/such/folder", "--output-dir", tmp_path / "back", *key) == 2
    assert "DIR: there is no folder no/such/folder here, and on the Hub" in only_error(capsys)


def test_an_output_in_use_is_refused(encrypted, tmp_path, key, capsys):
    (tmp_path / "back").mkdir()
    (tmp_path / "back" / "mine.txt").touch()
    assert run("decrypt", encrypted, "--output-dir", tmp_path / "back", *key) == 2
    assert "is not an empty folder" in only_error(capsys) and files_in(tmp_path / "back") == ["mine.txt"]


def planted(encrypted: Path, edit) -> None:
    (shard,) = (encrypted / "data").iterdir()
    table = pq.read_table(shard)
    columns = table.to_pydict()
    edit(columns)
    pq.write_table(table.from_pydict(columns, schema=table.schema), shard)


@pytest.mark.parametrize("format", ["parquet", "png"])
def test_a_path_in_the_place_of_a_picture_is_never_opened(format, encrypted, tmp_path, key, capsys):
    secret = tmp_path / "secret.png"
    picture(0).save(secret)
    planted(encrypted, lambda columns: columns["image"].__setitem__(4, {"bytes": None, "path": str(secret)}))
    command = ("decrypt", encrypted, "--output-dir", tmp_path / "back", "--format", format, *key)
    assert run(*command) == 2
    assert "train, row 4 (counted from 0) cannot be decrypted: there is no image in it." in last_line(capsys)
    assert not list(tmp_path.glob("*back*"))


def test_a_card_that_points_elsewhere_leads_nowhere(encrypted, tmp_path, key):
    (tmp_path / "other").mkdir()
    Dataset.from_dict({"image": [1], "nonce": [CANARY]}).to_parquet(tmp_path / "other" / "a.parquet")
    card = encrypted / "README.md"
    card.write_text(card.read_text().replace("data/train-*", "../other/*"))
    assert run("decrypt", encrypted, "--output-dir", tmp_path / "back", *key) == 0
    assert len(rows_of(tmp_path / "back")) == 6


@pytest.mark.parametrize("metadata", [b"[]", b"{", b'{"info": {"features": 3}}', b"[" * 5000])
def test_a_damaged_description_of_the_columns_is_bad_input(metadata, encrypted, tmp_path, key, capsys):
    (shard,) = (encrypted / "data").iterdir()
    pq.write_table(pq.read_table(shard).replace_schema_metadata({b"huggingface": metadata}), shard)
    assert run("decrypt", encrypted, "--output-dir", tmp_path / "back", *key) == 2
    assert "DIR: " in last_line(capsys) and not list(tmp_path.glob("*back*"))


def test_pages_that_cannot_be_read_are_bad_input(encrypted, tmp_path, key, capsys):
    (shard,) = (encrypted / "data").iterdir()
    whole, start = shard.read_bytes(), pq.read_metadata(shard).row_group(0).column(0).data_page_offset
    shard.write_bytes(whole[:start] + bytes(2000) + whole[start + 2000 :])
    assert run("decrypt", encrypted, "--output-dir", tmp_path / "back", *key) == 2
    assert "cannot be read" in last_line(capsys) and not list(tmp_path.glob("*back*"))


# Rests of a run that was killed

SLOW = """
import signal, sys, time
import hipmr_hf.dataset.decrypt as module
from hipmr_hf.cli import main

decrypt = module._decrypt

def slow(image, nonce, encryption, key, place):
    plain = decrypt(image, nonce, encryption, key, place)
    if "row 4" in place:
        print("half", flush=True)
        time.sleep(60)
    return plain

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what runs beside it without
module._decrypt, module._BATCH_ROWS = slow, 1
sys.exit(main(sys.argv[1:]))
"""


def half_done(encrypted, tmp_path, key, name: str) -> subprocess.Popen:
    """A process that has written four plain pictures of six, and waits."""
    words = ["decrypt", encrypted, "--output-dir", tmp_path / name, "--format", "png", *key]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HF_HOME": str(tmp_path / "home")},
    )
    assert process.stdout.readline() == "half\n", process.stderr.read()
    return process


def rests(tmp_path: Path) -> list[Path]:
    return sorted(tmp_path.glob(".*.incomplete-*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_run_that_is_told_to_end_leaves_nothing_plain(number, encrypted, tmp_path, key):
    process = half_done(encrypted, tmp_path, key, "back")
    (rest,) = rests(tmp_path)
    assert len(list(rest.rglob("*.png"))) == 4 and rest.stat().st_mode & 0o077 == 0
    process.send_signal(number)
    assert process.wait(timeout=20) == 128 + number
    assert rests(tmp_path) == [] and not (tmp_path / "back").exists()
    assert "Traceback" not in process.stderr.read()


def test_what_a_killed_run_left_the_next_one_names_and_removes(encrypted, tmp_path, key, caplog):
    process = half_done(encrypted, tmp_path, key, "back")
    process.kill()
    process.wait(timeout=20)
    (rest,) = rests(tmp_path)
    assert len(list(rest.rglob("*.png"))) == 4
    assert run("decrypt", encrypted, "--output-dir", tmp_path / "elsewhere", *key) == 0
    assert f"Removed {rest}: plain pictures that a decryption left when it was killed." in caplog.text
    assert rests(tmp_path) == [] and len(rows_of(tmp_path / "elsewhere")) == 6


def test_what_a_living_run_writes_stays(encrypted, tmp_path, key, caplog):
    process = half_done(encrypted, tmp_path, key, "back")
    assert run("decrypt", encrypted, "--output-dir", tmp_path / "elsewhere", *key) == 0
    assert len(rests(tmp_path)) == 1 and "Removed" not in caplog.text
    process.kill()
    process.wait(timeout=20)


def test_folders_that_are_not_private_rests_stay(encrypted, tmp_path, key):
    (tmp_path / ".back.incomplete-12345678").mkdir(mode=0o755)  # as of encrypted rows
    (tmp_path / ".mine").mkdir(mode=0o700)
    assert run("decrypt", encrypted, "--output-dir", tmp_path / "back", *key) == 0
    assert (tmp_path / ".back.incomplete-12345678").is_dir() and (tmp_path / ".mine").is_dir()
