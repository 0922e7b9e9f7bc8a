"""How far encrypted images can be linked: to a photograph, to its other crop, to a class; and shared keys.

    python benchmarks/attacks/linkage.py --data_dir ../shared/data

- same picture: which of about 60 plain photographs an encrypted one shows (centre crops, 224x224).
- same scene: two crops of one Kodak photograph, each encrypted by itself, that overlap by half or not at all
  (they stand in for two pictures of one place). Which of 24 is the other crop?
- same class: the EuroSAT class of an encrypted tile by its nearest encrypted tile of known class.
- people: which of 40 people an encrypted portrait shows, when five others of each are known, encrypted with
  the same settings; for the presets. Here something is learned. `--people` measures this part alone.
- one permutation for many images: neighbours recovered from 1, 10 and 100 EuroSAT tiles that share a
  permutation (the positive control), and from as many that do not (as the encryption does).

But for people nothing is learned. Images are compared by the multiset of their patches' colours; those of
mixing-up, whose patches keep their places, also as thumbnails, and the better of both counts. "Plain" is the
better of both on plain images. Writes `benchmarks/results/linkage.json` and `docs/linkage.md`; `--only` links
under some of the settings anew and keeps what else is stored. About 5 CPU minutes.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from datasets import load_dataset
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.attacks.linkage_people import link_people
from benchmarks.attacks.linkage_table import MARK, rendered
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import publish
from benchmarks.harness.photographs import collection
from benchmarks.harness.results_file import load_results, save_results
from benchmarks.harness.settings import HARDENED, SIDE
from hipmr_hf import Encryption, MixingUp, RandomShuffling
from hipmr_hf.attacks.base import encrypt_with_truth
from hipmr_hf.attacks.jigsaw.shared_permutation import attack_shared_permutation
from hipmr_hf.attacks.jigsaw.solver import JigsawAttack
from hipmr_hf.attacks.linkage import link
from hipmr_hf.metrics.retrieval import retrieval_chance, retrieval_scores

TILE = 64
THUMBNAIL = 32
COUNTS = (1, 10, 100)
TRIALS = 3
_MANY = 100
"""Galleries larger than this are compared by quantiles, which is quicker."""


def settings_for(side: int) -> dict[str, Encryption]:
    """The settings that are compared: patches of 16 for 224x224 images, of 8 for 64x64 tiles."""
    patch = 16 if side == SIDE else 8
    common = {"image_size": side, "patch_size": patch}
    turned = {"sub_patch_symmetries": True}
    return {
        "RS": RandomShuffling(**common),
        "RS, symmetries": RandomShuffling(**common, **turned),
        "RS, interval of a quarter patch": RandomShuffling(**common, interval=patch // 4),
        "RS, drop .5": RandomShuffling(**common, drop_ratio=0.5),
        "RS+MI": RandomShuffling(**common, sub_patch_grid=2),
        "RS+MI, symmetries, normalization": RandomShuffling(**common, **HARDENED),
        "RS+MI, grid 4, symmetries, normalization": RandomShuffling(
            **common, **HARDENED | {"sub_patch_grid": 4}
        ),
        "RS+MI, interval of half a patch, symmetries, tones apart": RandomShuffling(
            **common, **turned, sub_patch_grid=2, interval=patch // 2, shuffle_tones=True
        ),
        "MI": MixingUp(**common),
        "MI, symmetries, normalization": MixingUp(**common, **HARDENED),
        "MI, symmetries, tones apart": MixingUp(**common, **turned, shuffle_tones=True),
    }


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(__doc__, results=MARK, only="names of settings", report="render docs/linkage.md")
    parser.add_argument("--queries", type=int, default=300, help="EuroSAT tiles whose class is asked for")
    parser.add_argument("--gallery", type=int, default=1000, help="EuroSAT tiles of known class")
    parser.add_argument("--people", action="store_true", help="only people, those that are not stored")
    return parser.parse_args()


def two_crops(photo: Image.Image, overlap: float) -> tuple[np.ndarray, np.ndarray]:
    """Cut two squares of 224 pixels out of the middle, along the longer side of a 450x300 picture.

    Args:
        photo: sides in a ratio of 3 to 2.
        overlap: share of a square that the other one shows too.
    """
    landscape = photo if photo.width >= photo.height else photo.transpose(Image.Transpose.ROTATE_90)
    pixels = np.asarray(landscape.resize((450, 300), Image.Resampling.BICUBIC))
    apart = round(SIDE * (1 - overlap))
    top, left = (300 - SIDE) // 2, (450 - SIDE - apart) // 2
    return tuple(pixels[top : top + SIDE, x : x + SIDE].copy() for x in (left, left + apart))


def eurosat(data_dir: Path, split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` tiles, uint8 (count, 64, 64, 3), and their classes."""
    rows = load_dataset("parquet", data_files=str(data_dir / f"eurosat_{split}.parquet"), split="train")
    rows = rows.select(range(count))
    return np.stack([np.asarray(image.convert("RGB")) for image in rows["image"]]), np.array(rows["label"])


def by_thumbnail(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Distances of images shrunk to 32x32 pixels: (num_queries, num_gallery)."""
    size, box = (THUMBNAIL, THUMBNAIL), Image.Resampling.BOX
    first, second = (
        np.stack([np.asarray(Image.fromarray(image).resize(size, box), np.float64).ravel() for image in many])
        for many in (queries, gallery)
    )
    return np.square(first).sum(1)[:, None] + np.square(second).sum(1) - 2 * first @ second.T


def by_patches(queries: np.ndarray, gallery: np.ndarray, encryption: Encryption) -> np.ndarray:
    distance = "nearest" if len(gallery) <= _MANY else "quantiles"
    settings = {"query_encryption": encryption, "gallery_encryption": encryption}
    return link(queries, gallery, **settings, distance=distance).distances


def compare(
    task: str,
    queries: np.ndarray,
    gallery: np.ndarray,
    asked: np.ndarray,
    known: np.ndarray,
    only: list[str] | None = None,
) -> list[dict]:
    """Link queries to the gallery under every setting, both encrypted, and both plain: a record each."""

    def record(name: str, *distances: np.ndarray) -> dict:
        scores = [retrieval_scores(one, asked, known) for one in distances]
        best = max(scores, key=lambda one: one["top1"])
        about = {"task": task, "setting": name, "queries": len(asked), "gallery": len(known)}
        chance = retrieval_chance(asked, known)
        return about | {"top1": best["top1"], "top5": best["top5"], "chance": chance["top1"]}

    records = []
    settings = settings_for(queries.shape[1])
    if not only:
        # A lossless shuffling keeps every patch, so to a multiset it is the plain image.
        plain = by_thumbnail(queries, gallery), by_patches(queries, gallery, settings["RS"])
        records.append(record("plain", *plain))
    for name in only or settings:
        encryption = settings[name]
        started = time.process_time()
        sides = encryption.encrypt_batch(queries), encryption.encrypt_batch(gallery)
        distances = [by_patches(*sides, encryption)]
        if encryption.strategy == "mi":
            distances.append(by_thumbnail(*sides))
        seconds = round(time.process_time() - started, 1)
        records.append(record(name, *distances) | {"cpu_seconds": seconds})
    return records


def share_a_permutation(tiles: np.ndarray) -> list[dict]:
    """Recover neighbours from many tiles under one permutation, and under one each."""
    records = []
    for name in ("RS", "RS, interval of a quarter patch", "RS+MI", "RS+MI, symmetries, normalization"):
        attack = JigsawAttack(settings_for(TILE)[name], rounds=1)
        for shared in (True, False):
            for count in COUNTS:
                results = []
                for trial in range(TRIALS):
                    chosen = tiles[trial * max(COUNTS) :][:count]
                    sample = encrypt_with_truth(attack.encryption, chosen, share_permutation=shared)
                    results.append(attack_shared_permutation(attack, sample.images, sample.positions[0]))
                found = [one.scores["neighbour"] for one in results]
                records.append(
                    {"setting": name, "shared": shared, "images": count, "trials": TRIALS}
                    | {"neighbour": float(np.mean(found)), "spread": float(np.std(found, ddof=1))}
                    | {"chance": results[0].chance["neighbour"], "patches": attack.encryption.num_patches}
                    | {"cpu_seconds": round(float(np.mean([one.cpu_seconds for one in results])), 2)}
                )
    return records


def compare_scenes(data_dir: Path, overlap: float, only: list[str] | None) -> list[dict]:
    """Link two crops of each of Kodak's photographs that overlap by this share."""
    pairs = [two_crops(photo, overlap) for photo in collection(data_dir, "photos_kodak")]
    first, second = (np.stack(side) for side in zip(*pairs, strict=True))
    numbers = np.arange(len(first))
    return compare(f"same scene, overlap {overlap:g}", first, second, numbers, numbers, only)


def link_all(args: argparse.Namespace) -> list[dict]:
    """Link pictures, scenes and classes, under every setting or those of `--only`."""
    photos = collection(args.data_dir, "photos_kodak", "photos_skimage", "coco128_free_train", smallest=SIDE)
    prepare = settings_for(SIDE)["RS"].prepare
    plain = np.stack([prepare(np.asarray(photo)) for photo in photos])
    numbers = np.arange(len(plain))
    records = compare("same picture", plain, plain, numbers, numbers, args.only)
    for overlap in (0.5, 0.0):
        records += compare_scenes(args.data_dir, overlap, args.only)
    queries, asked = eurosat(args.data_dir, "test_1500", args.queries)
    gallery, known = eurosat(args.data_dir, "train_6k", args.gallery)
    return records + compare("same class", queries, gallery, asked, known, args.only)


def merged(stored: list[dict], fresh: list[dict]) -> list[dict]:
    """Put fresh records in the place of stored ones of the same name, in the order of the settings."""
    records = {(one["task"], one["setting"]): one for one in [*stored, *fresh]}
    tasks = list(dict.fromkeys(task for task, _ in records))
    names = ["plain", *settings_for(SIDE)]
    return sorted(records.values(), key=lambda one: (tasks.index(one["task"]), names.index(one["setting"])))


def measure(args: argparse.Namespace) -> dict:
    """Measure everything."""
    tiles, _ = eurosat(args.data_dir, "train_6k", args.gallery)
    shared = share_a_permutation(tiles)
    return {
        "linked": link_all(args),
        "shared_permutation": shared,
        "people": list(link_people(args.data_dir))[-1],
    }


def main() -> None:
    args = parse_arguments()
    if args.people:
        stored = load_results(args.results)
        for records in link_people(args.data_dir, stored.get("people", [])):
            save_results(args.results, stored | {"people": records})
    elif args.only:
        stored = load_results(args.results)
        save_results(args.results, stored | {"linked": merged(stored["linked"], link_all(args))})
    elif not args.report:
        command = f"python benchmarks/attacks/linkage.py --queries {args.queries} --gallery {args.gallery}"
        save_results(args.results, {"command": command} | measure(args))
    publish(MARK, rendered(load_results(args.results)), args.results)


if __name__ == "__main__":
    main()
