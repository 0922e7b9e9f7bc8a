"""`hipmr encrypt --engine ray` on two nodes: the same result, nothing plain in Ray, and deaths survived."""

import base64
import importlib.util
import json
import re
import sys
import threading
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Features, Image, List, Value, load_dataset
from every_picture import gather_pictures

from hipmr_hf import RandomShuffling, SecretKey
from hipmr_hf.cli import main
from hipmr_hf.dataset.job import EncryptionJob
from hipmr_hf.dataset.rows import RowEncryptionError
from hipmr_hf.dataset.run import encrypt_source
from hipmr_hf.dataset.sources.account import account_path
from hipmr_hf.dataset.sources.listing import SourceOptions
from hipmr_hf.images.reading import read_image
from hipmr_hf.leaks.guard import find_leaks

pytestmark = pytest.mark.slow
SHUFFLING = RandomShuffling(image_size=32, patch_size=8)
CONTENT_ID = re.compile(r"content [0-9a-f]{16}")
IN_PIXELS, IN_NAME = b"a canary beside the pixels", "john_doe_canary"


@pytest.fixture(scope="module")
def nodes():
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs the extra [ray]")
    from ray_cluster import two_nodes

    with two_nodes() as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """300 + 20 plain JPEG files, whose bytes and names can be found again."""
    root = tmp_path_factory.mktemp("plain")
    for i in range(320):
        pixels = np.random.default_rng(i).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        path = root / ("train" if i < 300 else "test") / f"class{i % 3}" / f"{IN_NAME}_{i:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(pixels).save(path, comment=IN_PIXELS)
    return root


@pytest.fixture(scope="module")
def parquet(tmp_path_factory) -> Path:
    """1,200 rows in row groups of 30."""
    path = tmp_path_factory.mktemp("plain") / "plain.parquet"
    pixels = np.random.default_rng(0).integers(0, 256, (1200, 32, 32, 3), dtype=np.uint8)
    features = Features({"image": Image(), "label": Value("int64")})
    rows = {"image": list(pixels), "label": list(range(1200))}
    Dataset.from_dict(rows, features=features).to_parquet(path, batch_size=30)
    return path


@pytest.fixture(scope="module")
def key_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("key") / "a.key"
    SecretKey.generate().save(path)
    return path


@pytest.fixture(scope="module")
def on_two_nodes(nodes, folder, key_file, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("encrypted") / "same"
    job = EncryptionJob(SHUFFLING)
    return encrypt_source(job, [str(folder)], output, key_file=key_file, num_shards=3, engine="ray")


def labels_in(output: Path) -> list[int]:
    shards = sorted((output / "data").glob("train-*.parquet"))
    return [label for shard in shards for label in pq.read_table(shard).column("label").to_pylist()]


def test_without_ray_the_error_names_what_to_install(monkeypatch, folder, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    assert main(["encrypt", str(folder), "--output-dir", str(tmp_path / "out"), "--engine", "ray"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and 'pip install "hipmr-hf[ray]"' in error
    assert list(tmp_path.iterdir()) == []


def test_nobody_outside_of_this_machine_can_connect(nodes):
    assert len(nodes.cluster.list_all_nodes()) == 2
    assert {address.removeprefix("::ffff:") for address in nodes.listening()} == {"127.0.0.1"}


def test_the_result_is_that_of_one_machine(on_two_nodes, folder, key_file, tmp_path):
    job = EncryptionJob(SHUFFLING, key=SecretKey.load(key_file))
    encrypt_source(job, [str(folder)], tmp_path / "same")
    ours, theirs = (
        load_dataset(str(output), cache_dir=str(tmp_path / "cache"))
        for output in (on_two_nodes, tmp_path / "same")
    )
    assert {name: split.num_rows for name, split in ours.items()} == {"train": 300, "test": 20}
    for split in ("train", "test"):
        assert ours[split].features == theirs[split].features
        assert ours[split]["label"] == theirs[split]["label"]
        assert ours[split].data.schema.field("image") == theirs[split].data.schema.field("image")
    name = "encryption_config.json"
    assert (on_two_nodes / name).read_bytes() == (tmp_path / "same" / name).read_bytes()
    here, there = ((output / "README.md").read_text() for output in (on_two_nodes, tmp_path / "same"))
    assert CONTENT_ID.sub("", here) == CONTENT_ID.sub("", there)
    # The ids tell loaders which files they have, and there are three shards here, one there.
    assert CONTENT_ID.findall(here) != CONTENT_ID.findall(there)
    assert len(list((on_two_nodes / "data").glob("train-*-of-00003.parquet"))) == 3
    assert find_leaks(on_two_nodes, keys=[job.key]).leaks == ()


def test_key_and_nonce_give_the_same_picture_as_on_one_machine(on_two_nodes, folder, key_file):
    rows = pq.read_table(sorted((on_two_nodes / "data").glob("test-*"))[0]).to_pylist()
    plain = [read_image(path.read_bytes()) for path in sorted((folder / "test").rglob("*.jpg"))]
    for row, pixels in zip(rows, plain, strict=False):
        again = SHUFFLING.encrypt_batch(
            pixels[None], key=SecretKey.load(key_file), nonces=[row["nonce"]], remember_nonces=False
        )
        assert np.array_equal(read_image(row["image"]["bytes"]), again[0])


def test_every_picture_that_is_installed_comes_out_or_is_named_as_on_one_machine(nodes, tmp_path):
    tree = str(gather_pictures(tmp_path / "plain"))
    job, options = EncryptionJob(SHUFFLING, on_error="skip"), SourceOptions(splits="none", labels="none")
    encrypt_source(job, [tree], tmp_path / "ours", options=options, engine="ray")
    encrypt_source(job, [tree], tmp_path / "theirs", options=options)
    accounts = [json.loads(account_path(tmp_path / name).read_text()) for name in ("ours", "theirs")]
    assert accounts[0] == accounts[1] and accounts[0]["written"]["train"] > 150
    sizes = {name: pq.read_table(tmp_path / name / "data").num_rows for name in ("ours", "theirs")}
    assert sizes["ours"] == sizes["theirs"] == accounts[0]["written"]["train"]


def test_ray_holds_no_plain_picture_no_name_and_no_key(nodes, on_two_nodes, key_file):
    import ray

    control = ray.put(np.frombuffer(b"a known needle" * 20_000, np.uint8))
    assert "object store" in nodes.holds(b"a known needle" * 2)  # so this search does find things
    secret = SecretKey.load(key_file)._secret
    for needle in (IN_PIXELS, IN_NAME.encode(), secret, base64.b64encode(secret), secret.hex().encode()):
        assert nodes.holds(needle) == []
    assert any(name.endswith(".log") for name in nodes.holds(b"a"))
    del control


def test_the_command_shuffles_rows_over_a_number_of_shards(nodes, parquet, tmp_path, capsys):
    command = ["encrypt", str(parquet), "--image-size", "32", "--patch-size", "8", "--shuffle-rows"]
    command += ["--engine", "ray", "--num-shards", "4", "--output-dir", str(tmp_path / "out")]
    assert main(command) == 0
    labels = labels_in(tmp_path / "out")
    assert sorted(labels) == list(range(1200))
    assert labels != sorted(labels) and labels[:300] != sorted(labels[:300])
    assert len(list((tmp_path / "out" / "data").iterdir())) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.account.json"]


def test_killed_workers_lose_and_double_nothing(nodes, parquet, tmp_path):
    killed = []

    def kill() -> None:
        deadline = time.monotonic() + 120
        while len(killed) < 2 and time.monotonic() < deadline:
            begun = list(tmp_path.glob(".out.unfinished/pieces/*/.*incomplete*"))
            for worker in nodes.workers() if begun else []:
                worker.kill()
                killed.append(worker.pid)
            time.sleep(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    encrypt_source(EncryptionJob(SHUFFLING), [str(parquet)], tmp_path / "out", engine="ray")
    killer.join()
    assert len(killed) >= 2
    assert labels_in(tmp_path / "out") == list(range(1200))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.account.json"]


def test_damaged_pictures_are_named_or_left_out_and_a_run_goes_on(nodes, parquet, tmp_path, caplog):
    rows = pq.read_table(parquet).to_pylist()
    for i in (7, 1000):
        rows[i]["image"]["bytes"] = b"\x89PNG\r\n\x1a\n"
    schema = pq.read_schema(parquet)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "bad.parquet", row_group_size=30)
    job = EncryptionJob(SHUFFLING)
    with pytest.raises(RowEncryptionError, match=r"^train, row (7|1000) \(counted from 0\) cannot"):
        encrypt_source(job, [str(tmp_path / "bad.parquet")], tmp_path / "out", engine="ray")
    assert not (tmp_path / "out").exists()
    job = EncryptionJob(SHUFFLING, on_error="skip")
    encrypt_source(job, [str(tmp_path / "bad.parquet")], tmp_path / "out", engine="ray")
    assert "Skipped 2 rows of train: 7, 1000." in caplog.messages
    assert labels_in(tmp_path / "out") == [i for i in range(1200) if i not in (7, 1000)]


def test_a_lost_machine_loses_nothing(nodes, parquet, tmp_path):
    """The last test: the second node does not come back."""

    def lose() -> None:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob(".out.unfinished/pieces/*/*.parquet")) and time.monotonic() < deadline:
            time.sleep(0.01)
        nodes.cluster.remove_node(nodes.second, allow_graceful=False)

    loser = threading.Thread(target=lose)
    loser.start()
    encrypt_source(EncryptionJob(SHUFFLING), [str(parquet)], tmp_path / "out", engine="ray")
    loser.join()
    assert labels_in(tmp_path / "out") == list(range(1200))


def test_lists_of_classes_and_numbers_are_those_of_one_machine(nodes, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    seen = [["owl", "cat"][: i % 3] for i in range(40)]
    features = Features({"image": Image(), "seen": List(Value("string")), "age": Value("float32")})
    rows = {"image": list(pixels), "seen": seen, "age": [i / 4 for i in range(40)]}
    Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "plain.parquet", batch_size=10)
    job, options = EncryptionJob(SHUFFLING, keep_columns=("label", "age")), SourceOptions(labels="seen")
    found = []
    for engine in ("ray", "local"):
        output = tmp_path / engine
        encrypt_source(job, [str(tmp_path / "plain.parquet")], output, options=options, engine=engine)
        table = pq.read_table(output / "data")
        assert Features.from_arrow_schema(table.schema)["label"].feature.names == ["cat", "owl"]
        found.append(table.select(["label", "age"]).to_pydict())
    assert found[0] == found[1] and found[0]["label"][:3] == [[], [1], [1, 0]]
