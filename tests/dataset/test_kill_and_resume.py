"""`hipmr encrypt` is killed at random points and started again: every row comes once, whatever happens."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Features, Image, Value

from hipmr_hf.encryption.keys import SecretKey
from hipmr_hf.leaks.guard import find_leaks

ROWS = 200
KILLS = 20

# Imports once, then forks a run for every kill, so that a kill costs the time of the work alone.
KILLER = """
import os, random, signal, sys, time
import numpy, PIL.Image, pyarrow.parquet
import hipmr_hf.dataset.run
import hipmr_hf.dataset.sources.splits as module
import hipmr_hf.hub.cards, hipmr_hf.leaks.guard, hipmr_hf.dataset.source
from hipmr_hf.cli import main

module._GROUP_ROWS = 8
command, kills = sys.argv[2:], int(sys.argv[1])

def start(output_dir):
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(main([*command, "--output-dir", output_dir]))
    return child

def looks_finished(output_dir):
    return os.path.exists(output_dir) and not os.path.exists(f"{output_dir}/encryption_config.json")

sys.stdout, stdout = open(os.devnull, "w"), sys.stdout
assert main([*command, "--output-dir", "warm"]) == 0  # in this process, for what is imported on the way
sys.stdout = stdout
begun = time.monotonic()
assert os.waitstatus_to_exitcode(os.waitpid(start("whole"), 0)[1]) == 0
whole = time.monotonic() - begun
rounds, killed = 0, 0
while killed < kills:
    output_dir = f"out{rounds}"
    child = start(output_dir)
    time.sleep(random.uniform(0, whole))
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    killed += os.WIFSIGNALED(status)
    assert not looks_finished(output_dir), os.listdir(output_dir)
    if not os.WIFSIGNALED(status):
        assert os.waitstatus_to_exitcode(status) == 0
    rounds += os.path.exists(output_dir) and not os.path.exists(f".{output_dir}.unfinished/job.json")
status = os.waitpid(start(f"out{rounds}"), 0)[1]
assert os.waitstatus_to_exitcode(status) == 0
print(rounds + 1)
"""


@pytest.fixture
def plain(tmp_path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (ROWS, 32, 32, 3), dtype=np.uint8)
    features = Features({"image": Image(), "label": Value("int64")})
    rows = {"image": list(pixels), "label": list(range(ROWS))}
    Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "plain.parquet")
    return tmp_path / "plain.parquet"


def test_twenty_kills_lose_and_double_no_row(plain, tmp_path):
    SecretKey.generate().save(tmp_path / "a.key")
    command = ["encrypt", str(plain), "--image-size", "32", "--patch-size", "8", "--key-file", "a.key"]
    result = subprocess.run(
        [sys.executable, "-c", KILLER, str(KILLS), *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        env={**os.environ, "HF_HOME": str(tmp_path / "home")},
    )
    assert result.returncode == 0, result.stderr
    for i in range(int(result.stdout)):
        rows = pq.read_table(tmp_path / f"out{i}" / "data").to_pylist()
        assert [row["label"] for row in rows] == list(range(ROWS))
        assert len({row["nonce"] for row in rows}) == ROWS
        assert find_leaks(tmp_path / f"out{i}").leaks == ()
    assert not list(tmp_path.glob(".out*"))


def test_workers_end_with_a_killed_run(plain, tmp_path):
    code = """
import sys, json, time, multiprocessing
import hipmr_hf.dataset.local_pool as module
from hipmr_hf.cli import main

def slow(pool, function, arguments):
    list(pool._executor.map(abs, range(2)))  # they are at work
    print(json.dumps([process.pid for process in multiprocessing.active_children()]), flush=True)
    time.sleep(60)

module.LocalPool.map = slow
main(sys.argv[1:])
"""
    command = ["encrypt", str(plain), "--output-dir", str(tmp_path / "out"), "--num-proc", "2"]
    process = subprocess.Popen([sys.executable, "-c", code, *command], stdout=subprocess.PIPE)
    workers = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    assert len(workers) == 2
    deadline = time.monotonic() + 10
    while any(_is_alive(pid) for pid in workers):
        assert time.monotonic() < deadline, "workers outlive the run"
        time.sleep(0.1)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_a_kill_while_the_account_is_written_leaves_nothing_beside_the_output(plain, tmp_path):
    code = """
import os, signal, sys
import hipmr_hf.files as files
from hipmr_hf.cli import main

flush = files.flush
def killed(path):
    if "account" in path.name:
        os.kill(os.getpid(), signal.SIGKILL)
    flush(path)

if sys.argv[1] == "killed":
    files.flush = killed
sys.exit(main(sys.argv[2:]))
"""
    command = ["encrypt", str(plain), "--image-size", "32", "--patch-size", "8", "--output-dir", "out"]
    for what, expected in ("killed", -signal.SIGKILL), ("whole", 0):
        run = subprocess.run([sys.executable, "-c", code, what, *command], cwd=tmp_path, check=False)
        assert run.returncode == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.account.json", plain.name]
