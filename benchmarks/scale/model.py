"""Say what it costs to encrypt many images, from what a few cost: core-hours, bytes, hours, bottleneck.

    python benchmarks/scale/model.py                          # the tables of docs/scale.md
    python benchmarks/scale/model.py --cores 64 --node_gb_s 3 --shared_gb_s 40 --setting MI --format jpeg

Reads `benchmarks/results/scale.json`, which `benchmarks/scale/measure.py` writes; measure on your machine
first. A run has four stages, one after the other: files are found, rows are encrypted, pieces become shards,
and the result is searched for leaks. Each takes as long as its slowest part: cores, or the disks and the
network. What the run's own process does of a stage is done by no other, and counts as serial. With `--update`
the tables are put into docs/scale.md.
"""

import argparse
import dataclasses
import math
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness.pages import tell
from benchmarks.harness.results_file import load_results, stored
from benchmarks.harness.tables import table
from hipmr_hf.dataset.parquet import MAX_SHARD_BYTES

COUNTS, NODES = (10**6, 10**8, 10**9), (1, 16, 256)
NONCE_BYTES_HELD = 107  # measured: a Counter of a million nonces of 16 bytes takes 107 MB


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The machines, as you have them.

    Args:
        cores: of a node.
        speed: of a core, relative to the one that was measured.
        node_gb_s: bytes that a node reads and writes in a second, its network or disk, in GB.
        shared_gb_s: bytes that the shared storage gives and takes in a second, for all nodes together.
    """

    cores: int = 16
    speed: float = 1.0
    node_gb_s: float = 1.25
    shared_gb_s: float = 10.0

    def seconds_of_io(self, size: float, nodes: int) -> float:
        """Return how long it takes to move so many bytes with so many nodes."""
        return size / (min(nodes * self.node_gb_s, self.shared_gb_s) * 1e9)


@dataclasses.dataclass(frozen=True)
class Work:
    """What one image takes: processor seconds by stage, and bytes.

    Args:
        walk: to find it in a folder; the run's own process does it, and then every worker for itself.
        read: in the run's own process, which hands rows to its workers (one machine only).
        decode, resize, encrypt, encode, other: in a worker.
        join: to bring it from its piece into a shard; a shard has one worker.
        inspect: to search it for leaks.
        alone: of joining and searching, in the run's own process while workers do the rest.
        source_bytes, result_bytes: in the source and in the result.
        start: seconds of a whole run that do not grow with it.
    """

    walk: float
    read: float
    decode: float
    resize: float
    encrypt: float
    encode: float
    other: float
    join: float
    inspect: float
    alone: float
    source_bytes: float
    result_bytes: float
    start: float

    @property
    def parallel(self) -> float:
        """What any number of workers share."""
        return self.decode + self.resize + self.encrypt + self.encode + self.other

    @property
    def all(self) -> float:
        """Processor seconds of all stages."""
        return self.walk + self.read + self.parallel + self.join + self.inspect

    def shards(self, count: int) -> int:
        """How many files the result has, by default."""
        return max(1, math.ceil(count * self.result_bytes / MAX_SHARD_BYTES))


def work_of(measured: dict[str, Any], setting: str = "RS", image_format: str = "png") -> Work:
    """Combine the steps of a setting with what the whole runs (RS, PNG) took beyond their steps."""
    steps, runs, rows = measured["steps"], measured["runs"], measured["rows"]
    more = rows["all"] - rows["few"]
    slope = {
        name: (runs["1 process"][name] - runs["start"][name]) / more for name in ("own", "join", "inspect")
    }
    start = runs["start"]["own"] - rows["few"] * slope["own"]
    two = runs["2 processes"]
    read = max(0.0, (two["own"] - two["join"] - two["inspect"] - start) / rows["all"])
    bare = sum(_seconds(measured, "RS", "png").values())
    other = max(0.0, slope["own"] - slope["join"] - slope["inspect"] - bare - read)
    size = steps["settings"][setting]["formats"][image_format]["bytes"]
    ratio = size / steps["settings"]["RS"]["formats"]["png"]["bytes"]
    return Work(
        walk=measured["walk"],
        read=read,
        **_seconds(measured, setting, image_format),
        other=other,
        join=slope["join"] * ratio,
        inspect=slope["inspect"] * ratio,
        alone=measured["alone"],
        source_bytes=steps["source_bytes"],
        result_bytes=size,
        start=start,
    )


def _seconds(measured: dict[str, Any], setting: str, image_format: str) -> dict[str, float]:
    of_setting = measured["steps"]["settings"][setting]
    milliseconds = {
        "decode": measured["steps"]["decode"],
        "resize": of_setting["resize"],
        "encrypt": of_setting["encrypt"],
        "encode": of_setting["formats"][image_format]["encode"],
    }
    return {name: value / 1000 for name, value in milliseconds.items()}


def stages(work: Work, count: int, nodes: int, cluster: Cluster) -> dict[str, tuple[float, str]]:
    """Return seconds and bottleneck of each stage; one node uses `--num-proc`, more use `--engine ray`."""
    cores = nodes * cluster.cores
    moved = work.source_bytes + work.result_bytes
    encrypt = {"cores": count * work.parallel / cores, "disk or network": 0.0}
    encrypt["disk or network"] = cluster.seconds_of_io(count * moved, nodes) * cluster.speed
    if nodes == 1:
        encrypt["the process that reads"] = count * work.read
    else:
        encrypt["cores"] += count * work.read / cores
    shards = work.shards(count)
    rounds = math.ceil(shards / cores)  # one core writes a shard
    join = {"cores" if shards >= cores else "a core a shard": rounds * count * work.join / shards}
    join["disk or network"] = cluster.seconds_of_io(2 * count * work.result_bytes, nodes) * cluster.speed
    search = {"cores": count * work.inspect / cores, "the run's own process": count * work.alone}
    search["disk or network"] = cluster.seconds_of_io(count * work.result_bytes, nodes) * cluster.speed
    walk = {"one core": 2 * count * work.walk}
    found = {}
    for name, parts in (("walk", walk), ("encrypt", encrypt), ("join", join), ("search", search)):
        slowest = max(parts, key=parts.get)
        found[name] = parts[slowest] / cluster.speed, slowest
    return found


def cost_table(measured: dict[str, Any], setting: str, image_format: str, cluster: Cluster) -> str:
    """Format what runs of all sizes cost, as a Markdown table."""
    work = work_of(measured, setting, image_format)
    rows = []
    for count in COUNTS:
        hours = f"{count * work.all / cluster.speed / 3600:,.0f}"
        sizes = [f"{count * size / 1e12:.3g}" for size in (work.source_bytes, work.result_bytes)]
        for nodes in NODES:
            times = stages(work, count, nodes, cluster)
            whole = work.start + sum(seconds for seconds, _ in times.values())
            slowest = max(times, key=lambda stage: times[stage][0])
            shown = [duration(seconds) for seconds, _ in times.values()]
            limit = f"{slowest}: {times[slowest][1]}"
            rows.append([f"10^{len(str(count)) - 1}", hours, *sizes, nodes, *shown, duration(whole), limit])
    heads = ["images", "core-hours", "read, TB", "result, TB", "nodes", "walk", "encrypt", "join", "search"]
    return table([*heads, "all", "slowest"], rows)


def serial_share(work: Work, count: int, cores: int) -> float:
    """Return the share of a run's time on one machine in which one process works and the others wait.

    Of joining that is what is left when every core has as many shards as any: 9 shards keep 4 cores busy for
    3 rounds, in the last of which 3 of them wait.
    """
    cluster = Cluster(cores=cores, node_gb_s=math.inf, shared_gb_s=math.inf)
    whole = work.start + sum(seconds for seconds, _ in stages(work, count, 1, cluster).values())
    shared = work.all - work.walk - work.read
    return 1 - count * shared / cores / whole


def cores_table(measured: dict[str, Any]) -> str:
    """Format how much faster 16 cores are than one, as a Markdown table."""
    work, rows = work_of(measured), []
    for count in (2_000, 20_000, *COUNTS[:2]):
        clusters = [Cluster(cores=cores, node_gb_s=math.inf, shared_gb_s=math.inf) for cores in (1, 2, 16)]
        times = [
            work.start + sum(seconds for seconds, _ in stages(work, count, 1, cluster).values())
            for cluster in clusters
        ]
        faster = [f"{times[0] / time:.1f}" for time in times[1:]]
        rows.append([f"{count:,}", work.shards(count), *faster, f"{serial_share(work, count, 16):.0%}"])
    return table(["images", "shards", "2 cores, times 1", "16 cores, times 1", "serial at 16"], rows)


def image_table(measured: dict[str, Any]) -> str:
    """Format what one image costs in each setting and format, as a Markdown table."""
    rows = []
    for setting, told in measured["steps"]["settings"].items():
        for image_format in told["formats"]:
            work = work_of(measured, setting, image_format)
            parts = (work.decode, work.resize, work.encrypt, work.encode)
            shares = [f"{part / work.all:.0%}" for part in parts]
            rows.append([setting, image_format, f"{1 / work.all:.0f}", f"{work.result_bytes:,.0f}", *shares])
    heads = [
        "setting",
        "format",
        "images/s on a core",
        "bytes",
        "of it: decode",
        "resize",
        "encrypt",
        "encode",
    ]
    return table(heads, rows)


def check_table(measured: dict[str, Any]) -> str:
    """Compare what was predicted with what was measured, in processor seconds, as a Markdown table."""
    work, rows, runs = work_of(measured), measured["rows"]["all"], measured["runs"]
    bare = sum(_seconds(measured, "RS", "png").values())
    one, two, few = runs["1 process"], runs["2 processes"], measured["rows"]["few"]
    alone, start = "the run with 1", _all_processors(runs["ray start"]) - few * work.all
    source = f"a run of {few} images, and the steps for the others"
    checks = [
        (
            "1 process, all but joining and searching",
            "the steps alone, and the start",
            work.start + rows * bare,
            one["own"] - one["join"] - one["inspect"],
        ),
        ("2 processes, all processors together", alone, one["own"], _all_processors(two)),
        ("2 processes, the workers", alone, rows * work.parallel, two["workers"]),
        *(
            (
                f"Ray, {name}, all processors together",
                source,
                start + rows * work.all,
                _all_processors(runs[name]),
            )
            for name in ("1 node", "2 nodes")
        ),
    ]
    return table(
        ["run", "predicted from", "predicted, s", "measured, s", "ratio"],
        [
            [run, how, f"{predicted:.2f}", f"{found:.2f}", f"{predicted / found:.2f}"]
            for run, how, predicted, found in checks
        ],
    )


def _all_processors(run: dict[str, float]) -> float:
    return run["own"] + run["workers"]


def duration(seconds: float) -> str:
    """Write seconds as minutes, hours or days.

    Example:

        >>> duration(90), duration(3 * 3600), duration(200_000)
        ('1.5 min', '3.0 h', '2.3 d')
    """
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} d"


def tables(measured: dict[str, Any]) -> dict[str, str]:
    """Return the tables of the page, by name, with the assumptions that stand there."""
    return {
        "images": image_table(measured),
        "costs": cost_table(measured, "RS", "png", Cluster()),
        "costs-jpeg": cost_table(measured, "RS+MI hardened", "jpeg", Cluster()),
        "cores": cores_table(measured),
        "check": check_table(measured),
    }


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usual = Cluster()
    parser.add_argument("--cores", type=int, default=usual.cores, help="of a node")
    parser.add_argument("--speed", type=float, default=usual.speed, help="of a core, 1 as measured")
    parser.add_argument("--node_gb_s", type=float, default=usual.node_gb_s, help="disk or network of a node")
    parser.add_argument("--shared_gb_s", type=float, default=usual.shared_gb_s, help="of the shared storage")
    parser.add_argument("--setting", default="RS", help="RS, MI or 'RS+MI hardened'")
    parser.add_argument("--format", default="png", choices=("png", "jpeg", "webp"))
    parser.add_argument("--results", type=Path, default=stored("scale"))
    parser.add_argument("--update", action="store_true", help="put the tables into docs/scale.md")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    measured = load_results(args.results)
    if args.update:
        for mark, text in tables(measured).items():
            tell(mark, text)
    cluster = Cluster(args.cores, args.speed, args.node_gb_s, args.shared_gb_s)
    print(image_table(measured), cost_table(measured, args.setting, args.format, cluster), sep="\n\n")
    print(f"\n{cores_table(measured)}\n\n{check_table(measured)}")


if __name__ == "__main__":
    main()
