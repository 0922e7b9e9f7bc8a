"""A Ray cluster of two nodes on the loopback interface, and ways to look into all that Ray holds."""

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

_STORE_BYTES = 80 * 2**20


class TwoNodes:
    """Two nodes with one processor each, their folder, and the processes below them."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        self.folder = folder
        node = {"num_cpus": 1, "object_store_memory": _STORE_BYTES, "node_ip_address": "127.0.0.1"}
        self.cluster = Cluster(
            initialize_head=True,
            head_node_args={**node, "include_dashboard": False, "temp_dir": str(folder / "ray")},
        )
        self.second = self.cluster.add_node(**node)

    def processes(self) -> list[psutil.Process]:
        """All processes that Ray started for these nodes."""
        return [child for child in psutil.Process().children(recursive=True) if child.is_running()]

    def workers(self) -> list[psutil.Process]:
        """Those that are at work on a call of ours."""
        return [process for process in self.processes() if "ray::_answer" in _title(process)]

    def listening(self) -> set[str]:
        """Addresses that anybody could connect to."""
        found = set()
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                connections = process.net_connections("inet")
                found |= {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}
        return found

    def holds(self, needle: bytes) -> list[str]:
        """Where bytes lie: in the object stores, spilled objects, logs and whatever else Ray wrote."""
        return [name for name, content in self._contents() if needle in content]

    def _contents(self) -> Iterator[tuple[str, bytes]]:
        for path in self.folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield str(path.relative_to(self.folder)), path.read_bytes()
        for process in self.processes():
            with contextlib.suppress(psutil.Error, OSError):
                for opened in Path(f"/proc/{process.pid}/fd").iterdir():
                    if "plasma" in os.readlink(opened):  # a file that has no name any more
                        yield "object store", opened.read_bytes()


def _title(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


@contextlib.contextmanager
def two_nodes() -> Iterator[TwoNodes]:
    """Start the cluster, connect this process to it, and end both."""
    folder, nodes = Path(tempfile.mkdtemp(prefix="hipmr-")), None  # a short path: sockets lie below it
    (folder / "ray").mkdir()
    environment = {
        "RAY_TMPDIR": str(folder),  # Ray adds "ray"
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # how Ray is told to bind to the loopback interface
        "RAY_worker_niceness": "0",  # else others on this machine come first
        "OMP_NUM_THREADS": "1",
    }
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    import ray  # reads some of these when it is imported
    from ray._private import ray_constants

    enabled, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        nodes = TwoNodes(folder)
        ray.init(address=nodes.cluster.address, log_to_driver=False, logging_level="ERROR")
        yield nodes
    finally:
        ray.shutdown()
        if nodes is not None:
            nodes.cluster.shutdown()
        ray_constants.ENABLE_RAY_CLUSTER = enabled
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        shutil.rmtree(folder, ignore_errors=True)
