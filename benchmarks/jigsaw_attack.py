"""What a jigsaw solver and a smoothness prior get back from encrypted photographs, setting by setting.

    python benchmarks/jigsaw_attack.py --data_dir ../shared/data --first 4 --images 12

Encrypts Kodak photographs (centre crops, 224x224), attacks each image by itself, writes
`benchmarks/results/jigsaw_attack.json` as the results come (a started table is gone on with), prints the
table and draws `docs/images/jigsaw_contact_sheet.png`. The attacker knows the settings, never the
permutation; its weights were fitted on other photographs. Times are processor seconds of one core,
compiling excluded.
"""

import argparse
import dataclasses
import functools
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from datasets import load_dataset
from fit_jigsaw_weights import jpeg_420
from pages import tell
from PIL import Image

from hipmr_hf import Encryption, MixingUp, RandomShuffling
from hipmr_hf.attacks.base import encrypt_with_truth, join_patches, split_mosaic
from hipmr_hf.attacks.jigsaw.solver.solver import JigsawAttack
from hipmr_hf.attacks.jigsaw.weights import weights_for
from hipmr_hf.attacks.mixing.inversion import invert_mixing
from hipmr_hf.images.writing import encode_image

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "jigsaw_attack.json"
SHEET = ROOT / "docs" / "images" / "jigsaw_contact_sheet.png"
SIZE = 224


def _rs(**knobs) -> RandomShuffling:
    return RandomShuffling(**{"image_size": SIZE, "patch_size": 16, **knobs})


HARDENED = _rs(sub_patch_grid=2, sub_patch_symmetries=True, patch_normalization=True)
MI = MixingUp(image_size=SIZE, patch_size=16)
SETTINGS: dict[str, Encryption] = {
    "RS, patch 28 (positive control)": _rs(patch_size=28),
    "RS, patch 16": _rs(),
    "RS, patch 16, drop .25": _rs(drop_ratio=0.25),
    "RS, patch 16, drop .5": _rs(drop_ratio=0.5),
    "RS, patch 16, interval 2": _rs(interval=2),
    "RS, patch 16, interval 4": _rs(interval=4),
    "RS, patch 16, interval 8": _rs(interval=8),
    "RS, patch 16, interval 2, drop .25": _rs(interval=2, drop_ratio=0.25),
    "RS, patch 16, normalization": _rs(patch_normalization=True),
    "RS+MI, patch 16": _rs(sub_patch_grid=2),
    "RS+MI, patch 16, normalization": _rs(sub_patch_grid=2, patch_normalization=True),
    "RS+MI, patch 16, symmetries": _rs(sub_patch_grid=2, sub_patch_symmetries=True),
    "RS+MI, patch 16, symmetries, normalization": HARDENED,
    "MI, patch 16 (tile)": MI,
    "MI, patch 16 (total variation)": MI,
}
JITTER = 40
"""Grey levels by which a patch's brightness is shifted, up or down; no setting of ours, often proposed."""


def jpeg_full_colour(pixels: np.ndarray) -> np.ndarray:
    """Store an image as `hipmr encrypt --image-format jpeg` does, and read it again."""
    return np.asarray(Image.open(io.BytesIO(encode_image(pixels, "jpeg", jpeg_quality=95))).convert("RGB"))


def jitter(pixels: np.ndarray) -> np.ndarray:
    """Shift the brightness of every patch of 16 by a random amount."""
    pieces = split_mosaic(pixels, 16)
    shifts = np.random.default_rng().uniform(-JITTER, JITTER, (len(pieces), 1, 1, 1))
    shifted = np.clip(np.round(pieces + shifts), 0, 255).astype(np.uint8)
    return join_patches(shifted, np.arange(len(pieces)), (SIZE // 16, SIZE // 16))


# What befalls an encrypted image on its way, and the attacker who is prepared for it.
STORED: dict[str, tuple[Callable[[np.ndarray], np.ndarray], JigsawAttack]] = {
    "RS, patch 16, JPEG 95, full colour": (jpeg_full_colour, JigsawAttack(_rs(), image_format="jpeg")),
    "RS, patch 16, JPEG 95, 4:2:0": (
        functools.partial(jpeg_420, quality=95),
        JigsawAttack(_rs(), image_format="jpeg420"),
    ),
    "RS, patch 16, JPEG 75, 4:2:0": (
        functools.partial(jpeg_420, quality=75),
        JigsawAttack(_rs(), image_format="jpeg420"),
    ),
    # Weights for normalised patches do not look at offsets.
    f"RS, patch 16, brightness jitter {JITTER}": (
        jitter,
        JigsawAttack(_rs(), weights_for(_rs(patch_normalization=True))),
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--sheet", type=Path, default=SHEET)
    parser.add_argument(
        "--first", type=int, default=4, help="first photograph; the solver was tuned on 0 to 3"
    )
    parser.add_argument("--images", type=int, default=12, help="photographs, of the 24 there are")
    parser.add_argument("--only", nargs="+", help="names of settings; default all")
    parser.add_argument("--rounds", type=int, default=3, help="annealing runs of the solver")
    parser.add_argument("--sheet_rows", type=int, nargs="*", default=[4, 6, 14, 22], help="photographs drawn")
    parser.add_argument("--report", action="store_true", help="only print the table")
    return parser.parse_args()


def load_photographs(data_dir: Path) -> list[np.ndarray]:
    rows = load_dataset("parquet", data_files=str(data_dir / "photos_kodak.parquet"), split="train")
    return [np.asarray(row["image"].convert("RGB")) for row in rows]


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


def load_results(path: Path) -> dict[str, list[dict]]:
    return json.loads(path.read_text())["settings"] if path.exists() else {}


def save_results(path: Path, settings: dict[str, list[dict]], args: argparse.Namespace) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    command = "python benchmarks/jigsaw_attack.py"
    command += f" --first {args.first} --images {args.images} --rounds {args.rounds}"
    data = "Kodak photographs, shorter side resized to 224, centre crop 224x224"
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps({"command": command, "data": data, "settings": settings}, indent=1) + "\n")
    beside.replace(path)


def measure(args: argparse.Namespace, photos: list[np.ndarray]) -> None:
    """Attack every photograph under every setting that has no result yet, one photograph at a time."""
    # Compile before the clock runs.
    JigsawAttack(_rs(image_size=64), rounds=1, steps=10)(np.zeros((64, 64, 3), np.uint8))
    settings = load_results(args.results)
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
            save_results(args.results, settings, args)
        print(f"photograph {index}", flush=True)


def mean(runs: list[dict], group: str, name: str) -> float:
    return float(np.mean([run[group][name] for run in runs]))


def table(settings: dict[str, list[dict]]) -> str:
    """Render means over photographs as two Markdown tables: order recovered, and likeness recovered."""
    order = [
        "| setting | n | top-1 | Nc | Dc | Lc | chance (Nc) | CPU s | search-limited |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    likeness = ["| setting | n | PSNR, dB | SSIM | one grey: PSNR | CPU s |", "|---|---|---|---|---|---|"]
    for name, runs in settings.items():
        if not runs:
            continue
        seconds = np.mean([run["cpu_seconds"] for run in runs])
        if "neighbour" in runs[0]["scores"]:
            names = ("pair_top1", "neighbour", "direct", "largest_component")
            shares = " | ".join(f"{mean(runs, 'scores', score):.2f}" for score in names)
            limited = np.mean([run["search_limited"] for run in runs])
            chance = mean(runs, "chance", "neighbour")
            order.append(
                f"| {name} | {len(runs)} | {shares} | {chance:.3f} | {seconds:.1f} | {limited:.0%} |"
            )
        else:
            scores = f"{mean(runs, 'scores', 'psnr'):.1f} | {mean(runs, 'scores', 'ssim'):.2f}"
            grey = mean(runs, "chance", "psnr")
            likeness.append(f"| {name} | {len(runs)} | {scores} | {grey:.1f} | {seconds:.1f} |")
    return "\n".join([*order, "", *likeness])


def sheet_row(photo: np.ndarray, rounds: int) -> tuple[list[np.ndarray], list[str]]:
    """The seven pictures of one photograph, and what is written under each."""
    pictures, notes = [_rs().prepare(photo)], [""]
    for name in SHEET_SETTINGS:
        encrypted, result = attack(name, SETTINGS[name], photo, rounds)
        pictures += [encrypted, result.reconstruction]
        if "neighbour" in result.scores:
            scores = result.scores
            note = f"neighbours {scores['neighbour']:.0%}, in place {scores['direct']:.0%}"
        else:
            note = f"{result.scores['psnr']:.1f} dB, SSIM {result.scores['ssim']:.2f}"
        notes += ["", note]
    return pictures, notes


def draw_sheet(photos: list[np.ndarray], args: argparse.Namespace) -> None:
    """Draw the contact sheet, every picture at the same size."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [index for index in args.sheet_rows if index < len(photos)]
    figure, grid = plt.subplots(
        len(rows),
        len(SHEET_COLUMNS),
        figsize=(15.4, 2.45 * len(rows) + 0.35),
        squeeze=False,
        layout="constrained",
    )
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.0, hspace=0.0)
    for axes_row, index in zip(grid, rows, strict=True):
        pictures, notes = sheet_row(photos[index], args.rounds)
        for axes, picture, note in zip(axes_row, pictures, notes, strict=True):
            shown = Image.fromarray(picture).resize((2 * SIZE, 2 * SIZE), Image.Resampling.NEAREST)
            axes.imshow(np.asarray(shown))
            axes.set_xlabel(note, fontsize=9.5)
            axes.set(xticks=[], yticks=[])
            for spine in axes.spines.values():
                spine.set_visible(False)
    for axes, title in zip(grid[0], SHEET_COLUMNS, strict=True):
        axes.set_title(title, fontsize=11)
    args.sheet.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.sheet, dpi=90)


def main() -> None:
    args = parse_arguments()
    photos = load_photographs(args.data_dir)
    if not args.report:
        measure(args, photos)
        if args.sheet_rows:
            draw_sheet(photos, args)
    rendered = table(load_results(args.results))
    print(rendered)
    if args.results == RESULTS:
        tell("jigsaw_attack", rendered)


if __name__ == "__main__":
    main()
