"""Attack encrypted images without any truth: what an outsider can do, and cannot measure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..attacks.jigsaw.solver import JigsawAttack
from .records import ORDER, PICTURE, AttackRecord

if TYPE_CHECKING:
    from ..attacks.base import AttackResult
    from ..encryption.base import Encryption
    from ..encryption.mixing_up import MixingUp
    from .bench import Effort
    from .progress import Progress


def attack_blindly(
    images: Sequence[np.ndarray], encryption: Encryption, effort: Effort, seed: int, progress: Progress
) -> tuple[list[AttackRecord], dict[str, str]]:
    """Run the attackers that need no plain image.

    Args:
        images: uint8 (height, width, 3) each, encrypted.
        encryption: their settings.
        effort: how hard to try.
        seed: of the search.
        progress: told of every image.

    Returns:
        Records with pictures and without scores, and reasons for what was left out.
    """
    left_out = {"all others": "they need plain images to learn from or to be measured against"}
    if encryption.strategy == "rs":
        if encryption.encrypted_patch_size < 2:
            return [], {"jigsaw": "encrypted patches are one pixel wide and have no borders", **left_out}
        attack = JigsawAttack(encryption, rounds=effort.rounds, steps=effort.steps, seed=seed)
        results = [_told(progress, "jigsaw", attack, image) for image in images]
        energies = [round(result.energy, 1) for result in results]
        told = {"attack": "jigsaw", "title": "a jigsaw solver, handcrafted", "kind": ORDER}
        effort_told = {**results[0].effort, "log_odds_of_the_layouts": energies}
        return [_record(results, effort_told, **told)], left_out
    if encryption.patch_normalization or encryption.sub_patch_symmetries or encryption.shuffle_tones:
        reason = "with symmetries, normalization or tones apart the mean is no known linear map of the image"
        return [], {"mixing_inversion": reason, **left_out}
    results = [_told(progress, "mixing_inversion", _Inversion(encryption, effort), image) for image in images]
    told = {"attack": "mixing_inversion", "title": "inversion under a smoothness prior", "kind": PICTURE}
    return [_record(results, results[0].effort, **told)], left_out


@dataclasses.dataclass(frozen=True)
class _Inversion:
    encryption: MixingUp
    effort: Effort

    def __call__(self, image: np.ndarray) -> AttackResult:
        from ..attacks.mixing.inversion import invert_mixing

        return invert_mixing(image, self.encryption, steps=self.effort.smoothing_steps)


def _told(
    progress: Progress, name: str, attack: JigsawAttack | _Inversion, image: np.ndarray
) -> AttackResult:
    progress.start(name.replace("_", " "))
    return attack(image)


def _record(results: Sequence[AttackResult], effort: dict, **told: str) -> AttackRecord:
    return AttackRecord(
        knows="the settings alone",
        measure="",
        scores={},
        chance={},
        effort=effort,
        cpu_seconds=float(np.mean([result.cpu_seconds for result in results])),
        pictures=[result.reconstruction for result in results],
        **told,
    )
