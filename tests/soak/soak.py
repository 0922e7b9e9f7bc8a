"""Encrypt generated pictures with `hipmr encrypt` while its processes are killed and files are ruined.

    python tests/soak/soak.py --images 50000 --processes 2

Most rows come from Parquet files and are encrypted with a key, every 25th from an image folder and without
one; one of twenty cannot be encrypted (truncated, empty, zeros, wrong magic, wrong check sum, decompression
bombs, no picture, float, several frames, smaller than a patch, a folder or a dangling link in its place).
Workers and the run itself are killed with SIGKILL, by chance, through the first 60% of the rows and while the
result is put together; after each kill the same command is given again. The rest runs undisturbed, for the
memory. At the end every good row must be there once, with its own pixels in another order, no ruined one, and
no plain file, name or row of pixels in any file that the runs left or leave. Writes
`tests/soak/results.json`, prints the table, and ends with 1 if anything is wrong.
"""

import argparse
import json
import platform
import random
import re
import resource
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hipmr_hf import RandomShuffling
from hipmr_hf.dataset.sources.account import Account, account_path
from hipmr_hf.encryption.keys import SecretKey
from hipmr_hf.files import write_whole
from hipmr_hf.leaks.guard import find_leaks
from soak import pictures
from soak.checks import check_rows
from soak.runs import Soak

RESULTS = Path(__file__).resolve().parent / "results.json"
ENCRYPTION = RandomShuffling(image_size=pictures.SIZE, patch_size=pictures.PATCH_SIZE)


def memory(soak: Soak) -> dict[str, float]:
    """Tell the most memory of all processes of a run, and how it grows in the longest undisturbed stretch.

    Returns:
        MiB: "peak_mib"; "growth_mib_per_10000_rows", the slope of a line through the samples while rows are
        encrypted, the first eighth of the rows left out; and "rows" of that stretch.
    """
    rows = {
        run: [s for s in soak.samples if s[0] == run and 0 < s[2] < soak.pieces * pictures.PIECE_ROWS]
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
    ruined = sum(pictures.is_ruined(number) for number in soak.numbers)
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
        problems += check_account(soak)
        if told["reported_as_skipped"] != ruined:
            problems.append(f"{told['reported_as_skipped']} rows reported as skipped, {ruined} are ruined")
    return {**told, "problems": problems}


def check_account(soak: Soak) -> list[str]:
    """Tell what is wrong with the account of all files: it holds names, so it is for the owner alone."""
    path = account_path(soak.output)
    account = Account(**json.loads(path.read_text()))
    found = [] if account.adds_up() else [f"the account does not add up: {account.lines()[0]}"]
    return found if path.stat().st_mode & 0o077 == 0 else [*found, "others can read the account"]


def soak_parquet(
    root: Path, numbers: range, processes: int, chance: random.Random, every: tuple[int, int]
) -> Soak:
    """Soak rows of Parquet files, with a key."""
    _make_rooms(root)
    paths = pictures.write_parquet(root / "plain", numbers)
    SecretKey.generate().save(root / "a.key")
    arguments = [*_arguments(processes), "--key-file", str(root / "a.key")]
    return Soak(root, [str(path) for path in paths], numbers, arguments, chance, every)


def soak_folder(
    root: Path, numbers: range, processes: int, chance: random.Random, every: tuple[int, int]
) -> Soak:
    """Soak an image folder, without a key."""
    _make_rooms(root)
    source = pictures.write_folder(root / "plain", numbers)
    rows = [n for n in numbers if not pictures.is_ruined(n) or pictures.ruined(n) is not None]
    return Soak(root, [str(source)], rows, _arguments(processes), chance, every)


def _make_rooms(root: Path) -> None:
    for name in ("home", "tmp"):
        (root / name).mkdir(parents=True)


def _arguments(processes: int) -> list[str]:
    size = ["--image-size", str(pictures.SIZE), "--patch-size", str(pictures.PATCH_SIZE)]
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
    chance, every, in_folder = random.Random(args.seed), args.kills_after, args.images // 25
    soaks = {}
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hipmr-soak-") as place:
        for name, make, numbers, between in (
            # Its rows are few, so kills come four times as often.
            ("image folder", soak_folder, range(in_folder), (max(1, n // 4) for n in every)),
            ("Parquet, with a key", soak_parquet, range(in_folder, args.images), every),
        ):
            soak = make(Path(place) / name.split()[0], numbers, args.processes, chance, tuple(between))
            soak.run_until_done()
            soaks[name] = summary(soak)
            print(f"{name}: {soaks[name]['problems'] or 'nothing wrong'}", flush=True)
    print(table(soaks))
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    about = {
        "command": f"python tests/soak/soak.py --images {args.images} --processes {args.processes}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("datasets", "pyarrow", "pillow", "hipmr-hf")},
        "wall_seconds": round(time.monotonic() - begun),
        "cpu_seconds": round(sum(use.ru_utime + use.ru_stime for use in used)),
    }
    write_whole(args.results, json.dumps({**about, "soaks": soaks}, indent=1) + "\n")
    return int(any(told["problems"] for told in soaks.values()))


if __name__ == "__main__":
    raise SystemExit(main())
