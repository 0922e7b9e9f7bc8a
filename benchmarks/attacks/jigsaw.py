"""What a jigsaw solver and a smoothness prior get back from encrypted photographs, setting by setting.

    python benchmarks/attacks/jigsaw.py --data_dir ../shared/data --first 4 --images 12

Encrypts Kodak photographs (centre crops, 224x224), attacks each image by itself, writes
`benchmarks/results/jigsaw_attack.json` as the results come (a started table is gone on with), puts the tables
into docs/attacks.md and draws `docs/images/jigsaw_contact_sheet.png`. The attacker knows the settings, never
the permutation; its weights were fitted on other photographs. Times are processor seconds of one core,
compiling excluded.
"""

import argparse
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness.arguments import script_parser
from benchmarks.harness.attacking import compile_solver
from benchmarks.harness.figures import Cell, contact_sheet
from benchmarks.harness.pages import IMAGES, publish
from benchmarks.harness.photographs import ATTACKED, collection, jpeg_file
from benchmarks.harness.results_file import load_results, save_part
from benchmarks.harness.settings import HARDENED, MIXED, SIDE, TONES_APART, mixing, shuffling
from benchmarks.harness.tables import table
from hipmr_hf import Encryption
from hipmr_hf.attacks.base import encrypt_with_truth, join_patches, split_mosaic
from hipmr_hf.attacks.jigsaw.solver import JigsawAttack
from hipmr_hf.attacks.jigsaw.weights import weights_for
from hipmr_hf.attacks.mixing.inversion import invert_mixing
from hipmr_hf.images.reading import read_image
from hipmr_hf.images.writing import encode_image

MARK = "jigsaw_attack"
SETTINGS: dict[str, Encryption] = {
    "RS, patch 28 (positive control)": shuffling(patch_size=28),
    "RS, patch 16": shuffling(),
    "RS, patch 16, drop .25": shuffling(drop_ratio=0.25),
    "RS, patch 16, drop .5": shuffling(drop_ratio=0.5),
    "RS, patch 16, interval 2": shuffling(interval=2),
    "RS, patch 16, interval 4": shuffling(interval=4),
    "RS, patch 16, interval 8": shuffling(interval=8),
    "RS, patch 16, interval 2, drop .25": shuffling(interval=2, drop_ratio=0.25),
    "RS, patch 16, normalization": shuffling(patch_normalization=True),
    "RS+MI, patch 16": shuffling(**MIXED),
    "RS+MI, patch 16, normalization": shuffling(**MIXED, patch_normalization=True),
    "RS+MI, patch 16, symmetries": shuffling(**MIXED, sub_patch_symmetries=True),
    "RS+MI, patch 16, symmetries, normalization": shuffling(**HARDENED),
    "RS, patch 16, symmetries, tones apart": shuffling(**TONES_APART),
    "RS, patch 16, interval 4, symmetries, tones apart": shuffling(interval=4, **TONES_APART),
    "RS, patch 16, interval 8, symmetries, tones apart": shuffling(interval=8, **TONES_APART),
    "RS+MI, patch 16, symmetries, tones apart": shuffling(**MIXED, **TONES_APART),
    "RS+MI, patch 16, interval 4, symmetries, tones apart": shuffling(interval=4, **MIXED, **TONES_APART),
    "RS+MI, patch 16, interval 8, symmetries, tones apart": shuffling(interval=8, **MIXED, **TONES_APART),
    "RS+MI, patch 16, grid 4, symmetries, tones apart": shuffling(sub_patch_grid=4, **TONES_APART),
    "MI, patch 16 (tile)": mixing(),
    "MI, patch 16 (total variation)": mixing(),
}
JITTER = 40
"""Grey levels by which a patch's brightness is shifted, up or down; no setting of ours, often proposed."""


def jpeg_full_colour(pixels: np.ndarray) -> np.ndarray:
    """Store an image as `hipmr encrypt --image-format jpeg` does, and read it again."""
    return read_image(encode_image(pixels, "jpeg", jpeg_quality=95))


def jitter(pixels: np.ndarray) -> np.ndarray:
    """Shift the brightness of every patch of 16 by a random amount."""
    pieces = split_mosaic(pixels, 16)
    shifts = np.random.default_rng().uniform(-JITTER, JITTER, (len(pieces), 1, 1, 1))
    shifted = np.clip(np.round(pieces + shifts), 0, 255).astype(np.uint8)
    return join_patches(shifted, np.arange(len(pieces)), (SIDE // 16, SIDE // 16))


# What befalls an encrypted image on its way, and the attacker who is prepared for it.
STORED: dict[str, tuple[Callable[[np.ndarray], np.ndarray], JigsawAttack]] = {
    "RS, patch 16, JPEG 95, full colour": (jpeg_full_colour, JigsawAttack(shuffling(), image_format="jpeg")),
    "RS, patch 16, JPEG 95, 4:2:0": (
        lambda pixels: read_image(jpeg_file(pixels, 95)),
        JigsawAttack(shuffling(), image_format="jpeg420"),
    ),
    "RS, patch 16, JPEG 75, 4:2:0": (
        lambda pixels: read_image(jpeg_file(pixels, 75)),
        JigsawAttack(shuffling(), image_format="jpeg420"),
    ),
    # Weights for normalised patches do not look at offsets.
    f"RS, patch 16, brightness jitter {JITTER}": (
        jitter,
        JigsawAttack(shuffling(), weights_for(shuffling(patch_normalization=True))),
    ),
}
SHEET_SETTINGS = [
    "RS, patch 16",
    "RS+MI, patch 16, symmetries, normalization",
    "MI, patch 16 (total variation)",
]
SHEET_COLUMNS = [
    "plain",
    "RS, patch 16:\nencrypted",
    "… and what the\njigsaw solver makes of it",
    "RS+MI, symmetries,\nnormalization: encrypted",
    "… and the solver's\nbest attempt",
    "MI, patch 16:\nencrypted",
    "… and after total-\nvariation inversion",
]


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(__doc__, results=MARK, only="names of settings", report="the tables")
    parser.add_argument("--sheet", type=Path, default=IMAGES / "jigsaw_contact_sheet.png")
    parser.add_argument(
        "--first", type=int, default=ATTACKED.start, help="first photograph; the solver was tuned on 0 to 3"
    )
    parser.add_argument("--images", type=int, default=len(ATTACKED), help="photographs, of the 24 there are")
    parser.add_argument("--rounds", type=int, default=3, help="annealing runs of the solver")
    parser.add_argument("--sheet_rows", type=int, nargs="*", default=[4, 6, 14, 22], help="photographs drawn")
    return parser.parse_args()


def attack(name: str, encryption: Encryption, photo: np.ndarray, rounds: int) -> tuple[np.ndarray, object]:
    """Encrypt one photograph with fresh randomness and attack it: the encrypted image and the result."""
    plain = encryption.prepare(photo)
    sample = encrypt_with_truth(encryption, plain[None])
    encrypted = sample.images[0]
    if sample.positions is None:
        steps = 0 if "tile" in name else 100
        return encrypted, invert_mixing(encrypted, encryption, plain, steps=steps)
    return encrypted, JigsawAttack(encryption, rounds=rounds)(encrypted, sample.positions[0])


def attack_stored(name: str, photo: np.ndarray, rounds: int) -> object:
    """Encrypt one photograph, let happen to it what the name says, and attack it."""
    storage, prepared = STORED[name]
    encryption = prepared.encryption
    sample = encrypt_with_truth(encryption, encryption.prepare(photo)[None])
    solver = dataclasses.replace(prepared, rounds=rounds)
    return solver(storage(sample.images[0]), sample.positions[0])


def measure(args: argparse.Namespace, photos: list[np.ndarray]) -> None:
    """Attack every photograph under every setting that has no result yet, one photograph at a time."""
    compile_solver()
    settings = load_results(args.results, "settings")
    command = f"python benchmarks/attacks/jigsaw.py --first {args.first} --images {args.images}"
    data = "Kodak photographs, shorter side resized to 224, centre crop 224x224"
    about = {"command": f"{command} --rounds {args.rounds}", "data": data}
    for index in range(args.first, min(args.first + args.images, len(photos))):
        for name in (*SETTINGS, *STORED):
            runs = settings.setdefault(name, [])
            if (args.only and name not in args.only) or any(run["image"] == index for run in runs):
                continue
            if name in STORED:
                result = attack_stored(name, photos[index], args.rounds)
            else:
                _, result = attack(name, SETTINGS[name], photos[index], args.rounds)
            record = {"image": index, "scores": result.scores, "chance": result.chance}
            record |= {"cpu_seconds": result.cpu_seconds, "search_limited": result.search_limited}
            runs.append(record | {"effort": result.effort})
            save_part(args.results, "settings", settings, **about)
        print(f"photograph {index}", flush=True)


def mean(runs: list[dict], group: str, name: str) -> float:
    return float(np.mean([run[group][name] for run in runs]))


def _order_row(name: str, runs: list[dict]) -> list[object]:
    names = ("pair_top1", "neighbour", "direct", "largest_component")
    shares = [f"{mean(runs, 'scores', score):.2f}" for score in names]
    limited = np.mean([run["search_limited"] for run in runs])
    chance = f"{mean(runs, 'chance', 'neighbour'):.3f}"
    return [name, len(runs), *shares, chance, _seconds(runs), f"{limited:.0%}"]


def _likeness_row(name: str, runs: list[dict]) -> list[object]:
    scores = [f"{mean(runs, 'scores', 'psnr'):.1f}", f"{mean(runs, 'scores', 'ssim'):.2f}"]
    return [name, len(runs), *scores, f"{mean(runs, 'chance', 'psnr'):.1f}", _seconds(runs)]


def _seconds(runs: list[dict]) -> str:
    return f"{np.mean([run['cpu_seconds'] for run in runs]):.1f}"


def rendered(settings: dict[str, list[dict]]) -> str:
    """Render means over photographs: a table of the order recovered, and one of the likeness recovered."""
    measured = [(name, runs) for name, runs in settings.items() if runs]
    order = [_order_row(*one) for one in measured if "neighbour" in one[1][0]["scores"]]
    likeness = [_likeness_row(*one) for one in measured if "neighbour" not in one[1][0]["scores"]]
    order_heads = ("setting", "n", "top-1", "Nc", "Dc", "Lc", "chance (Nc)", "CPU s", "search-limited")
    likeness_heads = ("setting", "n", "PSNR, dB", "SSIM", "one grey: PSNR", "CPU s")
    return f"{table(order_heads, order)}\n\n{table(likeness_heads, likeness)}"


def sheet_row(photo: np.ndarray, rounds: int) -> list[Cell]:
    """The seven pictures of one photograph, and what is written under each."""
    cells = [Cell(shuffling().prepare(photo))]
    for name in SHEET_SETTINGS:
        encrypted, result = attack(name, SETTINGS[name], photo, rounds)
        scores = result.scores
        if "neighbour" in scores:
            note = f"neighbours {scores['neighbour']:.0%}, in place {scores['direct']:.0%}"
        else:
            note = f"{scores['psnr']:.1f} dB, SSIM {scores['ssim']:.2f}"
        cells += [Cell(encrypted), Cell(result.reconstruction, note)]
    return cells


def main() -> None:
    args = parse_arguments()
    if not args.report:
        photos = [np.asarray(photo) for photo in collection(args.data_dir, "photos_kodak")]
        measure(args, photos)
        if args.sheet_rows:
            rows = [sheet_row(photos[i], args.rounds) for i in args.sheet_rows if i < len(photos)]
            contact_sheet(args.sheet, SHEET_COLUMNS, rows, width=2.2, font=11, dpi=90)
    publish(MARK, rendered(load_results(args.results, "settings")), args.results)


if __name__ == "__main__":
    main()
