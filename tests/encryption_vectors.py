"""Known answers that Python and JavaScript share: settings, a picture that both can draw, and what comes out.

`python tests/encryption_vectors.py` adds those that `tests/vectors/encryption.json` lacks. What stands there
is frozen: stored data depend on it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from hipmr_hf import Encryption, MixingUp, RandomShuffling, Sides

VECTORS = Path(__file__).resolve().parent / "vectors" / "encryption.json"
KEY = hashlib.sha256(b"a key for vectors").digest()

# (height, width): wide, tall, small enough to be enlarged, and extreme enough to be cut before it is resized.
SHAPES = [(97, 140), (160, 75), (41, 37), (33, 2300)]
HARD = {"sub_patch_symmetries": True, "patch_normalization": True}
APART = {"sub_patch_symmetries": True, "shuffle_tones": True}


def draw_picture(height: int, width: int, seed: int) -> np.ndarray:
    """Flat squares, ramps and noise, by whole numbers alone: uint8 (height, width, 3)."""
    # state -> 1664525 * state + 1013904223 modulo 2**32, all at once
    powers = np.cumprod(np.full(height * width * 3, 1664525, np.uint32), dtype=np.uint32)
    sums = np.cumsum(np.append(np.uint32(1), powers[:-1]), dtype=np.uint32)
    states = powers * np.uint32(seed) + np.uint32(1013904223) * sums
    noise = (states >> 24).reshape(height, width, 3) & 127
    row, column, channel = np.ogrid[:height, :width, :3]
    ramps = ((7 * row + 3 * column + 50 * channel) & 127) + noise
    flat = ((row >> 4) + (column >> 4)) % 3 == 0
    return np.where(flat, 60 * channel + 20, ramps).astype(np.uint8)


def encryptions() -> dict[str, Encryption]:
    """Every setting of both strategies, alone and together."""
    rs, mi = {"image_size": 64, "patch_size": 16}, {"image_size": 64, "patch_size": 16}
    found: dict[str, Encryption] = {
        "rs": RandomShuffling(**rs),
        "rs of another shape": RandomShuffling(image_size=(48, 96), patch_size=8),
        "rs of four patches": RandomShuffling(image_size=32, patch_size=16),
        "rs of three patches": RandomShuffling(image_size=(16, 48), patch_size=16),
        "rs of four patches, tones": RandomShuffling(image_size=32, patch_size=16, **APART),
        "rs of six patches, tones, drop": RandomShuffling(
            image_size=(16, 24), patch_size=8, drop_ratio=0.34, shuffle_tones=True
        ),
        "rs, preset of photographs": RandomShuffling(interval=4, sub_patch_grid=2, **HARD),
        "rs, interval": RandomShuffling(**rs, interval=4),
        "rs, a tiny drop": RandomShuffling(**rs, drop_ratio=0.00001),
        "rs, drop": RandomShuffling(image_size=(48, 80), patch_size=8, interval=2, drop_ratio=0.3),
        "rs, half dropped": RandomShuffling(image_size=(24, 40), patch_size=8, drop_ratio=0.5),
        "rs, symmetries": RandomShuffling(**rs, sub_patch_symmetries=True),
        "rs, normalization": RandomShuffling(**rs, patch_normalization=True),
        "rs, tones": RandomShuffling(**rs, shuffle_tones=True),
        "rs, tones, drop": RandomShuffling(**rs, drop_ratio=0.25, interval=2, **APART),
        "rs+mi": RandomShuffling(**rs, sub_patch_grid=2),
        "rs+mi of a grid of 3": RandomShuffling(
            image_size=64, patch_size=8, interval=2, sub_patch_grid=3, **HARD
        ),
        "rs+mi, tones": RandomShuffling(**rs, sub_patch_grid=4, **APART),
        "mi": MixingUp(**mi),
        "mi of its own size": MixingUp(patch_size=8),
        "mi of another shape": MixingUp(image_size=(96, 32), patch_size=8, sub_patch_symmetries=True),
        "mi, normalization": MixingUp(**mi, patch_normalization=True),
        "mi, hardened": MixingUp(**mi, sub_patch_grid=4, **HARD),
        "mi of a grid of 5": MixingUp(patch_size=10, sub_patch_grid=5, **HARD),
        "mi, tones": MixingUp(**mi, **APART),
        "mi, tones of few patches": MixingUp(image_size=(16, 64), patch_size=16, shuffle_tones=True),
        "mi, sides": MixingUp(image_size=Sides(48), patch_size=16, **APART),
        "mi, both sides": MixingUp(image_size=Sides(64, 100), patch_size=8, **HARD),
    }
    return found


def new_vectors() -> list[dict[str, Any]]:
    vectors = []
    for name, encryption in encryptions().items():
        for seed, (height, width) in enumerate(SHAPES):
            nonce = hashlib.sha256(f"{name} {seed}".encode()).digest()[:16]
            secret = {"key": KEY.hex(), "nonce": nonce.hex()} if encryption.draws_randomness else {}
            vector = {"name": name, "settings": encryption.to_dict(), **secret}
            vector |= {"picture": {"height": height, "width": width, "seed": seed}}
            vectors.append(vector | answer(vector))
    return vectors


def answer(vector: dict[str, Any]) -> dict[str, Any]:
    """What Python makes of a vector: the size, and the SHA-256 of the bytes row by row, RGB."""
    encryption = Encryption.from_dict(vector["settings"])
    image = encryption.prepare(draw_picture(**vector["picture"]))
    secret = {}
    if "key" in vector:
        nonces = [bytes.fromhex(vector["nonce"])]
        secret = {"key": bytes.fromhex(vector["key"]), "nonces": nonces, "remember_nonces": False}
    encrypted = encryption.encrypt_batch(image[None], **secret)[0]
    return {"size": list(encrypted.shape[:2]), "sha256": hashlib.sha256(encrypted.tobytes()).hexdigest()}


if __name__ == "__main__":
    frozen = json.loads(VECTORS.read_text()) if VECTORS.exists() else []
    known = {(vector["name"], vector["picture"]["seed"]) for vector in frozen}
    frozen += [vector for vector in new_vectors() if (vector["name"], vector["picture"]["seed"]) not in known]
    VECTORS.parent.mkdir(exist_ok=True)
    VECTORS.write_text("[\n" + ",\n".join(json.dumps(vector) for vector in frozen) + "\n]\n")
