"""Feed damaged files to whatever reads files here, and count what is not a documented error.

    python tests/fuzz/fuzz.py --cases 120000

Pictures go to `read_image` and `foreign_parts`, texts to `Encryption.from_pretrained`, `SecretKey.load` and
the notes of an unfinished `hipmr encrypt`, nonces to an encryption. Each case is drawn from the seed, the
target's name and its number, so that a finding can be had again with
`--only TARGET --first NUMBER --cases 1`. The cases run in a process of their own: a crash of a decoder, a
case that takes more than two seconds of processor time and one that makes the process 256 MiB larger are
findings as well. Writes `tests/fuzz/results.json` and prints the table; ends with 1 if there is any
finding.
"""

import argparse
import dataclasses
import faulthandler
import json
import multiprocessing
import os
import platform
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz import pictures, texts
from hipmr_hf.files import write_whole

RESULTS = Path(__file__).resolve().parent / "results.json"
CASE_SECONDS, HANGING_SECONDS = 2.0, 60.0
CASE_MIB = 256
ADDRESS_SPACE = 4 * 2**30
"""Bytes that the cases may take beside what the process has mapped when it starts."""
_TOLD_EVERY = 200  # cases between two reports of the counts


@dataclasses.dataclass(frozen=True)
class Target:
    """Something that reads files of strangers.

    Args:
        draw: makes the next case from a source of chance.
        check: reads the case; returns what came of it, and raises at a finding.
        documented: the errors that may come of it, for the table.
        share: of all cases.
    """

    draw: Callable[[random.Random], Any]
    check: Callable[[Any], str]
    documented: str
    share: float


@dataclasses.dataclass
class Outcome:
    """What came of the cases of one target."""

    cases: int = 0
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    findings: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    slowest_ms: float = 0.0
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0
    quotes_on_stderr: int = 0


def targets() -> dict[str, Callable[[], Target]]:
    """Return what makes each target, by name."""
    return {
        "read_image": lambda: _picture_target("check_reading", "ImageReadingError", 0.70),
        "foreign_parts": lambda: _picture_target("check_parts", "ValueError", 0.10),
        "encryption_config.json": lambda: _text_target("SettingsFiles", "TypeError, ValueError", 0.10),
        "key file": lambda: _text_target("KeyFiles", "ValueError", 0.05),
        "notes of a run": lambda: _text_target("RunNotes", "ValueError", 0.02),
        "nonce and key": lambda: _text_target("Nonces", "TypeError, ValueError", 0.03),
    }


def _picture_target(check: str, documented: str, share: float) -> Target:
    formats = ("PNG", "JPEG", "WEBP") if check == "check_parts" else None
    return Target(pictures.DamagedPictures(formats), getattr(pictures, check), documented, share)


def _text_target(name: str, documented: str, share: float) -> Target:
    files = getattr(texts, name)()
    return Target(files, files.check, documented, share)


def fuzz(name: str, make: Callable[[], Target], numbers: range, *, seed: int = 0) -> Outcome:
    """Run the cases of one target in a process that is started anew whenever a case ends it.

    Args:
        name: of the target, part of each case's seed.
        make: makes the target, in that process.
        numbers: of the cases.
        seed: draws other cases.

    Returns:
        The counts and the findings; the first 20 findings in full.
    """
    outcome, first = Outcome(), numbers.start
    while first < numbers.stop:
        first = _run_process(name, make, range(first, numbers.stop), seed, outcome)
    return outcome


def _run_process(name: str, make: Callable[[], Target], numbers: range, seed: int, outcome: Outcome) -> int:
    """Run cases until all are done or one ends the process; returns the number of the case to go on with."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    at_work = context.Value("q", numbers.start, lock=False)
    process = context.Process(target=_work, args=(name, make, numbers, seed, theirs, at_work), daemon=True)
    process.start()
    theirs.close()
    seen, since = -1, time.monotonic()
    try:
        while True:
            if ours.poll(0.5) and _take(ours.recv(), outcome):
                return numbers.stop
            if at_work.value != seen:
                seen, since = at_work.value, time.monotonic()
            elif time.monotonic() - since > HANGING_SECONDS:
                process.kill()
                since = time.monotonic()
                _note(outcome, {"case": at_work.value, "problem": f"hung for {HANGING_SECONDS:.0f} seconds"})
    except EOFError:
        process.join()
        if process.exitcode != -9 or not outcome.findings or outcome.findings[-1]["case"] != at_work.value:
            _note(outcome, {"case": at_work.value, "problem": f"ended the process ({process.exitcode})"})
        return at_work.value + 1


def _take(message: dict[str, Any], outcome: Outcome) -> bool:
    """Add what the process tells; returns whether it was the last."""
    outcome.cases += message["cases"]
    outcome.counts.update(message["counts"])
    for finding in message["findings"]:
        _note(outcome, finding)
    outcome.slowest_ms = max(outcome.slowest_ms, message["slowest_ms"])
    outcome.cpu_seconds += message["cpu_seconds"]
    outcome.peak_mib = max(outcome.peak_mib, message["peak_mib"])
    outcome.quotes_on_stderr += message["quotes"]
    return message["last"]


def _note(outcome: Outcome, finding: dict[str, Any]) -> None:
    outcome.counts["FINDING"] += 1
    if len(outcome.findings) < 20:
        outcome.findings.append(finding)


def _work(
    name: str, make: Callable[[], Target], numbers: range, seed: int, pipe: Connection, at_work: Any
) -> None:
    faulthandler.disable()  # how a process ended is told by the one that started it
    limit = psutil.Process().memory_info().vms + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with tempfile.TemporaryFile() as errors:
        os.dup2(errors.fileno(), 2)  # decoders in C write there
        target = make()
        told, begun = _nothing(), time.process_time()
        for number in numbers:
            at_work.value = number
            _run_case(target, random.Random(f"{seed}/{name}/{number}"), number, told)
            last = number == numbers.stop - 1
            if last or told["cases"] == _TOLD_EVERY:
                told |= {"last": last, "cpu_seconds": time.process_time() - begun, "peak_mib": _peak_mib()}
                told["quotes"] = _quotes(errors)
                pipe.send(told)
                told, begun = _nothing(), time.process_time()


def _nothing() -> dict[str, Any]:
    return {"cases": 0, "counts": Counter(), "findings": [], "slowest_ms": 0.0, "quotes": 0}


def _run_case(target: Target, chance: random.Random, number: int, told: dict[str, Any]) -> None:
    case = target.draw(chance)
    before, begun = _peak_mib(), time.process_time()
    try:
        told["counts"][target.check(case)] += 1
    except Exception as error:  # whatever it is, it is what is looked for
        place = traceback.extract_tb(error.__traceback__)[-1]
        problem = f"{type(error).__name__}: {str(error)[:200]} ({Path(place.filename).name}:{place.lineno})"
        told["findings"].append({"case": number, "problem": problem})
    seconds, grown = time.process_time() - begun, _peak_mib() - before
    if seconds > CASE_SECONDS:
        told["findings"].append({"case": number, "problem": f"took {seconds:.1f} seconds"})
    if grown > CASE_MIB:
        told["findings"].append({"case": number, "problem": f"took {grown:.0f} MiB"})
    told["slowest_ms"] = max(told["slowest_ms"], seconds * 1000)
    told["cases"] += 1


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _quotes(errors: Any) -> int:
    """Count how often decoders quoted metadata on the standard error, and forget what they said."""
    errors.seek(0)
    found = errors.read().count(pictures.SECRET.encode())
    errors.seek(0)
    errors.truncate()
    return found


def table(outcomes: dict[str, dict[str, Any]]) -> str:
    """Format the outcomes as a Markdown table."""
    lines = [
        "| reader | documented errors | cases | read | refused | findings | slowest case, ms | peak MiB |"
    ]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for name, outcome in outcomes.items():
        counts = outcome["counts"]
        read = sum(count for kind, count in counts.items() if kind not in ("refused", "FINDING"))
        found = counts.get("FINDING", 0) + outcome["quotes_on_stderr"]
        lines.append(
            f"| {name} | {outcome['documented']} | {outcome['cases']} | {read} | {counts.get('refused', 0)} "
            f"| {found} | {outcome['slowest_ms']:.0f} | {outcome['peak_mib']:.0f} |"
        )
    return "\n".join(lines)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=120_000, help="in all; 1 with --only: just that one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=list(targets()), help="one target, which gets all the cases")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def main() -> int:
    args = parse_arguments()
    outcomes = {}
    for name, make in targets().items():
        if args.only not in (None, name):
            continue
        target = make()
        count = args.cases if args.only else round(args.cases * target.share)
        outcome = fuzz(name, make, range(args.first, args.first + count), seed=args.seed)
        outcomes[name] = {"documented": target.documented, **vars(outcome), "counts": dict(outcome.counts)}
        print(
            f"{name}: {outcome.cases} cases, {outcome.cpu_seconds:.0f} s, {dict(outcome.counts)}", flush=True
        )
        for finding in outcome.findings:
            print(f"  {finding}", flush=True)
    print(table(outcomes))
    command = f"python tests/fuzz/fuzz.py --cases {args.cases} --seed {args.seed}"
    versions = {name: version(name) for name in ("pillow", "numpy", "hipmr-hf")}
    about = {"command": command, "python": platform.python_version(), "versions": versions}
    if args.only is None:
        write_whole(args.results, json.dumps({**about, "targets": outcomes}, indent=1) + "\n")
    return int(any(outcome["findings"] or outcome["quotes_on_stderr"] for outcome in outcomes.values()))


if __name__ == "__main__":
    raise SystemExit(main())
