"""What attackers find in documents, faces and satellite tiles, fitted on such pictures or on photographs.

    python benchmarks/attacks/kinds.py --data_dir ../shared/data

An attacker knows what kind of pictures a dataset holds. For each kind and setting one attacker is fitted on
16 pictures of that kind (6 for whole patches), another on as many crops of photographs; both attack the same
6 pictures of the kind, which nothing was fitted on (other pages, people, tiles), 224x224 with patches of 16.
Found: under mixed settings the share of patches whose best-scored partner is truly beside them; for whole
turned patches the share of neighbours put back, side and turn. Patches that are equal, as blank ones are,
count as one another, and chance is that of the pictures attacked. Writes `benchmarks/results/kinds.json` as
results come, and the table of docs/attacks.md.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.attacks.turned import SETTINGS, crops_to_fit
from benchmarks.harness.alike import Kinds, neighbours_alike, partners_alike
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.kinds import pages, portraits, tiles
from benchmarks.harness.pages import measure_and_publish
from benchmarks.harness.photographs import divide
from benchmarks.harness.results_file import load_results, save_part
from benchmarks.harness.tables import standard_error, table
from hipmr_hf.attacks.base import encrypt_with_truth, grid_shape, split_mosaic
from hipmr_hf.attacks.jigsaw_turned.attacker import fit_turned
from hipmr_hf.attacks.jigsaw_whole.attacker import WholeAttacker, cannot_be_whole, fit_whole

MARK = "kinds"
COMMAND = "python benchmarks/attacks/kinds.py"
DATA = "typeset pages, ORL portraits, EuroSAT tiles; 6 attacked pictures each, 224x224, patch size 16"

CHOSEN = (
    "RS, symmetries",
    "RS+MI, interval 4, symmetries, tones apart",
    "RS+MI, interval 8, symmetries, tones apart",
    "RS+MI, grid 4, symmetries, normalization",
)
KINDS = ("documents", "faces", "tiles")
FITTED, ATTACKED, TREES, WHOLE_FITTED = 16, 6, 50, 6


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(__doc__, results=MARK, only="names of settings", report="print the table")
    return parser.parse_args()


def pictures_of(kind: str, data_dir: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return pictures to fit on, and others to attack."""
    if kind == "documents":
        return pages(FITTED, seed=1), pages(ATTACKED, seed=2)
    if kind == "faces":
        return portraits(data_dir, range(24))[:FITTED], portraits(data_dir, range(32, 40))[:ATTACKED]
    return tiles(data_dir, FITTED, first=0), tiles(data_dir, ATTACKED, first=1000)


def measure(args: argparse.Namespace) -> None:
    """Attack every kind under every setting that has no result yet."""
    _, learned_from = divide(args.data_dir, "photos_skimage", "coco128_free_train")
    photographs = crops_to_fit(learned_from, FITTED)
    kinds = {kind: pictures_of(kind, args.data_dir) for kind in KINDS}
    for name in args.only or CHOSEN:
        runs = load_results(args.results).get("runs", [])
        missing = [kind for kind in KINDS if not any((r["kind"], r["setting"]) == (kind, name) for r in runs)]
        if not missing:
            continue
        by_photographs = fitted(name, photographs)
        for kind in missing:
            own, attacked = kinds[kind]
            run = {"setting": name, "kind": kind, "photographs": found(name, by_photographs, attacked)}
            started = time.process_time()
            run["own"] = found(name, fitted(name, own), attacked)
            run["cpu_seconds"] = time.process_time() - started
            runs = [*runs, run]
            save_part(args.results, "runs", runs, command=COMMAND, data=DATA)
            print(f"{name}, {kind}: {spread(run['photographs'])}, {spread(run['own'])}", flush=True)


def fitted(name: str, pictures: list[np.ndarray]) -> Any:
    encryption = SETTINGS[name]
    plain = [encryption.prepare(picture) for picture in pictures]
    if cannot_be_whole(encryption) is None:
        return fit_whole(encryption, plain[:WHOLE_FITTED], trees=0, rounds=1, steps=1000)
    return fit_turned(encryption, plain, trees=TREES)


def found(name: str, attacker: Any, attacked: list[np.ndarray]) -> dict[str, Any]:
    """Attack pictures under fresh randomness: a share for each, and chance, the mean of theirs."""
    encryption, shares, chances = SETTINGS[name], [], []
    for picture in attacked:
        sample = encrypt_with_truth(encryption, encryption.prepare(picture)[None])
        pieces = split_mosaic(sample.images[0], encryption.encrypted_patch_size)
        kinds, positions = Kinds(pieces, grid_shape(encryption)), sample.positions[0]
        if isinstance(attacker, WholeAttacker):
            result = attacker(sample.images[0])
            put = result.positions, result.turns
            share, chance = neighbours_alike(kinds, put, (positions, sample.turns[0]))
        else:
            scores = np.mean([model(pieces) for model in attacker.models], axis=0)
            share, chance = partners_alike(kinds, scores, positions)
        shares.append(share)
        chances.append(chance)
    return {"shares": shares, "chance": float(np.mean(chances))}


def spread(part: dict[str, Any]) -> str:
    return f"{np.mean(part['shares']):.3f} ± {standard_error(part['shares']):.3f}"


def rendered(runs: list[dict[str, Any]]) -> str:
    if not runs:
        return "Not measured yet."
    heads = ["pictures", "setting", "fitted on photographs", "fitted on the same kind", "chance"]
    order = sorted(runs, key=lambda run: (KINDS.index(run["kind"]), CHOSEN.index(run["setting"])))
    return table(
        heads,
        [
            [
                run["kind"],
                run["setting"],
                spread(run["photographs"]),
                spread(run["own"]),
                f"{run['own']['chance']:.2g}",
            ]
            for run in order
        ],
    )


def main() -> None:
    measure_and_publish(MARK, parse_arguments(), measure, rendered)


if __name__ == "__main__":
    main()
