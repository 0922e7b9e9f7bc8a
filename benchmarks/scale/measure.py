"""Measure what the scale model needs: processor seconds and bytes of an image, step by step, and whole runs.

    python benchmarks/scale/measure.py --data_dir ../shared/data

Photographs (Kodak's, or scikit-learn's two where those are missing) become 500x375 JPEG files, as ImageNet's
are on average. Then the steps of `hipmr encrypt` are timed one by one, and the command is run with one and
two processes, and through Ray on one and two nodes of one processor on this machine. All times are processor
seconds, which a busy machine leaves alone; a run's own process and its workers are told apart. Writes
`benchmarks/results/scale.json`, which `benchmarks/scale/model.py` reads.
"""

import argparse
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness.arguments import script_parser
from benchmarks.harness.photographs import collection, crops_of, jpeg_file, rows_of_files
from benchmarks.harness.results_file import load_results, save_results
from benchmarks.harness.settings import HARDENED, mixing, shuffling
from benchmarks.harness.steps import decode, resize
from hipmr_hf import Encryption
from hipmr_hf.dataset.source import open_source
from hipmr_hf.images.writing import encode_image

SETTINGS: dict[str, Encryption] = {
    "RS": shuffling(),
    "MI": mixing(),
    "RS+MI hardened": shuffling(**HARDENED),
}
FORMATS = ("png", "jpeg", "webp")
_RS = ("--preset", "paper-rs")  # whose steps predict the whole runs; without a preset it is another
_WARM_UP, _ROUNDS = 200, 9  # pictures, and times that the steps are taken
_TURNS = 3  # of the runs on this machine without Ray, one after the other; what is told is the median
_DECODED = 256  # rows from which on the search for leaks decodes the same number of images

# Runs the command and tells the processor seconds of its own process, of its workers, and of its last steps.
_RUN = """
import json, resource, sys, time
import hipmr_hf.dataset.run as module
from hipmr_hf.cli import main

told = {"walk": 0.0, "join": 0.0, "card": 0.0, "inspect": 0.0}

def timed(name, step):
    def run(*arguments, **options):
        begun = time.process_time()
        try:
            return step(*arguments, **options)
        finally:
            told[name] += time.process_time() - begun
    return run

module.opened_source = timed("walk", module.opened_source)
module.write_shards = timed("join", module.write_shards)
module.card_of_folder = timed("card", module.card_of_folder)
module._inspect = timed("inspect", module._inspect)
begun = time.monotonic()
assert main(sys.argv[1:]) == 0
use = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
told |= dict(zip(("own", "workers"), (u.ru_utime + u.ru_stime for u in use)))
told |= {"wall": time.monotonic() - begun}
print(json.dumps(told), file=sys.stderr)
"""

# The same through Ray, on nodes of one processor that are processes of this machine.
_RUN_RAY = """
import json, os, secrets, shutil, sys, tempfile, time
place = tempfile.mkdtemp(prefix="hipmr-")
os.makedirs(place + "/ray")
os.environ |= {"RAY_TMPDIR": place, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
os.environ |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_worker_niceness": "0"}
import psutil, ray
from ray._private import ray_constants
from ray.cluster_utils import Cluster
from hipmr_hf.cli import main

def seconds():
    return {p.pid: sum(p.cpu_times()[:2]) for p in psutil.Process().children(recursive=True)}

nodes = int(sys.argv.pop(1))
ray_constants.ENABLE_RAY_CLUSTER = False
node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "node_ip_address": "127.0.0.1"}
head = {**node, "include_dashboard": False, "temp_dir": place}
cluster = Cluster(initialize_head=True, head_node_args=head)
for _ in range(nodes - 1):
    cluster.add_node(**node)
ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
before, own, begun = seconds(), time.process_time(), time.monotonic()
assert main(sys.argv[1:]) == 0
used = {pid: now - before.get(pid, 0) for pid, now in seconds().items()}
told = {"own": time.process_time() - own, "workers": sum(used.values()), "wall": time.monotonic() - begun}
ray.shutdown()
cluster.shutdown()
shutil.rmtree(place, ignore_errors=True)
print(json.dumps(told), file=sys.stderr)
"""


def source_files(data_dir: Path, count: int) -> list[bytes]:
    """Cut files out of Kodak's photographs, or scikit-learn's two where those are missing."""
    kodak = collection(data_dir, "photos_kodak") if (data_dir / "photos_kodak.parquet").exists() else None
    return [jpeg_file(crop) for crop in crops_of(kodak, count)]


def per_image_ms(seconds: list[float], images: int) -> float:
    """Return the median of several rounds, for an image."""
    return round(float(np.median(seconds)) / images * 1000, 3)


def round_of(files: list[bytes], encryption: Encryption) -> tuple[dict[str, float], dict[str, float]]:
    """Do on a part of a source what a run does, one step after the other.

    Returns:
        Processor seconds of each step, encoding by format; and the mean bytes of a file by format.
    """
    clock, begun = time.process_time, time.process_time()
    seconds, sizes = {}, {}
    decoded = [decode(file, encryption) for file in files]
    seconds["decode"], begun = clock() - begun, clock()
    plain = [resize(each, encryption) for each in decoded]
    seconds["resize"], begun = clock() - begun, clock()
    encrypted = encryption.encrypt_batch(np.stack(plain))
    seconds["encrypt"], begun = clock() - begun, clock()
    for image_format in FORMATS:
        written = [encode_image(image, image_format) for image in encrypted]
        seconds[image_format], begun = clock() - begun, clock()
        sizes[image_format] = round(np.mean([len(file) for file in written]))
    return seconds, sizes


def steps(files: list[bytes]) -> dict[str, Any]:
    """Time decoding, resizing, encrypting and writing, and count bytes, for each setting and format.

    A run works on parts of a source, and what it does is compiled once there were some pictures; so here too.
    """
    told: dict[str, Any] = {"images": len(files), "source_bytes": round(np.mean([len(f) for f in files]))}
    for encryption in SETTINGS.values():
        for _ in range(-(-_WARM_UP // len(files))):
            round_of(files, encryption)
    rounds = {name: [round_of(files, each) for _ in range(_ROUNDS)] for name, each in SETTINGS.items()}
    told["settings"] = {}
    for name, found in rounds.items():
        took = {step: per_image_ms([each[step] for each, _ in found], len(files)) for step in found[0][0]}
        formats = {each: {"encode": took[each], "bytes": found[-1][1][each]} for each in FORMATS}
        told["settings"][name] = {"resize": took["resize"], "encrypt": took["encrypt"], "formats": formats}
        told.setdefault("decode", took["decode"])
    return told


def run(source: Path, folder: Path, code: str, arguments: list[str]) -> dict[str, float]:
    """Run the command in a process of its own; returns what it tells about itself."""
    command = [sys.executable, "-c", code, *arguments]
    at = command.index("encrypt") + 1
    command[at:at] = [str(source), "--output-dir", str(folder)]
    away = {"HF_HUB_OFFLINE": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(command, env={**os.environ, **away}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    told = json.loads(done.stderr.strip().splitlines()[-1])
    return {name: round(value, 3) for name, value in told.items()}


def alone(place: Path, counts: tuple[int, int] = (1024, 4096)) -> float:
    """Return the processor seconds that joining and searching take a run's own process, for an image.

    Its workers do the rest. What is left to it is to tell and to be told, whatever the pictures, so these are
    tiny ones, for which that is quickly seen: the difference of two runs with two workers.
    """
    tiny, taken = jpeg_file(np.zeros((16, 16, 3), np.uint8)), []
    for count in counts:
        pq.write_table(pa.table(rows_of_files([tiny], count)), place / "tiny.parquet", row_group_size=64)
        arguments = ["encrypt", "--strategy", "rs", "--num-proc", "2"]
        arguments += ["--image-size", "16", "--patch-size", "8"]
        told = run(place / "tiny.parquet", place / f"tiny-{count}", _RUN, arguments)
        print(f"{count} tiny pictures: {told}", flush=True)
        taken.append(told["join"] + told["inspect"])
    return round(max(0.0, taken[1] - taken[0]) / (counts[1] - counts[0]), 8)


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(__doc__, results="scale")
    parser.add_argument("--images", type=int, default=64, help="for the steps")
    parser.add_argument("--rows", type=int, default=1024, help="of the whole runs")
    parser.add_argument(
        "--only", choices=("steps", "processes", "alone", "ray"), help="what is measured anew"
    )
    return parser.parse_args()


def plan(only: str | None) -> Iterator[tuple[str, str, str, int]]:
    """Give the runs: name, source, code, number of processes or nodes."""
    if only in (None, "processes"):
        yield from (("start", "few", _RUN, 1), ("1 process", "all", _RUN, 1), ("2 processes", "all", _RUN, 2))
    if only in (None, "ray"):
        yield from (("ray start", "few", _RUN_RAY, 1), ("1 node", "all", _RUN_RAY, 1))
        yield "2 nodes", "all", _RUN_RAY, 2


def walking(place: Path, count: int = 10_000) -> float:
    """Return the processor seconds that a picture in a folder of classes takes until it is listed."""
    for number in range(count):
        path = place / f"class_{number % 10}" / f"picture_{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    begun = time.process_time()
    open_source([str(place)])
    return round((time.process_time() - begun) / count, 8)


def measure(args: argparse.Namespace, place: Path, told: dict[str, Any]) -> Iterator[None]:
    """Fill in what is measured, step by step."""
    if args.only == "alone":
        told["walk"], told["alone"] = walking(place / "walked"), alone(place)
        yield
        return
    files = source_files(args.data_dir, args.rows)
    few = max(_DECODED, args.rows // 4)
    if args.only in (None, "steps"):
        told["steps"] = steps(files[: args.images])
        yield
    if args.only is None:
        told["walk"], told["alone"] = walking(place / "walked"), alone(place)
        yield
    told |= {"rows": {"few": few, "all": args.rows}, "runs": told.get("runs", {})}
    for name, count in told["rows"].items():
        pq.write_table(pa.table(rows_of_files(files, count)), place / f"{name}.parquet", row_group_size=32)
    found: dict[str, list[dict[str, float]]] = {}
    for turn, (name, source, code, count) in itertools.product(range(_TURNS), list(plan(args.only))):
        if turn and code is _RUN_RAY:
            continue
        more = ["--num-proc", str(count)] if code is _RUN else ["--engine", "ray"]
        arguments = ["encrypt", *_RS, *more] if code is _RUN else [str(count), "encrypt", *_RS, *more]
        told_now = run(place / f"{source}.parquet", place / f"out-{name}-{turn}", code, arguments)
        print(f"{name}: {told_now}", flush=True)
        found.setdefault(name, []).append(told_now)
        told["runs"][name] = {key: float(np.median([one[key] for one in found[name]])) for key in told_now}
        yield


def main() -> None:
    args = parse_arguments()
    command = f"python benchmarks/scale/measure.py --images {args.images} --rows {args.rows}"
    told = load_results(args.results) if args.only else {}
    told |= {"command": command, "python": platform.python_version(), "machine": platform.machine()}
    told["versions"] = {
        name: version(name) for name in ("pillow", "numpy", "pyarrow", "datasets", "hipmr-hf")
    }
    with tempfile.TemporaryDirectory(prefix="hipmr-scale-") as place:
        for _ in measure(args, Path(place), told):
            save_results(args.results, told)


if __name__ == "__main__":
    main()
