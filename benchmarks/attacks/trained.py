"""What attackers that learn from other pictures get back, setting by setting.

    python benchmarks/attacks/trained.py --data_dir ../shared/data

Trains each attacker on photographs that are not attacked (12 of Kodak's, 12 of scikit-image's, 26 of COCO's;
six of them only follow the training), then attacks Kodak photographs 4 to 15 (centre crops, 224x224), each
encrypted afresh. Some are trained on aligned pictures instead: 80 faces of scikit-image's LFW subset, made
96x96 pixels; 20 others are attacked. The solver and the smoothness prior, which learn nothing, attack the
same pictures for comparison; recovery from gradients needs no training either. Writes
`benchmarks/results/trained_attacks.json` as results come (what is there is not measured again), then the
tables of `docs/attacks.md` and `docs/images/reconstructions.png`. Times are processor seconds of one core;
about 80 minutes in all, an hour of it for the settings of the preset `dense`.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.attacks.trained_table import MARK, SHEET_ROWS, draw_sheet, picture_file, rendered
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import ROOT, publish
from benchmarks.harness.photographs import divide
from benchmarks.harness.results_file import load_results, save_part
from benchmarks.harness.settings import BOTH, HARDENED, SIDE, mixing, shuffling
from hipmr_hf import Encryption, RandomShuffling
from hipmr_hf.attacks.base import AttackResult, EncryptedSample, encrypt_with_truth, split_mosaic
from hipmr_hf.attacks.gradients.leakage import gradient_leakage
from hipmr_hf.attacks.jigsaw.solver import JigsawAttack
from hipmr_hf.attacks.mixing.decoder import train_mixing_decoder
from hipmr_hf.attacks.mixing.inversion import invert_mixing
from hipmr_hf.attacks.trained.position import PositionAttacker, train_position
from hipmr_hf.attacks.trained.reconstruction import train_reconstruction
from hipmr_hf.attacks.trained.training_crops import TrainingCrops
from hipmr_hf.metrics.likeness import likeness
from hipmr_hf.privacy_report.records import picture_scores

FACE_SIZE, FACES = 96, 100
FOLLOWED = 6
"""Training pictures that are left out to follow the training."""
ABOUT = {
    "command": "python benchmarks/attacks/trained.py",
    "data": "Kodak photographs, shorter side resized to 224, centre crop; faces of scikit-image's LFW subset",
}


class Trained(NamedTuple):
    """An attacker, the settings that it is trained for, and its processor seconds of training."""

    train: Callable
    encryption: Encryption
    seconds: float
    faces: bool = False


class Untrained(NamedTuple):
    """An attacker that learns nothing, on the same pictures."""

    encryption: Encryption
    faces: bool = False


class Leak(NamedTuple):
    """A model whose gradients are attacked."""

    position_encoding: str
    image_size: int
    hidden_size: int
    batch: int = 1
    steps: int = 0
    images: int = 12


def _face(**knobs) -> RandomShuffling:
    return shuffling(image_size=FACE_SIZE, **knobs)


EXPERIMENTS: dict[str, Trained | Untrained | Leak] = {
    "transformer: RS": Trained(train_reconstruction, shuffling(), 300),
    "solver: RS": Untrained(shuffling()),
    "transformer: RS+MI, symmetries, normalization": Trained(train_reconstruction, shuffling(**HARDENED), 60),
    "solver: RS+MI, symmetries, normalization": Untrained(shuffling(**HARDENED)),
    "transformer: MI": Trained(train_reconstruction, mixing(), 40),
    "decoder: MI": Trained(train_mixing_decoder, mixing(), 100),
    "smoothness prior: MI": Untrained(mixing()),
    "decoder: MI, normalization": Trained(train_mixing_decoder, mixing(patch_normalization=True), 40),
    "decoder: MI, symmetries": Trained(train_mixing_decoder, mixing(sub_patch_symmetries=True), 40),
    "decoder: MI, symmetries, normalization": Trained(train_mixing_decoder, mixing(**BOTH), 80),
    "decoder: MI, symmetries, tones apart": Trained(
        train_mixing_decoder, mixing(sub_patch_symmetries=True, shuffle_tones=True), 3600
    ),
    "transformer: faces, RS": Trained(train_reconstruction, _face(), 60, faces=True),
    "transformer: faces, RS+MI, symmetries, normalization": Trained(
        train_reconstruction, _face(**HARDENED), 40, faces=True
    ),
    "position: faces, RS": Trained(train_position, _face(), 25, faces=True),
    "position: faces, RS, interval 4": Trained(train_position, _face(interval=4), 25, faces=True),
    "position: faces, RS+MI, symmetries, normalization": Trained(
        train_position, _face(**HARDENED), 25, faces=True
    ),
    "position: photographs, RS, interval 4": Trained(train_position, shuffling(interval=4), 45),
    "gradients: ViT with positions, hidden size 384": Leak("absolute", 224, 384),
    "gradients: ViT with positions, hidden size 192": Leak("absolute", 224, 192),
    "gradients: ViT with positions, hidden size 384, 8 images": Leak("absolute", 224, 384, batch=8),
    "gradients: PEViT, 9 patches": Leak("reference", 48, 192),
    "gradients: PEViT, 16 patches": Leak("reference", 64, 192, images=4),
    "gradients: PEViT without reference, 9 patches, matched": Leak("none", 48, 64, steps=300, images=4),
    "gradients: PEViT, 196 patches": Leak("reference", 224, 192, images=4),
}


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(__doc__, results=MARK, only="names of experiments", report="write the tables")
    parser.add_argument("--pictures", type=Path, default=ROOT / "build" / "trained_attacks")
    parser.add_argument("--time", type=float, default=1.0, help="factor on the seconds of training")
    return parser.parse_args()


def load_faces() -> list[np.ndarray]:
    """Aligned grey faces, 25x25, enlarged: uint8 (96, 96, 3)."""
    from skimage.data import lfw_subset

    faces = []
    for face in lfw_subset()[:FACES]:
        grey = Image.fromarray(np.rint(face * 255).astype(np.uint8))
        enlarged = grey.resize((FACE_SIZE, FACE_SIZE), Image.Resampling.BICUBIC)
        faces.append(np.asarray(enlarged.convert("RGB")))
    return faces


def shuffled(pictures: list[np.ndarray]) -> list[np.ndarray]:
    """Put pictures into an order that is the same in every run."""
    return [pictures[index] for index in np.random.default_rng(0).permutation(len(pictures))]


class Collections:
    """Who is attacked, who is learned from, and who follows the training."""

    def __init__(self, data_dir: Path):
        self.attacked, others = divide(data_dir, "photos_skimage", "coco128_free_train")
        self.others, self.faces = shuffled(others), shuffled(load_faces())

    def parts(self, faces: bool) -> tuple[dict[int, np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """Attacked, learned from, followed."""
        if faces:
            learned = self.faces[: FACES - 20]
            return dict(enumerate(self.faces[FACES - 20 :])), learned[FOLLOWED:], learned[:FOLLOWED]
        return self.attacked, self.others[FOLLOWED:], self.others[:FOLLOWED]


def train(experiment: Trained, collections: Collections, factor: float) -> Any:
    _, learned, followed = collections.parts(experiment.faces)
    size = (FACE_SIZE, FACE_SIZE) if experiment.faces else (SIDE, SIDE)
    return experiment.train(
        experiment.encryption,
        TrainingCrops(learned, size, aligned=experiment.faces),
        cpu_seconds=experiment.seconds * factor,
        validation=TrainingCrops(followed, size, aligned=experiment.faces, seed=1),
    )


def attack_once(
    attacker: Any, encryption: Encryption, sample: EncryptedSample, plain: np.ndarray
) -> AttackResult:
    """Let one attacker have one picture; None is the one that learns nothing."""
    encrypted, order = sample.images[0], sample.positions
    if attacker is not None:
        return attacker(encrypted, order[0] if isinstance(attacker, PositionAttacker) else plain)
    if order is None:
        return invert_mixing(encrypted, encryption, plain)
    return JigsawAttack(encryption)(encrypted, order[0])


def measure_pictures(
    name: str, experiment: Trained | Untrained, collections: Collections, args: argparse.Namespace
) -> dict:
    """Train an attacker, if it learns, and attack every picture with it."""
    attacker = train(experiment, collections, args.time) if isinstance(experiment, Trained) else None
    attacked, runs = collections.parts(experiment.faces)[0], []
    prepared = {index: experiment.encryption.prepare(picture) for index, picture in attacked.items()}
    for (index, plain), other in zip(
        prepared.items(), np.roll(list(prepared.values()), 1, axis=0), strict=True
    ):
        sample = encrypt_with_truth(experiment.encryption, plain[None])
        result = attack_once(attacker, experiment.encryption, sample, plain)
        runs.append(record(index, result, plain, guess(attacker, plain, other)))
        if name.startswith("position"):
            runs[-1]["solver"] = solver_scores(attacker, experiment.encryption, sample)
        if index in SHEET_ROWS and not experiment.faces:
            save_pictures(args.pictures, name, index, plain, sample.images[0], result.reconstruction)
    effort = {} if attacker is None else attacker.effort
    return {"training": effort, "curve": [] if attacker is None else attacker.curve, "runs": runs}


def guess(attacker: Any, plain: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """What needs no attack: one grey, and for likeness another picture or the mean of those learned from."""
    guesses = [other, *([attacker.mean_image] if hasattr(attacker, "mean_image") else [])]
    grey = np.broadcast_to(np.rint(plain.mean(axis=(0, 1))).astype(np.uint8), plain.shape)
    alike = max(likeness(one, plain)["likeness"] for one in guesses)
    return {**picture_scores(grey, plain), "likeness": alike}


def record(index: int, result: AttackResult, plain: np.ndarray, guessed: dict[str, float]) -> dict:
    """What is kept of one attack on one picture."""
    return {
        "image": index,
        "scores": {**result.scores, **picture_scores(result.reconstruction, plain)},
        "chance": {**guessed, **result.chance},
        "cpu_seconds": round(result.cpu_seconds, 3),
        "search_limited": result.search_limited,
    }


def solver_scores(
    attacker: PositionAttacker, encryption: RandomShuffling, sample: EncryptedSample
) -> dict[str, float]:
    """What the jigsaw solver finds, alone and helped by the network."""
    encrypted, truth = sample.images[0], sample.positions[0]
    solver = JigsawAttack(encryption, rounds=1)
    unary = attacker.log_probabilities(split_mosaic(encrypted, encryption.encrypted_patch_size))
    found = {"alone": solver(encrypted, truth), "helped": solver(encrypted, truth, unary=unary)}
    return {
        f"{name}_{score}": result.scores[score]
        for name, result in found.items()
        for score in ("neighbour", "direct")
    }


def measure_leak(leak: Leak, collections: Collections) -> dict:
    """Attack the gradients of an untrained classifier of encrypted photographs, a fresh one for each run."""
    import torch

    from hipmr_hf.models import PEViTConfig, PEViTForImageClassification

    encryption = shuffling(image_size=leak.image_size)
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
        result = gradient_leakage(model, images, labels, steps=leak.steps)
        runs.append({"image": index, "scores": result.scores, "chance": result.chance})
        runs[-1] |= {"cpu_seconds": round(result.cpu_seconds, 3), "method": result.effort["method"]}
    return {"training": leak._asdict(), "runs": runs}


def save_pictures(folder: Path, name: str, index: int, *pictures: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for kind, picture in zip(("plain", "encrypted", "found"), pictures, strict=True):
        Image.fromarray(picture).save(picture_file(folder, name, index, kind))


def measure(args: argparse.Namespace) -> None:
    """Run every experiment that has no result yet."""
    collections, results = Collections(args.data_dir), load_results(args.results, "experiments")
    for name, experiment in EXPERIMENTS.items():
        if name in results or (args.only and name not in args.only):
            continue
        if isinstance(experiment, Leak):
            results[name] = measure_leak(experiment, collections)
        else:
            results[name] = measure_pictures(name, experiment, collections, args)
        in_order = {known: results[known] for known in EXPERIMENTS if known in results}
        save_part(args.results, "experiments", in_order, **ABOUT)
        print(f"measured {name}", flush=True)


def main() -> None:
    args = parse_arguments()
    if not args.report:
        measure(args)
    results = load_results(args.results, "experiments")
    if not (args.report or args.only) and EXPERIMENTS.keys() <= results.keys():
        draw_sheet(args.pictures, results)
    publish(MARK, rendered(results), args.results)


if __name__ == "__main__":
    main()
