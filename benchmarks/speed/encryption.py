"""How fast arrays are encrypted, in GB/s of plain pixels, beside a mere copy of the same array.

    python benchmarks/speed/run_all.py --only encryption

One thread, processor time, permutations from the operating system's entropy included. The copy goes to new
memory, as an encryption's result does.
"""

from collections.abc import Callable

import numpy as np

from benchmarks.harness.by_hand import shuffle_patches
from benchmarks.harness.settings import HARDENED, MIXED, PATCH, SIDE, mixing, shuffling
from benchmarks.harness.timing import Row, interleaved, row
from hipmr_hf import Encryption
from hipmr_hf.encryption import keys

SETTINGS: dict[str, tuple[Encryption, float | None]] = {
    "RS": (shuffling(), 0.45),
    "MI": (mixing(), 0.25),
    "RS+MI": (shuffling(**MIXED), None),
    "RS+MI, symmetries, normalization": (shuffling(**HARDENED), 0.06),
    "RS, symmetries": (shuffling(sub_patch_symmetries=True), 0.06),
    "RS, normalization": (shuffling(patch_normalization=True), 0.06),
    "RS, tones apart": (shuffling(shuffle_tones=True), 0.06),
}
TRIED = {
    "RS": "moving each row by itself in compiled loops took as long, with and without reading the image in "
    "order first, and so did moves of 16 and of 48 bytes at once",
    "MI": "timed apart, moving rows of sub-patches takes 33, adding them 3, dividing 12; numpy takes as long "
    "in all, and moves of 8 bytes instead of a sub-patch's row longer",
    "RS, normalization": "the copy stays in the cache, which makes it faster than one of 256 images; to "
    "sum whole numbers in the first of three passes saves 4 %, and strips of half as many patches cost 2 %",
}
TRIED_ON_ALL = "numpy takes six to ten times as long, and compiled loops patch by patch 1.4 to 2 times"


def shuffle_one_by_one(images: np.ndarray) -> np.ndarray:
    """Shuffle as a user of NumPy would write it, image by image, with NumPy's weak generator."""
    generator = np.random.default_rng()
    return np.stack([shuffle_patches(image, PATCH, generator) for image in images])


def kornia_jigsaw(images: np.ndarray) -> Callable[[], object]:
    """Return a call of kornia's RandomJigsaw on the same images; it takes float tensors only."""
    import torch
    from kornia.augmentation import RandomJigsaw

    torch.set_num_threads(1)
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2).float().contiguous()
    jigsaw = RandomJigsaw(grid=(SIDE // PATCH, SIDE // PATCH), p=1.0)
    return lambda: jigsaw(tensor)


def measure(quick: bool) -> list[Row]:
    """Measure a batch that does not fit into the cache, as large data does, and one that does."""
    if quick:
        return measure_batch(8, repeats=2, others=True)
    return measure_batch(256, repeats=11, others=True) + measure_batch(32, repeats=25, others=False)


def parts(name: str, encryption: Encryption, images: np.ndarray) -> dict[tuple[str, str], Callable]:
    """Return what an encryption does, one after the other, to be timed apart."""
    side, words = SIDE // PATCH, keys.WORD_BYTES * (SIDE // PATCH) ** 2
    draw = encryption._draw(len(images), side, side, None, None)
    found = {"the patches": lambda: encryption._encrypt(images, draw)}
    if encryption.draws_randomness:
        streams = keys.fresh_streams(len(images), words)
        found["entropy"] = lambda: keys.fresh_streams(len(images), words)
        found["an order by sorting it"] = lambda: keys.permutations_from(streams)
        found["all that is drawn"] = lambda: encryption._draw(len(images), side, side, None, None)
    return {(name, part): call for part, call in found.items()}


def reason(name: str, seconds: dict, count: int) -> str:
    """Say what takes how long, as it was measured beside the whole."""
    names = {"copy": "a copy", name: "all"}
    names |= {key: key[1] for key in seconds if key[0] == name}
    told = [f"{what} {np.median(seconds[key]) / count * 1e6:.0f}" for key, what in names.items()]
    return f"in microseconds an image: {', '.join(told)}; {TRIED.get(name, TRIED_ON_ALL)}"


def measure_batch(count: int, *, repeats: int, others: bool) -> list[Row]:
    images = np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
    functions = {"copy": images.copy}
    for name, (encryption, _) in SETTINGS.items():
        functions[name] = lambda encryption=encryption: encryption.encrypt_batch(images)
        functions |= parts(name, encryption, images)
    seconds = interleaved(functions, repeats=repeats)
    options = {"amount": images.nbytes / 1e9, "unit": "GB/s"}
    label = f"{count} images of {SIDE}x{SIDE}"
    copy = (f"a copy of the {count} images", seconds["copy"])
    rows = [row(f"copy, {label}", seconds["copy"], **options)]
    for name, (_, aim) in SETTINGS.items():
        aims = {"aim": aim, "reason": reason(name, seconds, count)}
        rows.append(row(f"{name}, {label}", seconds[name], **options, against=copy, **aims))
    return rows + (rows_beside_others(images, repeats) if others else [])


def rows_beside_others(images: np.ndarray, repeats: int) -> list[Row]:
    """Compare RS with other libraries, in rounds of their own: much memory is new to what runs after them."""
    options = {"amount": images.nbytes / 1e9, "unit": "GB/s"}
    others, rows = {"a NumPy loop over images": lambda: shuffle_one_by_one(images)}, []
    try:
        others["kornia's RandomJigsaw"] = kornia_jigsaw(images)
    except ImportError:
        rows.append({"what": "RS beside kornia's RandomJigsaw", "skipped": "kornia is not installed"})
    shuffling_alone = {"RS": lambda: SETTINGS["RS"][0].encrypt_batch(images)}
    for title, call in others.items():
        seconds = interleaved({**shuffling_alone, title: call}, repeats=repeats)
        what, against = f"RS, {len(images)} images of {SIDE}x{SIDE}", (title, seconds[title])
        rows.append(row(what, seconds["RS"], **options, against=against))
    return rows
