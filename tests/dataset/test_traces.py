"""`hipmr encrypt` is killed at random points: no name of the source stays in temporary folders."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from datasets import Dataset, Features, Image, Value

SOURCE, FILE, CLASS = "hospital_canary", "john_doe_canary", "disease_canary"
KILLS = 10

# Imports once and forks, so that a kill costs the time of the work alone; prints how long a whole run takes.
RUNNER = """
import os, sys, time
import hipmr_hf.dataset.run, hipmr_hf.hub.cards, hipmr_hf.leaks.guard
from hipmr_hf.cli import main

for line in sys.stdin:
    words = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if child == 0:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        os._exit(main(words))
    print(child, flush=True)
    begun = time.monotonic()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(status, time.monotonic() - begun, flush=True)
"""


def class_folders(root: Path) -> Path:
    for i in range(120):
        path = root / SOURCE / f"{CLASS}{i % 2}" / f"{FILE}_{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(path)
    return root / SOURCE


def parquet(root: Path) -> Path:
    features = Features({"image": Image(), "label": Value("int64")})
    pixels = np.random.default_rng(0).integers(0, 256, (200, 32, 32, 3), dtype=np.uint8)
    path = root / SOURCE / f"{FILE}.parquet"
    path.parent.mkdir(parents=True)
    Dataset.from_dict({"image": list(pixels), "label": [0] * 200}, features=features).to_parquet(path)
    return root / SOURCE


def archive(root: Path) -> Path:
    return Path(shutil.make_archive(str(root / SOURCE), "zip", class_folders(root / "loose")))


def table(root: Path) -> Path:
    folder = class_folders(root)
    names = [path.relative_to(folder) for path in sorted(folder.rglob("*.png"))]
    lines = ["file_name,label", *(f"{name},{i % 2}" for i, name in enumerate(names))]
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    return folder


def traces(folders: list[Path]) -> list[str]:
    """Where a name of the source stands, in a name or in a file."""
    found = []
    for path in (path for folder in folders for path in folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        if "canary" in path.name or b"canary" in content:
            found.append(str(path))
    return found


@pytest.mark.parametrize("make", [class_folders, table, archive, parquet])
def test_kills_leave_no_name_of_the_source_in_temporary_folders(make, tmp_path):
    source, watched = make(tmp_path / "plain"), [tmp_path / name for name in ("tmp", "cache", "home")]
    for folder in watched:
        folder.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= dict(zip(("TMPDIR", "HF_HOME", "HOME"), map(str, watched), strict=True))
    work = tmp_path / "work"
    work.mkdir()
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER],
        cwd=work,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def run(name: str, kill_after: float | None) -> tuple[int, float]:
        command = ["encrypt", str(source), "--image-size", "32", "--patch-size", "8", "--output-dir", name]
        print("\t".join([*command, "--num-proc", "2"]), file=runner.stdin, flush=True)
        child = int(runner.stdout.readline())
        if kill_after is not None:
            time.sleep(kill_after)
            with contextlib.suppress(ProcessLookupError):  # it was quicker
                os.killpg(child, signal.SIGKILL)
        status, seconds = runner.stdout.readline().split()
        return int(status), float(seconds)

    try:
        whole = min(run(f"whole{i}", None)[1] for i in range(3))
        assert len(list(work.glob("whole*/README.md"))) == 3 and traces(watched) == []
        killed = 0
        for i in range(KILLS):
            status, _ = run(f"out{i}", random.uniform(0.02, 0.8) * whole)
            killed += status == -signal.SIGKILL
            assert traces(watched) == []
        assert killed > KILLS // 2
    finally:
        runner.kill()
    # The search does find what is there.
    (watched[0] / f"{SOURCE}.lock").touch()
    assert len(traces(watched)) == 1
