"""Encrypt generated pictures with `hipmr encrypt` while its processes are killed and files are ruined.

    python benchmarks/soak.py --images 50000 --processes 2

Most rows come from Parquet files and are encrypted with a key, every 25th from an image folder and without
one; one of twenty cannot be encrypted (truncated, empty, zeros, wrong magic, wrong check sum, decompression
bombs, no picture, float, several frames, smaller than a patch, a folder or a dangling link in its place).
Workers and the run itself are killed with SIGKILL, by chance, through the first 60% of the rows and while the
result is put together; after each kill the same command is given again. The rest runs undisturbed, for the
memory. At the end every good row must be there once, with its own pixels in another order, no ruined one, and
no plain file, name or row of pixels in any file that the runs left or leave. Writes
`benchmarks/results/soak.json`, prints the table, and ends with 1 if anything is wrong.
"""

import argparse
import dataclasses
import json
import os
import platform
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soak_images
from soak_checks import check_rows, find_plain

from hipmr_hf import RandomShuffling
from hipmr_hf.keys import SecretKey
from hipmr_hf.leak_guard import find_leaks

RESULTS = Path(__file__).resolve().parent / "results" / "soak.json"
ENCRYPTION = RandomShuffling(image_size=soak_images.SIZE, patch_size=soak_images.PATCH_SIZE)
HANGING_SECONDS = 600
_PIECE_ROWS = 64
_SAMPLE_SECONDS = 0.25
_HIPMR = [sys.executable, "-c", "import sys; from hipmr_hf.cli import main; sys.exit(main())"]


@dataclasses.dataclass
class Soak:
    """One dataset on its way through kills.

    Args:
        root: a folder that everything lies in: home, temporary files, output.
        source: what is given to `hipmr encrypt`.
        numbers: of the rows.
        arguments: more arguments of the command.
        chance: when and whom to kill.
        kills_after: pieces between two kills, fewest and most.
    """

    root: Path
    source: list[str]
    numbers: range
    arguments: list[str]
    chance: random.Random
    kills_after: tuple[int, int]
    kills: dict[str, int] = dataclasses.field(
        default_factory=lambda: {"worker": 0, "run": 0, "finishing run": 0}
    )
    runs: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    samples: list[tuple[int, float, int, float]] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)
    seen: dict[Path, tuple[int, int]] = dataclasses.field(default_factory=dict)

    @property
    def output(self) -> Path:
        """The folder that the encrypted dataset comes to."""
        return self.root / "out"

    @property
    def pieces(self) -> int:
        """Pieces that there are when all rows are done."""
        return -(-len(self.numbers) // _PIECE_ROWS)

    def finished_pieces(self) -> int:
        """Count the pieces that a run has left so far."""
        return len(list((self.root / ".out.unfinished" / "train").glob("*.parquet")))

    def run_until_done(self) -> None:
        """Give the command again and again, until it succeeds or something is wrong."""
        while not self.problems:
            returned = self._run(self._planned_kill())
            self.problems += find_plain(self.root, apart_from=self.root / "plain", seen=self.seen)
            if returned == 0 or self._is_over():
                return
            if len(self.runs) > 40 and self.runs[-1]["pieces"] == self.runs[-40]["pieces"]:
                self.problems.append("forty runs brought nothing forward")

    def _is_over(self) -> bool:
        """Whether a run was killed after its last step."""
        return self.output.exists() and not (self.root / ".out.unfinished").exists()

    def _planned_kill(self) -> int | None:
        """Return how many pieces are to be there at the next kill; None for none while rows are encrypted."""
        at = self.finished_pieces() + self.chance.randint(*self.kills_after)
        return at if at <= 0.6 * self.pieces else None

    def _run(self, kill_at: int | None) -> int:
        command = [*_HIPMR, "encrypt", *self.source, "--output-dir", str(self.output), *self.arguments]
        home = {"HF_HOME": str(self.root / "home"), "TMPDIR": str(self.root / "tmp"), "HF_HUB_OFFLINE": "1"}
        log = self.root / f"stderr-{len(self.runs)}.txt"
        with log.open("wb") as errors:
            process = psutil.Popen(
                command, cwd=self.root, env={**os.environ, **home}, stdout=subprocess.DEVNULL, stderr=errors
            )
            victim = self._watch(process, kill_at)
            children = process.children() if process.is_running() else []
            returned = self._wait(process)
        told = log.read_text(errors="replace")
        self.runs.append(
            {"killed": victim, "returned": returned, "pieces": self.finished_pieces(), "told": told}
        )
        self._judge(victim, returned, told, children)
        return returned

    def _watch(self, process: psutil.Popen, kill_at: int | None) -> str | None:
        """Sample the memory until the process ends or is hurt; returns who was killed."""
        begun = last_change = time.monotonic()
        last, finishing_kill = -1, None
        while process.poll() is None:
            done = self.finished_pieces()
            self._sample(process, time.monotonic() - begun, done)
            if done != last:
                last, last_change = done, time.monotonic()
            if kill_at is not None and done >= kill_at:
                return self._kill(process)
            if done == self.pieces and finishing_kill is None:
                soon = time.monotonic() + self.chance.uniform(0, 4)
                finishing_kill = soon if self.kills["finishing run"] < 2 else float("inf")
            if finishing_kill is not None and time.monotonic() > finishing_kill:
                process.kill()
                self.kills["finishing run"] += 1
                return "finishing run"
            if time.monotonic() - last_change > HANGING_SECONDS:
                self.problems.append(f"a run did nothing for {HANGING_SECONDS} seconds")
                process.kill()
            time.sleep(_SAMPLE_SECONDS)
        return None

    def _sample(self, process: psutil.Popen, seconds: float, done: int) -> None:
        rss = 0
        for member in [process, *_children(process)]:
            try:
                rss += member.memory_info().rss
            except psutil.Error:
                continue
        self.samples.append((len(self.runs), seconds, done * _PIECE_ROWS, rss / 2**20))

    def _kill(self, process: psutil.Popen) -> str | None:
        workers = _children(process)
        who = "worker" if workers and self.chance.random() < 0.7 else "run"
        victim = self.chance.choice(workers) if who == "worker" else process
        try:
            victim.kill()
        except psutil.Error:
            return None
        self.kills[who] += 1
        return who

    def _wait(self, process: psutil.Popen) -> int:
        try:
            return process.wait(HANGING_SECONDS)
        except psutil.TimeoutExpired:
            self.problems.append("a run hung after a kill")
            process.kill()
            return process.wait()

    def _judge(self, victim: str | None, returned: int, told: str, children: list[psutil.Process]) -> None:
        _, alive = psutil.wait_procs(children, timeout=60)
        if alive:
            self.problems.append(f"{len(alive)} workers outlived a run")
        expected = {None: (0,), "worker": (2, 0), "run": (-9,), "finishing run": (-9, 0)}[victim]
        if returned not in expected or "Traceback" in told:
            self.problems.append(f"a run ended with {returned} after the kill of {victim}: {told[-300:]}")


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def memory(soak: Soak) -> dict[str, float]:
    """Tell the most memory of all processes of a run, and how it grows in the longest undisturbed stretch.

    Returns:
        MiB: "peak_mib"; "growth_mib_per_10000_rows", the slope of a line through the samples while rows are
        encrypted, the first eighth of the rows left out; and "rows" of that stretch.
    """
    rows = {
        run: [s for s in soak.samples if s[0] == run and 0 < s[2] < soak.pieces * _PIECE_ROWS]
        for run in {sample[0] for sample in soak.samples}
    }
    longest = max(rows.values(), key=lambda samples: samples[-1][2] - samples[0][2] if samples else 0)
    found = {
        "peak_mib": max(sample[3] for sample in soak.samples),
        "rows": 0,
        "growth_mib_per_10000_rows": 0.0,
    }
    if len(longest) < 16:
        return found
    steady = np.array(longest)[len(longest) // 8 :]
    found["rows"] = int(steady[-1, 2] - steady[0, 2])
    if found["rows"]:
        found["growth_mib_per_10000_rows"] = float(np.polyfit(steady[:, 2], steady[:, 3], 1)[0] * 10_000)
    return found


def summary(soak: Soak) -> dict[str, Any]:
    """Check what a soak has left and tell it in figures."""
    ruined = sum(soak_images.is_ruined(number) for number in soak.numbers)
    skipped = re.search(r"Skipped (\d+) rows", "".join(run["told"] for run in soak.runs))
    told = {
        "rows": len(soak.numbers),
        "ruined": ruined,
        "reported_as_skipped": int(skipped[1]) if skipped else 0,
        "kills": soak.kills,
        "runs": len(soak.runs),
        "memory": memory(soak),
    }
    problems = list(soak.problems)
    if not problems:
        found = check_rows(soak.output, soak.numbers, ENCRYPTION)
        told |= {name: value for name, value in vars(found).items() if name != "rows"} | {
            "encrypted": found.rows
        }
        problems += [f"{name}: {value}" for name, value in vars(found).items() if name != "rows" and value]
        problems += [str(leak) for leak in find_leaks(soak.output).leaks]
        left = [path.name for path in soak.root.iterdir()]
        problems += [f"{name} was left behind" for name in left if name.startswith(".out")]
        if told["reported_as_skipped"] != ruined:
            problems.append(f"{told['reported_as_skipped']} rows reported as skipped, {ruined} are ruined")
    return {**told, "problems": problems}


def soak_parquet(
    root: Path, numbers: range, processes: int, chance: random.Random, every: tuple[int, int]
) -> Soak:
    """Soak rows of Parquet files, with a key."""
    _make_rooms(root)
    paths = soak_images.write_parquet(root / "plain", numbers)
    SecretKey.generate().save(root / "a.key")
    arguments = [*_arguments(processes), "--key-file", str(root / "a.key")]
    return Soak(root, [str(path) for path in paths], numbers, arguments, chance, every)


def soak_folder(
    root: Path, numbers: range, processes: int, chance: random.Random, every: tuple[int, int]
) -> Soak:
    """Soak an image folder, without a key."""
    _make_rooms(root)
    source = soak_images.write_folder(root / "plain", numbers)
    return Soak(root, [str(source)], numbers, _arguments(processes), chance, every)


def _make_rooms(root: Path) -> None:
    for name in ("home", "tmp"):
        (root / name).mkdir(parents=True)


def _arguments(processes: int) -> list[str]:
    size = ["--image-size", str(soak_images.SIZE), "--patch-size", str(soak_images.PATCH_SIZE)]
    return [*size, "--on-error", "skip", "--num-proc", str(processes)]


def table(soaks: dict[str, dict[str, Any]]) -> str:
    """Format the summaries as a Markdown table."""
    lines = [
        "| source | rows | ruined, told | kills | runs | lost | twice | plain | peak MiB | MiB/10,000 rows |"
    ]
    lines += ["|---|---|---|---|---|---|---|---|---|---|"]
    for name, told in soaks.items():
        found = [len(told.get(kind, [])) for kind in ("lost", "doubled", "plain")]
        lines.append(
            f"| {name} | {told['rows']} | {told['ruined']}, {told['reported_as_skipped']} "
            f"| {sum(told['kills'].values())} | {told['runs']} | {found[0]} | {found[1]} | {found[2]} "
            f"| {told['memory']['peak_mib']:.0f} | {told['memory']['growth_mib_per_10000_rows']:+.1f} |"
        )
    return "\n".join(lines)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the kills; the moments vary anyway")
    parser.add_argument("--kills_after", type=int, nargs=2, default=[8, 40], help="pieces of 64 rows")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def main() -> int:
    args = parse_arguments()
    chance, every, in_folder = random.Random(args.seed), tuple(args.kills_after), args.images // 25
    soaks = {}
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hipmr-soak-") as place:
        for name, make, numbers in (
            ("image folder", soak_folder, range(in_folder)),
            ("Parquet, with a key", soak_parquet, range(in_folder, args.images)),
        ):
            soak = make(Path(place) / name.split()[0], numbers, args.processes, chance, every)
            soak.run_until_done()
            soaks[name] = summary(soak)
            print(f"{name}: {soaks[name]['problems'] or 'nothing wrong'}", flush=True)
    print(table(soaks))
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    about = {
        "command": f"python benchmarks/soak.py --images {args.images} --processes {args.processes}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("datasets", "pyarrow", "pillow", "hipmr-hf")},
        "wall_seconds": round(time.monotonic() - begun),
        "cpu_seconds": round(sum(use.ru_utime + use.ru_stime for use in used)),
    }
    args.results.write_text(json.dumps({**about, "soaks": soaks}, indent=1) + "\n")
    return int(any(told["problems"] for told in soaks.values()))


if __name__ == "__main__":
    raise SystemExit(main())
