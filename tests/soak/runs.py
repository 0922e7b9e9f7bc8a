"""Give `hipmr encrypt` again and again while its processes are killed, and watch its memory."""

import dataclasses
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from hipmr_hf.dataset.sources.account import account_path
from soak.checks import find_plain
from soak.pictures import PIECE_ROWS

HANGING_SECONDS = 600
FINISHING_SECONDS = 0.01  # joining and searching a piece
SAMPLE_SECONDS = 0.25
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
    numbers: Sequence[int]
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
        return -(-len(self.numbers) // PIECE_ROWS)

    def finished_pieces(self) -> int:
        """Count the pieces that a run has left so far."""
        return len(list((self.root / ".out.unfinished" / "pieces" / "train").glob("*.parquet")))

    def run_until_done(self) -> None:
        """Give the command again and again, until it succeeds or something is wrong."""
        while not self.problems:
            returned = self._run(self._planned_kill())
            own = {self.root / "plain", account_path(self.output)}
            self.problems += find_plain(self.root, apart_from=own, seen=self.seen)
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
                soon = time.monotonic() + self.chance.uniform(0, FINISHING_SECONDS * self.pieces)
                finishing_kill = soon if self.kills["finishing run"] < 2 else float("inf")
            if finishing_kill is not None and time.monotonic() > finishing_kill:
                process.kill()
                self.kills["finishing run"] += 1
                return "finishing run"
            if time.monotonic() - last_change > HANGING_SECONDS:
                self.problems.append(f"a run did nothing for {HANGING_SECONDS} seconds")
                process.kill()
            time.sleep(SAMPLE_SECONDS)
        return None

    def _sample(self, process: psutil.Popen, seconds: float, done: int) -> None:
        rss = 0
        for member in [process, *_children(process)]:
            try:
                rss += member.memory_info().rss
            except psutil.Error:
                continue
        self.samples.append((len(self.runs), seconds, done * PIECE_ROWS, rss / 2**20))

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
