"""What an attacker makes of a picture under a model's settings, for the page of sealed upload.

The picture is an example that anybody may see. It is attacked when the page is built, by attackers that know
the settings alone and learned nothing; those that learn find more.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from hipmr_hf.errors import MissingExtraError
from hipmr_hf.hub.preset_figures import MEASURES, figures_of, preset_of

if TYPE_CHECKING:
    from hipmr_hf import Encryption
    from hipmr_hf.attacks.base import AttackResult, EncryptedSample

FOLDER = "example"
STEPS = 3000  # of the solver for a patch, as in a quick audit


def scene() -> Image.Image:
    """A drawn scene of 640x480 pixels: nobody's photograph."""
    picture = Image.new("RGB", (640, 480), (150, 200, 240))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((470, 40, 570, 140), fill=(250, 210, 70))
    draw.polygon([(0, 330), (180, 150), (330, 330)], fill=(110, 120, 150))
    draw.polygon([(200, 330), (400, 190), (640, 330)], fill=(90, 100, 130))
    draw.rectangle((0, 320, 640, 480), fill=(80, 150, 80))
    draw.rectangle((260, 260, 400, 400), fill=(190, 90, 70))
    draw.polygon([(240, 260), (330, 190), (420, 260)], fill=(120, 50, 40))
    draw.rectangle((310, 330, 350, 400), fill=(70, 50, 40))
    for x in range(20, 240, 55):
        draw.rectangle((x + 18, 380, x + 26, 430), fill=(100, 70, 40))
        draw.ellipse((x, 330, x + 44, 390), fill=(40, 110, 50))
    noise = np.random.default_rng(0).integers(-6, 7, (480, 640, 3))
    return Image.fromarray((np.asarray(picture).astype(int) + noise).clip(0, 255).astype(np.uint8))


def show_what_is_left(encryption: Encryption, folder: Path, picture: Image.Image) -> dict[str, Any]:
    """Attack a picture, and write it plain, encrypted and attacked into a folder.

    Returns:
        The files' names and what was found, in a sentence.
    """
    from hipmr_hf.attacks.base import encrypt_with_truth

    plain = encryption.prepare(np.asarray(picture.convert("RGB")))
    sample = encrypt_with_truth(encryption, plain[None])
    found, said = _attack(encryption, sample, plain)
    shown = {"plain": plain, "sealed": sample.images[0]}
    if found is not None:
        shown["attacked"] = found.reconstruction
    folder.mkdir(parents=True)
    for name, pixels in shown.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return {**{name: f"{folder.name}/{name}.png" for name in shown}, "said": said}


def _attack(
    encryption: Encryption, sample: EncryptedSample, plain: np.ndarray
) -> tuple[AttackResult | None, str]:
    more = "Attackers that learn from other pictures find more."
    tones = encryption.patch_normalization or encryption.shuffle_tones
    try:
        if encryption.strategy == "rs" and encryption.encrypted_patch_size > 1:
            from hipmr_hf.attacks.jigsaw.solver import JigsawAttack

            result = JigsawAttack(encryption, steps=STEPS)(sample.images[0], sample.positions[0])
            share, chance = result.scores["neighbour"], result.chance["neighbour"]
            turns = " and turns no piece" if encryption.sub_patch_symmetries else ""
            return result, (
                f"A jigsaw solver that knows the settings alone{turns} put {share:.0%} of the neighbours in "
                f"this example side by side; chance is {chance:.1%}. {more}"
            )
        if encryption.strategy == "mi" and not (tones or encryption.sub_patch_symmetries):
            from hipmr_hf.attacks.mixing.inversion import invert_mixing

            result = invert_mixing(sample.images[0], encryption, plain)
            return result, (
                "Smoothing that knows the settings alone drew this example again, "
                f"{result.scores['psnr']:.1f} dB PSNR from plain. {more}"
            )
    except MissingExtraError as error:
        return None, f"No attacker was tried when this page was built: {error}"
    return None, f"For these settings no attacker is at hand that learned nothing. {more}"


def measured_figures(encryption: Encryption) -> dict[str, Any] | None:
    """What was measured for a model's settings: the preset that they are, and a row for each figure."""
    preset = preset_of(encryption)
    figures = figures_of(preset) if preset else {}
    if not figures:
        return None
    rows = [
        [MEASURES[name], figure.said, figure.beside, figure.measured_on, figure.command]
        for name, figure in figures.items()
    ]
    return {"preset": preset, "rows": rows}
