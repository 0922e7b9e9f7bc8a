"""What attackers that learn from other photographs get back, setting by setting.

    python benchmarks/trained_attacks.py --data_dir ../shared/data --first 4 --images 12

Trains each attacker on photographs that are not attacked (12 of Kodak's, 12 of scikit-image's, 26 of COCO's;
six of them only follow the training), then attacks Kodak photographs (centre crops, 224x224), each encrypted
afresh. Position networks are also trained on aligned pictures: 80 faces of scikit-image's LFW subset, made
96x96 pixels; 20 others are attacked. Recovery from gradients needs no training. Writes
`benchmarks/results/trained_attacks.json` as results come (what is there is not measured again), prints the
tables and draws `docs/images/reconstructions.png`. Times are processor seconds of one core.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from datasets import load_dataset
from PIL import Image

from hipmr_hf import Encryption, MixingUp, RandomShuffling
from hipmr_hf.attacks.base import AttackResult, encrypt_with_truth, split_mosaic
from hipmr_hf.attacks.gradient_leakage import gradient_leakage
from hipmr_hf.attacks.jigsaw import JigsawAttack
from hipmr_hf.attacks.mixing_decoder import train_mixing_decoder
from hipmr_hf.attacks.mixing_inversion import invert_mixing
from hipmr_hf.attacks.position import train_position
from hipmr_hf.attacks.reconstruction import train_reconstruction
from hipmr_hf.attacks.training_crops import TrainingCrops

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "trained_attacks.json"
SHEET = ROOT / "docs" / "images" / "reconstructions.png"
SIZE, FACE_SIZE, FACES = 224, 96, 100
FOLLOWED = 6
"""Training photographs that are left out to follow the training."""

BOTH = {"sub_patch_symmetries": True, "patch_normalization": True}


class Trained(NamedTuple):
    """An attacker, the settings that it is trained for, and its processor seconds of training."""

    train: Callable
    encryption: Encryption
    seconds: float
    faces: bool = False


class Leak(NamedTuple):
    """A model whose gradients are attacked."""

    position_encoding: str
    image_size: int
    hidden_size: int
    batch: int = 1
    steps: int = 0
    images: int = 12


def _rs(**knobs) -> RandomShuffling:
    return RandomShuffling(**{"image_size": SIZE, "patch_size": 16, **knobs})


def _mi(**knobs) -> MixingUp:
    return MixingUp(image_size=SIZE, patch_size=16, **knobs)


EXPERIMENTS: dict[str, Trained | Leak] = {
    "reconstruction: RS": Trained(train_reconstruction, _rs(), 45),
    "position: faces, RS": Trained(train_position, _rs(image_size=FACE_SIZE), 25, faces=True),
    "position: faces, RS, interval 4": Trained(
        train_position, _rs(image_size=FACE_SIZE, interval=4), 25, faces=True
    ),
    "gradients: ViT with positions, hidden size 384": Leak("absolute", 224, 384),
    "gradients: ViT with positions, hidden size 192": Leak("absolute", 224, 192),
    "gradients: ViT with positions, hidden size 384, 8 images": Leak("absolute", 224, 384, batch=8),
    "gradients: PEViT, 9 patches": Leak("reference", 48, 192),
    "gradients: PEViT, 16 patches": Leak("reference", 64, 192, images=4),
    "gradients: PEViT without reference, 9 patches, matched": Leak("none", 48, 64, steps=300, images=4),
    "gradients: PEViT, 196 patches": Leak("reference", 224, 192, images=4),
    "decoder: MI": Trained(train_mixing_decoder, _mi(), 120),
    "decoder: MI, symmetries, normalization": Trained(train_mixing_decoder, _mi(**BOTH), 40),
    "reconstruction: RS+MI, symmetries, normalization": Trained(
        train_reconstruction, _rs(sub_patch_grid=2, **BOTH), 40
    ),
    "reconstruction: MI": Trained(train_reconstruction, _mi(), 40),
    "position: photographs, RS, interval 4": Trained(train_position, _rs(interval=4), 45),
    "reconstruction: MI, symmetries, normalization": Trained(train_reconstruction, _mi(**BOTH), 40),
    "decoder: MI, normalization": Trained(train_mixing_decoder, _mi(patch_normalization=True), 40),
    "decoder: MI, symmetries": Trained(train_mixing_decoder, _mi(sub_patch_symmetries=True), 40),
    "reconstruction: RS, interval 4": Trained(train_reconstruction, _rs(interval=4), 40),
}
SHEET_COLUMNS = {
    "plain": None,
    "RS": "reconstruction: RS",
    "RS+MI, symmetries,\nnormalization": "reconstruction: RS+MI, symmetries, normalization",
    "MI": "decoder: MI",
    "MI, symmetries,\nnormalization": "decoder: MI, symmetries, normalization",
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--sheet", type=Path, default=SHEET)
    parser.add_argument("--pictures", type=Path, default=ROOT / "build" / "trained_attacks")
    parser.add_argument("--first", type=int, default=4, help="first photograph that is attacked")
    parser.add_argument("--images", type=int, default=12, help="photographs that are attacked")
    parser.add_argument("--only", nargs="+", help="names of experiments; default all")
    parser.add_argument("--time", type=float, default=1.0, help="factor on the seconds of training")
    parser.add_argument("--sheet_rows", type=int, nargs="+", default=[4, 6, 14], help="photographs drawn")
    parser.add_argument("--report", action="store_true", help="only print the tables")
    return parser.parse_args()


def load_photographs(data_dir: Path, name: str) -> list[np.ndarray]:
    rows = load_dataset("parquet", data_files=str(data_dir / f"{name}.parquet"), split="train")
    return [np.asarray(row["image"].convert("RGB")) for row in rows]


def load_faces() -> list[np.ndarray]:
    """Aligned grey faces, 25x25, enlarged: uint8 (96, 96, 3)."""
    from skimage.data import lfw_subset

    faces = []
    for face in lfw_subset()[:FACES]:
        grey = Image.fromarray(np.rint(face * 255).astype(np.uint8))
        enlarged = grey.resize((FACE_SIZE, FACE_SIZE), Image.Resampling.BICUBIC)
        faces.append(np.asarray(enlarged.convert("RGB")))
    return faces


class Collections:
    """Who is attacked, who is learned from, and who follows the training."""

    def __init__(self, args: argparse.Namespace):
        kodak = load_photographs(args.data_dir, "photos_kodak")
        self.attacked = dict(enumerate(kodak))
        end = args.first + args.images
        others = kodak[: args.first] + kodak[end:]
        for name in ("photos_skimage", "coco128_free_train"):
            others += load_photographs(args.data_dir, name)
        order = np.random.default_rng(0).permutation(len(others))
        self.others = [others[i] for i in order]
        self.attacked = {index: kodak[index] for index in range(args.first, min(end, len(kodak)))}
        faces = load_faces()
        order = np.random.default_rng(0).permutation(len(faces))
        self.faces = [faces[i] for i in order]

    def parts(self, faces: bool) -> tuple[dict[int, np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """Attacked, learned from, followed."""
        if faces:
            learned = self.faces[: FACES - 20]
            return dict(enumerate(self.faces[FACES - 20 :])), learned[FOLLOWED:], learned[:FOLLOWED]
        return self.attacked, self.others[FOLLOWED:], self.others[:FOLLOWED]


def measure_trained(
    name: str, experiment: Trained, collections: Collections, args: argparse.Namespace
) -> dict:
    """Train one attacker and attack every picture with it."""
    attacked, learned, followed = collections.parts(experiment.faces)
    size = (FACE_SIZE, FACE_SIZE) if experiment.faces else (SIZE, SIZE)
    attacker = experiment.train(
        experiment.encryption,
        TrainingCrops(learned, size, aligned=experiment.faces),
        cpu_seconds=experiment.seconds * args.time,
        validation=TrainingCrops(followed, size, aligned=experiment.faces, seed=1),
    )
    runs = []
    for index, picture in attacked.items():
        plain = experiment.encryption.prepare(picture)
        sample = encrypt_with_truth(experiment.encryption, plain[None])
        places = name.startswith("position")
        result = attacker(sample.images[0], sample.positions[0] if places else plain)
        run = record(index, result)
        if places:
            run["solver"] = solver_scores(attacker, experiment.encryption, sample)
        elif name == "decoder: MI":
            run["total_variation"] = invert_mixing(sample.images[0], experiment.encryption, plain).scores
        runs.append(run)
        if index in args.sheet_rows and not experiment.faces:
            save_pictures(args.pictures, name, index, plain, sample.images[0], result.reconstruction)
    return {"training": attacker.effort, "curve": attacker.curve, "runs": runs}


def solver_scores(attacker: Callable, encryption: RandomShuffling, sample: tuple) -> dict[str, float]:
    """What the jigsaw solver finds alone, and with the position network's log-odds."""
    jigsaw = JigsawAttack(encryption, rounds=1)
    encrypted, truth = sample.images[0], sample.positions[0]
    log_probabilities = attacker.log_probabilities(split_mosaic(encrypted, encryption.encrypted_patch_size))
    unary = log_probabilities + np.float32(np.log(log_probabilities.shape[1]))
    found = {"alone": jigsaw(encrypted, truth), "helped": jigsaw(encrypted, truth, unary=unary)}
    return {
        f"{name}_{score}": result.scores[score]
        for name, result in found.items()
        for score in ("neighbour", "direct")
    }


def measure_leak(leak: Leak, collections: Collections) -> dict:
    """Attack the gradients of an untrained classifier of encrypted photographs, a fresh one for each run."""
    import torch

    from hipmr_hf.models import PEViTConfig, PEViTForImageClassification

    encryption = _rs(image_size=leak.image_size)
    photos, runs = list(collections.attacked.items()), []
    config = PEViTConfig(
        hidden_size=leak.hidden_size,
        num_hidden_layers=4,
        num_attention_heads=leak.hidden_size // 64,
        intermediate_size=2 * leak.hidden_size,
        patch_size=16,
        image_size=leak.image_size,
        position_encoding=leak.position_encoding,
        num_labels=10,
    )
    for number, (index, _) in enumerate(photos[: leak.images]):
        torch.manual_seed(number)
        chosen = [photos[(number + offset) % len(photos)][1] for offset in range(leak.batch)]
        images = encryption.encrypt_batch(np.stack([encryption.prepare(photo) for photo in chosen]))
        model = PEViTForImageClassification(config)
        labels = [label % 10 for label in range(leak.batch)]
        runs.append(record(index, gradient_leakage(model, images, labels, steps=leak.steps)))
        runs[-1]["method"] = runs[-1].pop("effort")["method"]
    return {"training": leak._asdict(), "runs": runs}


def record(index: int, result: AttackResult) -> dict:
    record = {"image": index, "scores": result.scores, "chance": result.chance}
    record["cpu_seconds"] = round(result.cpu_seconds, 3)
    return record | ({"effort": result.effort} if result.attack.startswith("gradient") else {})


def save_pictures(folder: Path, name: str, index: int, *pictures: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for kind, picture in zip(("plain", "encrypted", "found"), pictures, strict=True):
        Image.fromarray(picture).save(picture_file(folder, name, index, kind))


def picture_file(folder: Path, name: str, index: int, kind: str) -> Path:
    return folder / f"{name.replace(': ', '-').replace(', ', '-')}_{index}_{kind}.png"


def load_results(path: Path) -> dict[str, dict]:
    return json.loads(path.read_text())["experiments"] if path.exists() else {}


def save_results(path: Path, experiments: dict[str, dict], args: argparse.Namespace) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    command = f"python benchmarks/trained_attacks.py --first {args.first} --images {args.images}"
    data = "Kodak photographs, shorter side resized to 224, centre crop; faces of scikit-image's LFW subset"
    beside = path.with_suffix(".part")
    everything = {"command": command, "data": data, "experiments": experiments}
    beside.write_text(json.dumps(everything, indent=1) + "\n")
    beside.replace(path)


def measure(args: argparse.Namespace) -> None:
    """Run every experiment that has no result yet."""
    collections, results = Collections(args), load_results(args.results)
    for name, experiment in EXPERIMENTS.items():
        if name in results or (args.only and name not in args.only):
            continue
        if isinstance(experiment, Leak):
            results[name] = measure_leak(experiment, collections)
        else:
            results[name] = measure_trained(name, experiment, collections, args)
        save_results(args.results, results, args)
        print(f"measured {name}", flush=True)


def mean(runs: list[dict], group: str, name: str, digits: int) -> str:
    """Mean and standard deviation over runs."""
    values = [run[group][name] for run in runs]
    return f"{np.mean(values):.{digits}f} ± {np.std(values):.{digits}f}"


def likeness_table(results: dict[str, dict]) -> list[str]:
    """Attackers that give a picture."""
    lines = [
        "| attacker: setting | n | PSNR, dB | SSIM | PSNR, aligned | chance: PSNR / SSIM | CPU s, steps |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        runs = result["runs"]
        if "psnr" not in runs[0]["scores"]:
            continue
        effort = result["training"]
        chance = [np.mean([run["chance"][score] for run in runs]) for score in ("psnr", "ssim")]
        scores = " | ".join(
            mean(runs, "scores", score, digits)
            for score, digits in (("psnr", 1), ("ssim", 2), ("psnr_aligned", 1))
        )
        cells = f"{scores} | {chance[0]:.1f} / {chance[1]:.2f}"
        lines.append(f"| {name} | {len(runs)} | {cells} | {effort['cpu_seconds']:.0f}, {effort['steps']} |")
        if "total_variation" in runs[0]:
            prior = [
                mean(runs, "total_variation", *s) for s in (("psnr", 1), ("ssim", 2), ("psnr_aligned", 1))
            ]
            chances = cells.rsplit(" | ", 1)[1]
            lines.append(f"| total variation: MI | {len(runs)} | {' | '.join(prior)} | {chances} | none |")
    return lines


def position_table(results: dict[str, dict]) -> list[str]:
    """Attackers that give places, alone and with the jigsaw solver."""
    lines = [
        "| setting | n | in place (Dc) | chance | Nc: network | solver alone | solver helped | CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        runs = result["runs"]
        if not name.startswith("position"):
            continue
        chance = np.mean([run["chance"]["direct"] for run in runs])
        cells = [
            mean(runs, "scores", "direct", 2),
            f"{chance:.3f}",
            mean(runs, "scores", "neighbour", 2),
            mean(runs, "solver", "alone_neighbour", 2),
            mean(runs, "solver", "helped_neighbour", 2),
            f"{result['training']['cpu_seconds']:.0f}",
        ]
        lines.append(f"| {name.removeprefix('position: ')} | {len(runs)} | {' | '.join(cells)} |")
    return lines


def leak_table(results: dict[str, dict]) -> list[str]:
    """Recovery from gradients."""
    lines = [
        "| gradients of | n | patches recovered | in place | patch PSNR, dB | one grey | method | CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        runs = result["runs"]
        if not name.startswith("gradients"):
            continue
        cells = [mean(runs, "scores", score, 2) for score in ("recovered", "in_place")]
        cells.append(mean(runs, "scores", "patch_psnr", 1))
        cells.append(f"{np.mean([run['chance']['patch_psnr'] for run in runs]):.1f}")
        cells.append(", ".join(sorted({run["method"] for run in runs})))
        cells.append(f"{np.mean([run['cpu_seconds'] for run in runs]):.1f}")
        lines.append(f"| {name.removeprefix('gradients: ')} | {len(runs)} | {' | '.join(cells)} |")
    return lines


def table(results: dict[str, dict]) -> str:
    """Render the three tables in Markdown; ± is the standard deviation over images."""
    parts = (likeness_table(results), position_table(results), leak_table(results))
    return "\n\n".join("\n".join(lines) for lines in parts)


def draw_sheet(args: argparse.Namespace, results: dict[str, dict]) -> None:
    """Draw plain, encrypted and reconstructed photographs, every picture at the same size."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = [(title, name) for title, name in SHEET_COLUMNS.items() if name is None or name in results]
    width = 2 * len(columns) - 1
    figure, grid = plt.subplots(
        len(args.sheet_rows),
        width,
        figsize=(2.0 * width, 2.15 * len(args.sheet_rows) + 0.5),
        squeeze=False,
        layout="constrained",
    )
    for row, index in zip(grid, args.sheet_rows, strict=True):
        cells = iter(row)
        for title, name in columns:
            kinds = ("plain",) if name is None else ("encrypted", "found")
            for kind in kinds:
                axes = next(cells)
                file = picture_file(args.pictures, name or columns[1][1], index, kind)
                picture = Image.open(file).resize((2 * SIZE, 2 * SIZE), Image.Resampling.NEAREST)
                axes.imshow(np.asarray(picture))
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
                if index == args.sheet_rows[0]:
                    axes.set_title(
                        title if kind != "found" else "… and what the\nattacker makes of it", fontsize=9
                    )
                if kind == "found":
                    scores = next(r for r in results[name]["runs"] if r["image"] == index)["scores"]
                    axes.set_xlabel(f"{scores['psnr']:.1f} dB, SSIM {scores['ssim']:.2f}", fontsize=9)
    args.sheet.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.sheet, dpi=80)


def main() -> None:
    args = parse_arguments()
    if not args.report:
        measure(args)
        draw_sheet(args, load_results(args.results))
    print(table(load_results(args.results)))


if __name__ == "__main__":
    main()
