"""How many tones that were dealt out are dealt back: which texture had which tone.

    python benchmarks/attacks/tones_comb.py --data_dir ../shared/data

Pixels are whole numbers. `shuffle_tones` stretches those of a patch by a factor and rounds them, so the
levels of a texture stand apart like the teeth of a comb, and the spacing tells the contrast that the patch
had before. The attacker lays each of a picture's tones on each texture and asks how near to whole numbers
(RS), or to whole sums of sub-patches (RS+MI), the pixels come. Nothing is learned. A second attacker learns
on other photographs which tones go with which textures (`tones_learned.py`), and a third adds up the odds of
both. A tone counts as found if it is the texture's own: the likeliest for each texture, or the likeliest
assignment of all tones.

Writes `benchmarks/results/tones_comb.json` and its table of `docs/attacks.md`. About two CPU minutes.
"""

import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.optimize import linear_sum_assignment

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.attacks import tones_learned
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import publish
from benchmarks.harness.photographs import divide, random_crop
from benchmarks.harness.results_file import load_results, save_part
from benchmarks.harness.settings import MIXED, SIDE, shuffling
from benchmarks.harness.tables import standard_error, table
from hipmr_hf import RandomShuffling
from hipmr_hf.attacks.base import split_mosaic

MARK = "tones_comb"
TURNED = {"sub_patch_symmetries": True}
SETTINGS = {
    "RS, tones apart": shuffling(shuffle_tones=True),
    "RS, symmetries, tones apart": shuffling(shuffle_tones=True, **TURNED),
    "RS, interval 4, symmetries, tones apart": shuffling(shuffle_tones=True, interval=4, **TURNED),
    "RS+MI, symmetries, tones apart": shuffling(shuffle_tones=True, **MIXED, **TURNED),
    "RS+MI, interval 4, symmetries, tones apart": shuffling(
        shuffle_tones=True, interval=4, **MIXED, **TURNED
    ),
    "RS+MI, interval 8, symmetries, tones apart": shuffling(
        shuffle_tones=True, interval=8, **MIXED, **TURNED
    ),
}
FOUND = {
    "top1": "likeliest tone by rounding",
    "assigned": "rounding, assigned",
    "learned": "learned, assigned",
    "both": "both, assigned",
}
CROPS = 2
"""Of each photograph that is learned from."""
WIDEST_NOISE = 0.45
"""Half-width of the rounding noise, in teeth, from which a tooth can no longer be told from its gap."""
FLOOR = 0.05
"""Least deviation from a tooth that is believed, in teeth: the measured tones are rounded too."""
OUTLIERS = 0.02
"""Share of pixels, cut off at black or white, that say nothing."""


def encrypt(encryption: RandomShuffling, plain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Encrypt a prepared picture afresh: its mosaic, and for each patch the one that now has its tone."""
    rows, cols = (side // encryption.patch_size for side in plain.shape[:2])
    # Private on purpose, as in `hipmr_hf.attacks.base`: the encryption shows its orders to nobody.
    draw = encryption._draw(1, rows, cols, None, None)
    textures, tones = draw.permutations[0], draw.tones[0]
    return encryption._encrypt(plain[None], draw)[0], np.argsort(tones)[textures]


def log_odds(patches: np.ndarray, count: int) -> np.ndarray:
    """Tell how much likelier than by chance each texture's pixels stand on the teeth of each tone.

    Args:
        patches: uint8 (num_patches, height, width, channels), with tones dealt out; none was dropped.
        count: sub-patches that were averaged, 1 for RS; plain levels are whole numbers divided by it.

    Returns:
        float (num_patches, num_patches): texture by tone.
    """
    pixels = patches.reshape(len(patches), -1, patches.shape[-1]).astype(float)
    mean, contrast = pixels.mean(axis=1), pixels.std(axis=1)
    narrow = np.maximum(contrast, 1e-3)
    textures = (pixels - mean[:, None]) / narrow[:, None]
    odds = np.empty((len(patches), len(patches)))
    for tone in range(len(patches)):
        teeth = (mean[tone] + contrast[tone] * textures) * count
        beside = np.abs(teeth - np.rint(teeth))
        noise = 0.5 * count * contrast[tone] / narrow  # (num_patches, channels)
        deviation = np.sqrt(noise**2 / 3 + FLOOR**2)[:, None]  # of numbers that were rounded evenly
        on_tooth = 2 * np.exp(-0.5 * (beside / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
        likelier = np.log((1 - OUTLIERS) * on_tooth + 2 * OUTLIERS) - np.log(2)
        odds[:, tone] = np.where(noise[:, None] < WIDEST_NOISE, likelier, 0).sum(axis=(1, 2))
    return odds


def learn(encryption: RandomShuffling, photos: list[np.ndarray]) -> tones_learned.Regression:
    """Fit a regression on crops of photographs that are not attacked."""
    rng, pictures = np.random.default_rng(0), []
    for photo in photos * CROPS:
        mosaic, own = encrypt(encryption, random_crop(Image.fromarray(photo), SIDE, rng))
        pictures.append((split_mosaic(mosaic, encryption.encrypted_patch_size), own))
    return tones_learned.fit(pictures)


def attack(
    encryption: RandomShuffling, photo: np.ndarray, regression: tones_learned.Regression | None = None
) -> dict[str, float]:
    """Encrypt a photograph and deal its tones back: shares of the textures that get their own."""
    mosaic, own = encrypt(encryption, encryption.prepare(photo))
    patches, started = split_mosaic(mosaic, encryption.encrypted_patch_size), time.process_time()
    odds = log_odds(patches, encryption.sub_patch_grid**2)
    found = {"top1": odds.argmax(axis=1), "assigned": linear_sum_assignment(-odds)[1]}
    if regression is not None:
        learned = tones_learned.log_odds(patches, regression)
        found["learned"] = linear_sum_assignment(-learned)[1]
        found["both"] = linear_sum_assignment(-(odds + learned))[1]
    shares = {name: float(np.mean(own == one)) for name, one in found.items()}
    return {**shares, "chance": 1 / len(own), "cpu_seconds": round(time.process_time() - started, 2)}


def rendered(settings: dict[str, list[dict]]) -> str:
    """Table of the shares found, ± standard error over photographs."""
    rows = []
    for name, runs in settings.items():
        found = [[run[key] for run in runs] for key in FOUND]
        shares = [f"{np.mean(one):.3f} ± {standard_error(one):.3f}" for one in found]
        seconds = np.mean([run["cpu_seconds"] for run in runs])
        rows.append([name, len(runs), *shares, f"{runs[0]['chance']:.3f}", f"{seconds:.1f}"])
    return table(["setting", "n", *FOUND.values(), "chance", "CPU s"], rows)


def main() -> None:
    parser = script_parser(__doc__, results=MARK, only="names of settings", report="render docs/attacks.md")
    args = parser.parse_args()
    if not args.report:
        attacked, others = divide(args.data_dir, "photos_skimage", "coco128_free_train", smallest=SIDE)
        stored_before = load_results(args.results).get("settings", {})
        measured = {name: stored_before[name] for name in SETTINGS if name in stored_before}
        for name in args.only or SETTINGS:
            regression = learn(SETTINGS[name], others)
            measured[name] = [
                {"image": number} | attack(SETTINGS[name], photo, regression)
                for number, photo in attacked.items()
            ]
            print(
                name,
                {key: round(np.mean([run[key] for run in measured[name]]), 3) for key in FOUND},
                flush=True,
            )
        ordered = {name: measured[name] for name in SETTINGS if name in measured}
        save_part(args.results, "settings", ordered, command="python benchmarks/attacks/tones_comb.py")
    publish(MARK, rendered(load_results(args.results, "settings")), args.results)


if __name__ == "__main__":
    main()
