import contextlib
import importlib.util
import os
import secrets
import subprocess
import sys
import time

import numpy as np
import PIL.Image
import psutil
import pytest
from datasets import load_dataset
from example_helpers import EXAMPLES

from hipmr_hf import Encryption, RandomShuffling


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
def test_without_a_cluster_it_runs_on_this_machine_and_ends_what_it_started(tmp_path):
    for i in range(6):
        path = tmp_path / "in" / f"class{i % 2}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (40, 48, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(path)
    command = [sys.executable, str(EXAMPLES / "encrypt_dataset_ray.py"), "--dataset_name", tmp_path / "in"]
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
