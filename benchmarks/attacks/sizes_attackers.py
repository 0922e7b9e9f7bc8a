"""The attackers of `sizes.py`: each is prepared for one encryption for a short time, and attacks photographs.

Which one fits follows from the settings: patches that are turned or mixed are put together by what no turn
changes, whole turned ones by their sides, whole ones that keep their turn by the jigsaw solver, and what
keeps its place is drawn by a decoder.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.attacks.trained import FOLLOWED, guess, shuffled
from benchmarks.attacks.turned import CROPS, TREES, crops_to_fit
from benchmarks.attacks.whole import CROPS as WHOLE_CROPS
from benchmarks.attacks.whole import SEARCH
from benchmarks.harness.attacking import compile_solver
from hipmr_hf import Encryption, MixingUp, RandomShuffling
from hipmr_hf.attacks.base import EncryptedSample, encrypt_with_truth
from hipmr_hf.attacks.jigsaw.solver import JigsawAttack
from hipmr_hf.attacks.jigsaw_turned.attacker import fit_turned
from hipmr_hf.attacks.jigsaw_whole.attacker import cannot_be_whole, fit_whole
from hipmr_hf.attacks.mixing.decoder import train_mixing_decoder
from hipmr_hf.attacks.trained.training_crops import TrainingCrops
from hipmr_hf.metrics.likeness import likeness

TRAINING = 60.0
"""Processor seconds that a decoder is trained for; `trained.py` gives it 100, or an hour."""
SCORES = ("partner", "adjacent")

Found = dict[str, Any]
Photographs = list[np.ndarray]


def attacked_by_what_fits(
    encryption: Encryption, learned_from: Photographs, attacked: dict[int, np.ndarray]
) -> Found:
    """Prepare the attacker that fits an encryption on some photographs, and let it attack others.

    Returns:
        The attacker's name, processor seconds of preparing it, the number of patches, and of every photograph
        what was found, what chance finds and processor seconds.
    """
    name, prepare = _fitting(encryption)
    started = time.process_time()
    attack, about = prepare(encryption, learned_from)
    record = {"attacker": name, "fitting_seconds": time.process_time() - started, **about}
    plain = {number: encryption.prepare(photo) for number, photo in attacked.items()}
    others = np.roll(list(plain.values()), 1, axis=0)
    images = []
    for (number, picture), other in zip(plain.items(), others, strict=True):
        sample = encrypt_with_truth(encryption, picture[None])
        images.append({"image": number, **attack(sample, picture, other)})
    patches = (_side(encryption) // encryption.patch_size) ** 2
    return {**record, "patches": patches, "images": images}


def _side(encryption: Encryption) -> int:
    return int(np.max(encryption.image_size))


def _fitting(encryption: Encryption) -> tuple[str, Callable]:
    if isinstance(encryption, MixingUp):
        return "decoder", _decoder
    assert isinstance(encryption, RandomShuffling)
    if not encryption.sub_patch_symmetries and encryption.sub_patch_grid == 1:
        compile_solver()  # before the clock runs
        return "solver", _solver
    return ("whole", _whole) if cannot_be_whole(encryption) is None else ("turned", _turned)


def _turned(encryption: RandomShuffling, photos: Photographs) -> tuple[Callable, Found]:
    attacker = fit_turned(encryption, crops_to_fit(photos, CROPS, side=_side(encryption)), trees=TREES)

    def attack(sample: EncryptedSample, *_: np.ndarray) -> Found:
        return _order(attacker(sample.images[0], sample.positions[0]))

    return attack, {}


def _whole(encryption: RandomShuffling, photos: Photographs) -> tuple[Callable, Found]:
    crops = crops_to_fit(photos, CROPS, side=_side(encryption))[:WHOLE_CROPS]
    attacker = fit_whole(encryption, crops, trees=0, **SEARCH)

    def attack(sample: EncryptedSample, *_: np.ndarray) -> Found:
        return _order(attacker(sample.images[0], sample.positions[0], sample.turns[0]))

    return attack, {}


def _order(result: Any) -> Found:
    found = {name: result.scores[name] for name in SCORES}
    return {"cpu_seconds": result.cpu_seconds, **found, "chance": result.chance["adjacent"]}


def _solver(encryption: RandomShuffling, photos: Photographs) -> tuple[Callable, Found]:
    """The solver as `jigsaw.py` runs it, which learns nothing; no patch is dropped, so Nc is of all pairs."""
    solver = JigsawAttack(encryption)

    def attack(sample: EncryptedSample, *_: np.ndarray) -> Found:
        result = solver(sample.images[0], sample.positions[0])
        found = {"adjacent": result.scores["neighbour"], "chance": result.chance["neighbour"]}
        return {"cpu_seconds": result.cpu_seconds, **found}

    return attack, {}


def _decoder(encryption: MixingUp, photos: Photographs) -> tuple[Callable, Found]:
    """The decoder of `trained.py`, of the same photographs; nobody looks on, so nothing is followed."""
    crops = TrainingCrops(shuffled(photos)[FOLLOWED:], (_side(encryption),) * 2)
    decoder = train_mixing_decoder(encryption, crops, cpu_seconds=TRAINING)

    def attack(sample: EncryptedSample, plain: np.ndarray, other: np.ndarray) -> Found:
        result = decoder(sample.images[0])
        drawn = likeness(result.reconstruction, plain)["likeness"]
        chance = guess(None, plain, other)["likeness"]
        return {"cpu_seconds": result.cpu_seconds, "likeness": drawn, "chance": chance}

    return attack, {"training": decoder.effort}
