import os
import signal
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, IterableDataset, List, Value

import hipmr_hf.dataset.parquet
from hipmr_hf.dataset.mapping import encrypt_dataset, save_encrypted_dataset
from hipmr_hf.dataset.parquet import write_shard
from hipmr_hf.encryption import Encryption, MixingUp, RandomShuffling
from hipmr_hf.encryption.keys import SecretKey

MIXING = MixingUp(patch_size=8)
FEATURES = Features({"image": Image(), "label": ClassLabel(names=["cat", "dog"])})


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def plain_dataset(rows: int = 5) -> Dataset:
    images = [picture(i) for i in range(rows)]
    return Dataset.from_dict({"image": images, "label": [i % 2 for i in range(rows)]}, features=FEATURES)


def load(folder: Path, cache: Path, **options):
    return datasets.load_dataset(str(folder), cache_dir=str(cache), **options)


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("streaming", [False, True])
def test_what_is_saved_is_loaded_with_its_settings(streaming, tmp_path):
    plain = DatasetDict(train=plain_dataset(5), test=plain_dataset(3))
    if streaming:
        plain = datasets.IterableDatasetDict(
            {name: split.to_iterable_dataset() for name, split in plain.items()}
        )
    folder = save_encrypted_dataset(encrypt_dataset(plain, MIXING), MIXING, tmp_path / "out")
    assert files_in(tmp_path) == [
        "out/README.md",
        "out/data/test-00000-of-00001.parquet",
        "out/data/train-00000-of-00001.parquet",
        "out/encryption_config.json",
    ]
    loaded = load(folder, tmp_path / "cache")
    assert {name: len(split) for name, split in loaded.items()} == {"train": 5, "test": 3}
    assert loaded["train"].features == FEATURES and loaded["train"]["label"][:] == [0, 1, 0, 1, 0]
    assert all(
        (np.asarray(row["image"]) == MIXING(picture(i))).all() for i, row in enumerate(loaded["train"])
    )
    assert Encryption.from_pretrained(folder) == MIXING


def test_nonces_come_back(tmp_path):
    key, shuffling = SecretKey.generate(), RandomShuffling(image_size=32, patch_size=8)
    encrypted = encrypt_dataset(plain_dataset(), shuffling, key=key)
    folder = save_encrypted_dataset(encrypted, shuffling, tmp_path / "out")
    for i, row in enumerate(load(folder, tmp_path / "cache", split="train", streaming=True)):
        assert (shuffling.decrypt(np.asarray(row["image"]), key=key, nonce=row["nonce"]) == picture(i)).all()


@pytest.mark.parametrize("streaming", [False, True])
def test_objects_come_back_also_after_pieces_without_any(streaming, tmp_path):
    fields = {"bbox": List(List(Value("float32"), length=4)), "category": List(ClassLabel(names=["a", "b"]))}
    objects = [{"bbox": [], "category": []}] * 64 + [{"bbox": [[8, 8, 16, 8]], "category": [1]}]
    plain = Dataset.from_dict(
        {"image": [picture(0)] * 65, "objects": objects},
        features=Features({"image": Image(), "objects": fields}),
    )
    encrypted = encrypt_dataset(plain.to_iterable_dataset() if streaming else plain, MIXING)
    folder = save_encrypted_dataset(encrypted, MIXING, tmp_path / "out")
    loaded = load(folder, tmp_path / "cache", split="train")
    assert loaded.features["objects"]["category"] == fields["category"]
    assert loaded["objects"][0] == {"bbox": [], "category": [], "area": []}
    assert loaded["objects"][64] == {"bbox": [[4, 4, 8, 4]], "category": [1], "area": [32]}
    (file,) = (folder / "data").iterdir()
    assert set(pq.read_schema(file).metadata) == {b"huggingface"}
    assert b"fingerprint" not in pq.read_schema(file).metadata[b"huggingface"]


@pytest.mark.parametrize("streaming", [False, True])
def test_shards_are_numbered_and_none_is_larger_than_asked(streaming, tmp_path, monkeypatch):
    monkeypatch.setattr(hipmr_hf.dataset.parquet, "_READ_ROWS", 2)
    monkeypatch.setattr(hipmr_hf.dataset.parquet, "_ROW_GROUP_ROWS", 2)
    plain = plain_dataset(9)
    encrypted = encrypt_dataset(plain.to_iterable_dataset() if streaming else plain, MIXING)
    folder = save_encrypted_dataset(encrypted, MIXING, tmp_path / "out", max_shard_size=4000)
    shards = [pq.read_table(path) for path in sorted((folder / "data").iterdir())]
    assert files_in(folder)[1] == f"data/train-00000-of-{len(shards):05d}.parquet" and len(shards) > 1
    assert all(shard.nbytes <= 4000 for shard in shards)
    assert load(folder, tmp_path / "cache", split="train")["label"][:] == plain["label"][:]


@pytest.mark.parametrize("streaming", [False, True])
def test_an_empty_split_which_load_dataset_could_not_read_is_refused(streaming, tmp_path):
    plain = Dataset.from_dict({"image": [picture(0)[:4, :4]], "label": [0]}, features=FEATURES)
    plain = plain.to_iterable_dataset() if streaming else plain
    encrypted = encrypt_dataset(plain, MIXING, on_error="skip")
    with pytest.raises(ValueError, match="split 'train' has no rows"):
        save_encrypted_dataset(encrypted, MIXING, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_stream_is_read_piece_by_piece(tmp_path, monkeypatch):
    monkeypatch.setattr(hipmr_hf.dataset.parquet, "_ROW_GROUP_ROWS", 32)
    read, ahead = [], []

    def generate():
        for i in range(320):
            read.append(i)
            yield {"image": picture(0), "label": 0}

    write = pq.ParquetWriter.write_table

    def watch(self, table, *args, **options):
        ahead.append(len(read))
        return write(self, table, *args, **options)

    monkeypatch.setattr(pq.ParquetWriter, "write_table", watch)
    encrypted = encrypt_dataset(IterableDataset.from_generator(generate, features=FEATURES), MIXING)
    save_encrypted_dataset(encrypted, MIXING, tmp_path / "out")
    assert len(ahead) == 10 and all(count <= 32 * (i + 3) for i, count in enumerate(ahead))


def test_one_row_group_is_held_and_not_the_one_before(tmp_path, monkeypatch):
    monkeypatch.setattr(hipmr_hf.dataset.parquet, "_ROW_GROUP_BYTES", 2**20)
    rows, before, held = encrypt_dataset(plain_dataset(20), MIXING).with_format("arrow")[:], 0, []

    def tables():
        for _ in range(400):
            held.append(pa.total_allocated_bytes() - before)
            yield rows.take(pa.array(range(len(rows))))  # new memory

    before = pa.total_allocated_bytes()
    write_shard(tables(), FEATURES, MIXING, tmp_path / "train-0.parquet", shard="train-0.parquet")
    assert pq.read_metadata(tmp_path / "train-0.parquet").num_row_groups >= 4
    assert max(held) < 1.5 * 2**20


def test_an_output_that_is_in_use_is_refused_before_any_work(tmp_path):
    def generate():
        pytest.fail("work was done")
        yield {}

    encrypted = encrypt_dataset(IterableDataset.from_generator(generate, features=FEATURES), MIXING)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for used in ("full", "full/file"):
        with pytest.raises(FileExistsError, match="is not an empty folder"):
            save_encrypted_dataset(encrypted, MIXING, tmp_path / used)
    assert files_in(tmp_path) == ["full/file"]


def test_an_empty_folder_and_a_new_one_far_down_are_welcome(tmp_path):
    (tmp_path / "empty").mkdir()
    encrypted = encrypt_dataset(plain_dataset(1), MIXING)
    for place in ("empty", "new/and/deep"):
        assert len(files_in(save_encrypted_dataset(encrypted, MIXING, tmp_path / place))) == 3


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failed_run_leaves_nothing(error, tmp_path):
    def generate():
        for _ in range(40):
            yield {"image": picture(0), "label": 0}
        raise error

    encrypted = encrypt_dataset(IterableDataset.from_generator(generate, features=FEATURES), MIXING)
    with pytest.raises(error):
        save_encrypted_dataset(encrypted, MIXING, tmp_path / "out", max_shard_size=1)
    assert list(tmp_path.iterdir()) == []


KILLED = """
import sys, time
import numpy as np
from datasets import Features, Image, IterableDataset
import hipmr_hf.dataset.parquet
from hipmr_hf.dataset.mapping import encrypt_dataset, save_encrypted_dataset
from hipmr_hf.encryption import MixingUp

hipmr_hf.dataset.parquet._ROW_GROUP_ROWS = 32

def generate():
    for i in range(10_000):
        if i == 160:
            print("now", flush=True)
            time.sleep(60)
        yield {"image": np.zeros((16, 16, 3), np.uint8)}

mixing = MixingUp(patch_size=8)
stream = IterableDataset.from_generator(generate, features=Features({"image": Image()}))
save_encrypted_dataset(encrypt_dataset(stream, mixing), mixing, sys.argv[1], max_shard_size=1)
"""


def test_a_killed_run_leaves_nothing_that_looks_finished(tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(out)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"now\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".out.incomplete-") and len(files_in(left)) >= 3
    assert all(name.endswith(".incomplete") for name in files_in(left))
    with pytest.raises((datasets.exceptions.DatasetNotFoundError, FileNotFoundError, ValueError)):
        datasets.load_dataset(str(left), cache_dir=str(tmp_path / "cache"))
    assert len(files_in(save_encrypted_dataset(encrypt_dataset(plain_dataset(1), MIXING), MIXING, out))) == 3


def test_images_with_a_path_are_refused(tmp_path):
    image = encrypt_dataset(plain_dataset(1), MIXING).cast_column("image", Image(decode=False))[0]["image"]
    named = Dataset.from_dict(
        {"image": [{**image, "path": "john_doe.png"}]}, features=Features({"image": Image()})
    )
    with pytest.raises(ValueError, match="images with a path or without bytes"):
        save_encrypted_dataset(named, MIXING, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("other", [RandomShuffling(image_size=32, patch_size=8), MixingUp(patch_size=64)])
def test_settings_that_do_not_fit_the_images_are_refused(other, tmp_path):
    with pytest.raises(ValueError, match="image of 16x16 pixels, but these settings make"):
        save_encrypted_dataset(encrypt_dataset(plain_dataset(1), MIXING), other, tmp_path / "out")


def test_arguments_that_do_not_fit_are_refused(tmp_path):
    encrypted = encrypt_dataset(plain_dataset(1), MIXING)
    with pytest.raises(TypeError, match="dataset: got list"):
        save_encrypted_dataset([1], MIXING, tmp_path / "out")
    with pytest.raises(ValueError, match="max_shard_size: got 0"):
        save_encrypted_dataset(encrypted, MIXING, tmp_path / "out", max_shard_size=0)
    with pytest.raises(ValueError, match="split name 'a/b'"):
        save_encrypted_dataset(DatasetDict({"a/b": encrypted}), MIXING, tmp_path / "out")
    with pytest.raises(ValueError, match="not exactly one Image"):
        save_encrypted_dataset(encrypted.remove_columns("image"), MIXING, tmp_path / "out")


def test_another_dataset_of_the_same_name_is_not_taken_for_the_one_that_was_loaded_before(tmp_path):
    """`load_dataset` finds a folder in its cache by its name and its card."""
    shuffling = RandomShuffling(image_size=32, patch_size=8)
    found = []
    for place in ("first", "second"):
        folder = save_encrypted_dataset(
            encrypt_dataset(plain_dataset(), shuffling), shuffling, tmp_path / place / "encrypted"
        )
        found.append([row["image"].tobytes() for row in load(folder, tmp_path / "cache")["train"]])
    assert not set(found[0]) & set(found[1])
