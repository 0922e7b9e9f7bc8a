"""A Ray that is started here is its user's alone: no shared folder, token or cluster of somebody else."""

import importlib.util
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra [ray]"),
]

# Ray reads its settings when it is imported, so it gets a process of its own. It tells where Ray's folder is,
# what its workers have, and waits until its files were looked at.
PROGRAM = """
import json, os, sys
os.umask(0o027)
from hipmr_hf.dataset.ray_pool import RayPool

def look(told, number):
    umask = os.umask(0)
    os.umask(umask)
    return os.environ["RAY_AUTH_TOKEN"], umask

def run():
    pool = RayPool()
    pool.put(None)
    import ray
    answers = list(pool.map(look, range(2)))
    where = ray._private.worker._global_node.get_temp_dir_path()
    print(json.dumps([where, sorted({token for token, _ in answers}), [umask for _, umask in answers]]))
    sys.stdout.flush()
    sys.stdin.readline()
    pool.close()
    umask = os.umask(0)
    os.umask(umask)
    print(json.dumps([umask, os.environ.get("RAY_AUTH_TOKEN"), os.path.exists(where)]), flush=True)

run()
run()
"""


@pytest.fixture
def shared():
    """A temporary folder of everybody, with a short path, in which somebody has named a cluster."""
    folder = Path(tempfile.mkdtemp(prefix="h-", dir="/tmp"))
    (folder / "ray").mkdir(mode=0o777)
    (folder / "ray" / "ray_current_cluster").write_text("127.0.0.1:9")
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


def open_to_others(folder: Path) -> list[str]:
    """What other users can reach below a folder that they can open."""
    found = []
    for path in folder.iterdir():
        state = path.lstat()
        if path.is_symlink() or not state.st_mode & 0o077:
            continue
        found.append(f"{stat.filemode(state.st_mode)} {path}")
        if path.is_dir() and state.st_mode & 0o011:
            found += open_to_others(path)
    return found


def test_nobody_else_can_read_or_lead_a_ray_that_is_started_here(shared, tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"HOME": str(tmp_path), "TMPDIR": str(shared), "RAY_TMPDIR": str(shared)}
    environment |= {"RAY_worker_niceness": "0", "OMP_NUM_THREADS": "1"}
    planted = shared / "ray"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    tokens = []
    try:
        for _ in range(2):
            folder, token, umasks = json.loads(process.stdout.readline())
            assert any(Path(folder).rglob("*.log")) and Path(folder).is_relative_to(shared)
            assert stat.S_IMODE(Path(folder).parent.stat().st_mode) == 0o700
            reachable = [line for line in open_to_others(shared) if str(planted) not in line]
            assert reachable == []
            secret = token[0].encode()
            for path in Path(folder).rglob("*"):
                if path.is_file() and not path.is_symlink():
                    assert secret not in path.read_bytes(), path
            assert [path for path in tmp_path.rglob("*") if path.is_file()] == []  # no token in ~/.ray
            assert umasks == [0o027] * 2  # what we write has the user's modes
            tokens += token
            print(file=process.stdin, flush=True)
            assert json.loads(process.stdout.readline()) == [0o027, None, False]
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
    assert len(set(tokens)) == 2 and all(len(token) == 64 for token in tokens)
    assert sorted(path.name for path in shared.iterdir()) == ["ray"]
    assert [path.name for path in planted.iterdir()] == ["ray_current_cluster"]
