import contextlib
import importlib.util
import os
import secrets
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from datasets import load_dataset
from example_helpers import EXAMPLES
from hub_server import HubServer
from PIL import Image

from hipmr_hf import Encryption, MixingUp, RandomShuffling, SecretKey
from hipmr_hf.errors import InputValueError

SCRIPT = "owner/encrypt_dataset.py"


def image_folder(root):
    for split, count in (("train", 6), ("test", 2)):
        for i in range(count):
            path = root / split / f"class{i % 2}" / f"patient_{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(i).integers(0, 256, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
    return root


def test_an_image_folder_becomes_an_encrypted_dataset(launch, tmp_path):
    launch(
        SCRIPT,
        "--dataset_name",
        image_folder(tmp_path / "in"),
        "--output_dir",
        tmp_path / "out",
        "--image_size",
        32,
        "--patch_size",
        8,
        "--interval",
        2,
        "--drop_ratio",
        0.5,
    )

    expected = RandomShuffling(image_size=32, patch_size=8, interval=2, drop_ratio=0.5)
    assert Encryption.from_pretrained(tmp_path / "out") == expected
    encrypted = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(rows) for name, rows in encrypted.items()} == {"train": 6, "test": 2}
    assert encrypted["train"].features["label"].names == ["class0", "class1"]
    assert encrypted["train"][0]["image"].size == (24, 12)
    assert "What this does not protect" in (tmp_path / "out" / "README.md").read_text()
    assert b"patient" not in (tmp_path / "out" / "data" / "train-00000-of-00001.parquet").read_bytes()


def test_a_parquet_file_with_a_key(example, tmp_path):
    image = {
        "bytes": (image_folder(tmp_path / "in") / "train/class0/patient_0.png").read_bytes(),
        "path": None,
    }
    from datasets import Dataset, Features, Value
    from datasets import Image as ImageFeature

    features = Features({"image": ImageFeature(), "label": Value("int64")})
    Dataset.from_dict({"image": [image] * 3, "label": [0, 1, 2]}, features=features).to_parquet(
        tmp_path / "a.parquet"
    )
    SecretKey.generate().save(tmp_path / "owner.key")
    module = example(SCRIPT)
    arguments = [
        "--dataset_name",
        str(tmp_path / "a.parquet"),
        "--output_dir",
        str(tmp_path / "out"),
        "--image_size",
        "32",
        "--patch_size",
        "8",
        "--key_file",
        str(tmp_path / "owner.key"),
    ]
    module.main(arguments)

    rows = load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    key = SecretKey.load(tmp_path / "owner.key")
    encryption = Encryption.from_pretrained(tmp_path / "out")
    assert len(rows) == 3 and rows[0]["nonce"] != rows[1]["nonce"]
    plain = [encryption.decrypt(row["image"], key=key, nonce=row["nonce"]) for row in rows]
    assert np.array_equal(plain[0], plain[1]) and not np.array_equal(rows[0]["image"], rows[1]["image"])


def test_mixing_up_keeps_each_images_own_size(example, tmp_path):
    module = example(SCRIPT)
    arguments = [
        "--dataset_name",
        str(image_folder(tmp_path / "in")),
        "--output_dir",
        str(tmp_path / "out"),
        "--strategy",
        "mi",
        "--patch_size",
        "8",
    ]
    module.main(arguments)
    assert Encryption.from_pretrained(tmp_path / "out") == MixingUp(patch_size=8)
    rows = load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert rows[0]["image"].size == (24, 20)


@pytest.mark.parametrize(("words", "name"), [((), "classification"), (("--preset", "dense"), "dense")])
def test_a_preset_is_taken_by_name_and_the_default_one_without_settings(example, tmp_path, words, name):
    arguments = ["--dataset_name", str(image_folder(tmp_path / "in")), "--output_dir", str(tmp_path / "out")]
    example(SCRIPT).main([*arguments, "--image_size", "32", *words])
    assert Encryption.from_pretrained(tmp_path / "out") == Encryption.from_preset(name, 32)


def test_a_setting_that_the_strategy_does_not_have_is_refused(example, tmp_path):
    arguments = ["--dataset_name", str(image_folder(tmp_path / "in")), "--output_dir", str(tmp_path / "out")]
    with pytest.raises(InputValueError, match="--interval: only --strategy rs has it"):
        example(SCRIPT).main([*arguments, "--strategy", "mi", "--interval", "2"])
    assert not (tmp_path / "out").exists()


def test_a_push_is_inspected_first_and_keeps_what_people_wrote_into_the_card(tmp_path):
    with HubServer(tmp_path / "hub") as hub:
        environment = {**hub.environment("hf_owner", tmp_path / "home"), "OMP_NUM_THREADS": "1"}
        for name in ("first", "second"):
            command = [
                sys.executable,
                str(EXAMPLES / SCRIPT),
                "--dataset_name",
                image_folder(tmp_path / "in"),
            ]
            command += ["--output_dir", tmp_path / name, "--image_size", 32, "--patch_size", 8]
            command += ["--push_to_hub", "owner/scans"]
            done = subprocess.run(
                list(map(str, command)), env=environment, capture_output=True, text=True, timeout=200
            )
            assert done.returncode == 0, done.stderr[-4000:]
            assert f"Published: {hub.url}/datasets/owner/scans/commit/" in done.stdout
            files = hub.files("datasets", "owner/scans")
            card = files["README.md"].decode()
            assert "What this does not protect" in card and "encryption_config.json" in files
            if name == "first":
                edit = "from huggingface_hub import HfApi; import sys\n"
                edit += "HfApi().upload_file(path_or_fileobj=sys.argv[1].encode(), path_in_repo='README.md', "
                edit += "repo_id='owner/scans', repo_type='dataset')"
                mine = card.replace("# scans", "# scans\n\nOf our ward.", 1)
                subprocess.run([sys.executable, "-c", edit, mine], env=environment, check=True, timeout=100)
        assert "Of our ward." in card


def listening(process: psutil.Process) -> set[str]:
    found = set()
    with contextlib.suppress(psutil.Error):
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                connections = each.net_connections("inet")
                found |= {there.laddr.ip for there in connections if there.status == psutil.CONN_LISTEN}
    return found


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra [ray]")
def test_without_a_cluster_ray_runs_on_this_machine_and_ends_what_it_started(tmp_path):
    for i in range(6):
        path = tmp_path / "in" / f"class{i % 2}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    command = [sys.executable, str(EXAMPLES / SCRIPT), "--dataset_name", tmp_path / "in", "--engine", "ray"]
    command += ["--output_dir", tmp_path / "out", "--image_size", 32, "--patch_size", 8, "--num_shards", 2]
    token = secrets.token_hex(32)  # also marks the processes
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "RAY_ADDRESS": "local"}
    environment["RAY_worker_niceness"] = "0"  # else others on this machine come first
    run = subprocess.Popen(
        list(map(str, command)),
        env={**os.environ, **environment, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    addresses = set()
    try:
        while run.poll() is None:
            addresses |= listening(psutil.Process(run.pid))
            time.sleep(0.2)
    finally:
        run.kill()
    assert run.returncode == 0, run.stdout.read()[-5000:]
    assert {address.removeprefix("::ffff:") for address in addresses} == {"127.0.0.1"}
    assert Encryption.from_pretrained(tmp_path / "out") == RandomShuffling(image_size=32, patch_size=8)
    rows = load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert rows["label"] == [0, 0, 0, 1, 1, 1] and rows.features["label"].names == ["class0", "class1"]
    assert len(list((tmp_path / "out" / "data").iterdir())) == 2

    def is_of_this_run(process: psutil.Process) -> bool:
        try:
            return process.environ().get("RAY_AUTH_TOKEN") == token
        except psutil.Error:
            return False

    _, alive = psutil.wait_procs(filter(is_of_this_run, psutil.process_iter()), timeout=20)
    assert alive == []
