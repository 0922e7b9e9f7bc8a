"""How many tones that were dealt out are dealt back: which texture had which tone.

    python benchmarks/attacks/tones_comb.py --data_dir ../shared/data

Pixels are whole numbers. `shuffle_tones` stretches those of a patch by a factor and rounds them, so the
levels of a texture stand apart like the teeth of a comb, and the spacing tells the contrast that the patch
had before. The attacker lays each of a picture's tones on each texture and asks how near to whole numbers
(RS), or to whole sums of sub-patches (mixed), the pixels come. Nothing is learned. A second attacker learns
on other photographs which tones go with which textures (`hipmr_hf.attacks.tones`), and a third adds up the
odds of both. A tone counts as found if it is the texture's own, or equal to it: the likeliest for each
texture, or the likeliest assignment of all tones.

Where patches keep their places (`dense`), a fourth lets the tones around a place speak as well, as much as
helped on photographs that it did not learn from, and draws the picture by what it expects.

Writes `benchmarks/results/tones_comb.json` and its tables of `docs/attacks.md`. About four CPU minutes.
"""

import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import publish
from benchmarks.harness.photographs import divide, random_crop
from benchmarks.harness.results_file import load_results, save_part
from benchmarks.harness.settings import MIXED, SIDE, shuffling
from benchmarks.harness.tables import standard_error, table
from hipmr_hf import Encryption
from hipmr_hf.attacks.base import encrypt_with_truth, join_patches, split_mosaic
from hipmr_hf.attacks.tones.attacker import (
    TonesAttacker,
    assigned,
    fit_tones,
    redrawn,
    shape_of,
    tone_scores,
)
from hipmr_hf.attacks.tones.comb import rounding_odds
from hipmr_hf.attacks.tones.places import balanced
from hipmr_hf.attacks.tones.regression import learned_odds
from hipmr_hf.metrics.likeness import likeness
from hipmr_hf.privacy_report.records import picture_scores

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
    "`dense`: MI, symmetries, tones apart": Encryption.from_preset("dense", SIDE),
}
FOUND = {
    "top1": "likeliest tone by rounding",
    "assigned": "rounding, assigned",
    "learned": "learned, assigned",
    "both": "both, assigned",
    "places": "both and places",
}
DRAWN = {
    "encrypted": "as it is",
    "both": "tones by both",
    "places": "by both and places",
    "true": "by the true tones",
    "another": "another photograph",
}
"""Pictures whose likeness is told, where patches keep their places."""
CROPS = {"rs": 2, "mi": 4}
"""Of each photograph that is learned from."""
ENCRYPTIONS = {"rs": 1, "mi": 10}
"""Of each photograph that is attacked; a run tells their mean, for what is drawn hangs on luck."""


def learn(encryption: Encryption, photos: list[np.ndarray]) -> TonesAttacker:
    """Fit on crops of photographs that are not attacked."""
    rng = np.random.default_rng(0)
    # Every fourth picture is kept by `fit_tones`; so no photograph is both learned from and kept.
    taken = photos[: len(photos) // 4 * 4] * CROPS[encryption.strategy]
    return fit_tones(encryption, [random_crop(Image.fromarray(photo), SIDE, rng) for photo in taken])


def attack(
    encryption: Encryption,
    photo: np.ndarray,
    attacker: TonesAttacker | None = None,
    another: np.ndarray | None = None,
) -> dict:
    """Encrypt a photograph and deal its tones back: shares of the textures that get their own.

    Args:
        encryption: the settings.
        photo: uint8 (height, width, 3).
        attacker: has learned; None for rounding alone.
        another: photograph, whose likeness is told beside that of what is drawn.
    """
    plain = encryption.prepare(photo)
    sample, size = encrypt_with_truth(encryption, plain[None]), encryption.encrypted_patch_size
    patches, own = split_mosaic(sample.images[0], size), sample.tone_holders[0]
    started = time.process_time()
    odds = {"assigned": rounding_odds(patches, encryption.sub_patch_grid**2)}
    found = {"top1": odds["assigned"].argmax(axis=1)}
    if attacker is not None:
        odds["learned"] = learned_odds(patches, attacker.regression)
        odds["both"] = odds["assigned"] + odds["learned"]
    if attacker is not None and attacker.precision is not None:
        odds["places"] = attacker.odds(patches, shape_of(sample.images[0], size))
    found |= {name: assigned(one) for name, one in odds.items()}
    seconds = round(time.process_time() - started, 2)
    scores = {name: tone_scores(one, own, patches) for name, one in found.items()}
    run = {name: one["dealt_back"] for name, (one, _) in scores.items()}
    run |= {"chance": scores["top1"][1]["dealt_back"], "cpu_seconds": seconds}
    if "places" in odds:
        run["distance"] = {name: scores[name][0]["tone_distance"] for name in FOUND}
        run["strength"] = attacker.strength
        run["likeness"] = drawn(encryption, sample.images[0], odds, own, plain)
        run["likeness"]["another"] = likeness(encryption.prepare(another), plain)["likeness"]
    return run


def drawn(
    encryption: Encryption,
    encrypted: np.ndarray,
    odds: dict[str, np.ndarray],
    own: np.ndarray,
    plain: np.ndarray,
) -> dict[str, float]:
    """Likeness of the encrypted picture, and of pictures drawn by the tones that are expected."""
    size = encryption.encrypted_patch_size
    patches, shape = split_mosaic(encrypted, size), shape_of(encrypted, size)
    shares = {name: balanced(odds[name]) for name in ("both", "places")} | {"true": np.eye(len(own))[own]}
    places = np.arange(len(patches))
    pictures = {name: join_patches(redrawn(patches, one), places, shape) for name, one in shares.items()}
    return {
        name: picture_scores(picture, plain)["likeness"]
        for name, picture in {"encrypted": encrypted, **pictures}.items()
    }


def told(values: list[float]) -> str:
    """Mean over photographs, ± standard error."""
    return f"{np.mean(values):.3f} ± {standard_error(values):.3f}"


def rendered(settings: dict[str, list[dict]]) -> str:
    """Table of the shares found, and one of what is drawn, ± standard error over photographs."""
    rows, drawn_rows = [], []
    for name, runs in settings.items():
        shares = [told([run[key] for run in runs]) if key in runs[0] else "-" for key in FOUND]
        chance, seconds = (np.mean([run[key] for run in runs]) for key in ("chance", "cpu_seconds"))
        rows.append([name, len(runs), *shares, f"{chance:.3f}", f"{seconds:.1f}"])
        if "likeness" in runs[0]:
            off = [told([run["distance"][key] for run in runs]) for key in ("both", "places")]
            alike = [told([run["likeness"][key] for run in runs]) for key in DRAWN]
            drawn_rows.append([name, *off, *alike])
    found = table(["setting", "n", *FOUND.values(), "chance", "CPU s"], rows)
    heads = [
        "distance of tones, by both",
        "by both and places",
        *(f"likeness, {one}" for one in DRAWN.values()),
    ]
    return "\n\n".join([found, table(["setting", *heads], drawn_rows)])


def main() -> None:
    parser = script_parser(__doc__, results=MARK, only="names of settings", report="render docs/attacks.md")
    args = parser.parse_args()
    if not args.report:
        attacked, others = divide(args.data_dir, "photos_skimage", "coco128_free_train", smallest=SIDE)
        stored_before = load_results(args.results).get("settings", {})
        measured = {name: stored_before[name] for name in SETTINGS if name in stored_before}
        for name in args.only or SETTINGS:
            measured[name] = measure(SETTINGS[name], attacked, others)
            found = {key: [run[key] for run in measured[name] if key in run] for key in FOUND}
            print(name, {key: round(np.mean(one), 3) for key, one in found.items() if one}, flush=True)
            ordered = {name: measured[name] for name in SETTINGS if name in measured}
            save_part(args.results, "settings", ordered, command="python benchmarks/attacks/tones_comb.py")
    publish(MARK, rendered(load_results(args.results, "settings")), args.results)


def measure(encryption: Encryption, attacked: dict[int, np.ndarray], others: list[np.ndarray]) -> list[dict]:
    """Learn from the others, then attack each."""
    attacker, photos, runs = learn(encryption, others), list(attacked.values()), []
    for number, photo, another in zip(attacked, photos, photos[1:] + photos[:1], strict=True):
        times = range(ENCRYPTIONS[encryption.strategy])
        runs.append(
            {"image": number} | means_of([attack(encryption, photo, attacker, another) for _ in times])
        )
    return runs


def means_of(runs: list[dict]) -> dict:
    """Average numbers of one name over runs, also those in a part of a run."""
    return {
        name: means_of([run[name] for run in runs])
        if isinstance(value, dict)
        else float(np.mean([run[name] for run in runs]))
        for name, value in runs[0].items()
    }


if __name__ == "__main__":
    main()
