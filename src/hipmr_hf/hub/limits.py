"""What attackers recovered from each encryption, in sentences for cards.

Pieces put together and pictures drawn are the most that any attacker found, as `worst_found` has it. Linkage
comes from `benchmarks/attacks/linkage.py`: 62 photographs, and crops of 24. Tests keep the figures equal to
the results. All are lower bounds of what leaks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..encryption.recognisable import size_rule
from .preset_figures import figures_of, preset_of, preset_that_leaves_less
from .worst_found import EXACTLY, Worst, worst_found

if TYPE_CHECKING:
    from ..encryption.base import Encryption

CANDIDATES = 62
PHOTOGRAPHS = 12
"""That are attacked as a rule; of fewer, the number is told."""
_LEARNED = {
    "solver": "",
    "fitted": " that was fitted to the settings",
    "trained": " that was trained for the settings",
}


class Linked(NamedTuple):
    """What was linked by the colours of patches alone.

    Attributes:
        photographs: found among `CANDIDATES`, of as many.
        half: share of crops whose other crop, which overlaps by half, was found among 24 photographs'.
        apart: the same where they do not overlap; chance is .042.
    """

    photographs: int
    half: float
    apart: float


LINKED = {
    "plain": Linked(62, 1.00, 0.79),
    "RS": Linked(62, 1.00, 0.79),
    "RS, symmetries": Linked(62, 1.00, 0.79),
    "RS, interval of a quarter patch": Linked(62, 1.00, 0.83),
    "RS, drop .5": Linked(62, 1.00, 0.71),
    "RS+MI": Linked(62, 1.00, 0.75),
    "RS+MI, symmetries, normalization": Linked(62, 0.96, 0.42),
    "RS+MI, grid 4, symmetries, normalization": Linked(61, 0.83, 0.50),
    "RS+MI, interval of half a patch, symmetries, tones apart": Linked(62, 1.00, 0.79),
    "MI": Linked(62, 1.00, 0.75),
    "MI, symmetries, normalization": Linked(62, 0.92, 0.50),
    "MI, symmetries, tones apart": Linked(62, 1.00, 0.71),
}
"""By row of the benchmark."""
_PRESET_ROWS = {
    "classification": "RS+MI, interval of half a patch, symmetries, tones apart",
    "dense": "MI, symmetries, tones apart",
    "strongest": "RS+MI, grid 4, symmetries, normalization",
    "reversible": "RS, symmetries",
}
_ON_TONES = (
    "Tones (brightness, colour and contrast of a patch) are only dealt to other patches of the same picture. "
    "The palette stays as it was, and pictures can be linked by it. Part of the tones can be dealt back to "
    "the textures that they fit."
)


_ON_MASKS = (
    "**Masks are public.** They are published as they are and show the outline of the scene: what is in it, "
    "where, and in which shape, pixel by pixel of the encrypted picture. No setting hides that."
)


def what_is_not_protected(encryption: Encryption, *, keyed: bool = False, masks: bool = False) -> list[str]:
    """Return what images with these settings give away, a sentence each.

    Args:
        encryption: the settings.
        keyed: the permutations can be drawn again with a key.
        masks: maps of classes are published beside the images.

    Example:

        >>> from hipmr_hf import RandomShuffling
        >>> print(what_is_not_protected(RandomShuffling())[0])
        A jigsaw solver puts back all of the neighbouring patches (chance .005): the picture, or large ...
    """
    said = [_on_puzzles(encryption) if encryption.strategy == "rs" else _on_thumbnails(encryption)]
    said += [_ON_TONES] if encryption.shuffle_tones else []
    said += [_ON_MASKS] if masks else []
    said += [
        _on_linkage(encryption),
        _on_candidates(encryption),
        _on_recognition(encryption),
        "All figures are lower bounds for 224 x 224 photographs with patches of 16 pixels; a better attacker "
        "recovers more, and aligned content (portraits, scans in one pose) is protected less.",
        "Labels and every other column are published as they are, and so is the number of images.",
        "A model trained on such images can give away some of them. Only training with differential privacy "
        "(DP-SGD) limits that.",
        "Use it together with access control and with encryption in transit and at rest, not in their place.",
    ]
    if keyed:
        said.append("Whoever gets the key gets every picture that the settings do not destroy.")
    return said


def what_leaves_less(encryption: Encryption) -> str | None:
    """Return which preset leaves an attacker less, and how much; None if the settings are as strong.

    Example:

        >>> from hipmr_hf import Encryption, RandomShuffling
        >>> what_leaves_less(RandomShuffling())[:23]
        '--preset classification'
        >>> what_leaves_less(Encryption.from_preset("classification")) is None
        True
    """
    preset = preset_that_leaves_less(encryption)
    if preset is None:
        return None
    figures = figures_of(preset)
    if "adjacent" in figures:
        said = figures["adjacent"].said
        return f"--preset {preset} ({said} of the pairs that an attacker puts together are true)"
    return f"--preset {preset} (likeness {figures['drawn'].said} of what an attacker draws)"


def what_viewers_see(encryption: Encryption) -> str:
    """Return what is left to the eye, with no attack at all.

    Example:

        >>> from hipmr_hf import MixingUp
        >>> what_viewers_see(MixingUp())
        'the eye still sees the scene, small and blurred'
    """
    if encryption.strategy == "rs":
        return "casual viewers do not recognise the scene"
    if encryption.shuffle_tones:
        return "casual viewers see what looks like a shuffled picture, though textures stand in their places"
    if not encryption.patch_normalization:
        return "the eye still sees the scene, small and blurred"
    return "hardly an outline is left" if encryption.sub_patch_symmetries else "a sketch of edges is left"


def _on_puzzles(encryption: Encryption) -> str:
    """Tell what the worst of all attackers put together, and whether it turned pieces."""
    worst = worst_found(encryption)
    found = worst.found
    if found.by == "turned":
        return (
            f"An attacker who turns pieces puts them together so that {_share(found.share)} of the pairs "
            f"side by side truly were ({_chance(found.chance)}; {_measured(worst, encryption)})."
        )
    usual = worst.measured_with == EXACTLY and found.photographs == PHOTOGRAPHS
    how = _chance(found.chance) + ("" if usual else f"; {_measured(worst, encryption)}")
    return (
        f"A jigsaw solver{_LEARNED[found.by]} puts back {_share(found.share)} of the neighbouring patches "
        f"({how}): {_seen(found.share)}."
    )


def _seen(share: float) -> str:
    if share > 0.85:
        return "the picture, or large pieces of it, can be seen again"
    return "large pieces can be seen again" if share > 0.5 else "fragments can be put together"


def _measured(worst: Worst, encryption: Encryption) -> str:
    name = preset_of(encryption) if worst.measured_with == EXACTLY else None
    measured_with = f"the preset {name}" if name else worst.measured_with
    return f"{worst.found.photographs} photographs of 224 pixels, measured with {measured_with}"


def _on_thumbnails(encryption: Encryption) -> str:
    """Tell what is seen without any attack, and how like the picture is what the worst attacker draws."""
    worst = worst_found(encryption)
    return (
        f"Patches keep their places{_outlines(encryption)} What an attacker draws of them has a likeness of "
        f"{_share(worst.found.share)} (1: the picture; another photograph: {_share(worst.found.chance)}; "
        f"{_measured(worst, encryption)})."
    )


def _outlines(encryption: Encryption) -> str:
    # Whoever evens the tones of an image out has what normalization leaves.
    evened = encryption.patch_normalization or encryption.shuffle_tones
    if encryption.sub_patch_symmetries and evened:
        return ", so coarse outlines of the scene can be guessed."
    if encryption.shuffle_tones:
        return ": whoever evens their tones out sees a sketch of the scene's edges."
    if encryption.patch_normalization:
        return ": a sketch of the scene's edges can be seen with no attack."
    return (
        ": a thumbnail of one exact pixel per patch can be read with no attack. The scene is plain, and from "
        "512 pixels on a close-up face can be identified."
    )


def _on_linkage(encryption: Encryption) -> str:
    half, apart = (_share(found) for found in LINKED[_linkage_row(encryption)][1:])
    plain_half, plain_apart = (_share(found) for found in LINKED["plain"][1:])
    return (
        "Pictures of one scene can be linked with nothing put in order: among crops of 24 photographs, "
        f"{half} were matched to another crop that overlaps by half, and {apart} to one beside it (chance "
        f".042, plain crops {plain_half} and {plain_apart}), without any learning. {_on_people(encryption)}"
    )


def _on_candidates(encryption: Encryption) -> str:
    found = LINKED[_linkage_row(encryption)].photographs
    return (
        f"Whoever holds a candidate photograph can confirm it: {found} of {CANDIDATES} were found by the "
        "colours of their patches alone."
    )


def _on_people(encryption: Encryption) -> str:
    preset = preset_of(encryption)
    figure = None if preset is None else figures_of(preset).get("person")
    if figure is None:
        return "People were not measured."
    return (
        f"Of people, {figure.said} were found among 40 ({figure.beside}) by an attacker who holds five "
        "labelled encrypted pictures of each."
    )


def _on_recognition(encryption: Encryption) -> str:
    preset = preset_of(encryption)
    figures = {} if preset is None else figures_of(preset)
    found = [
        f"{figures[name].said} of the {name} ({figures[name].beside})"
        for name in ("faces", "words", "scenes")
        if name in figures
    ]
    if not found:
        told = "Whether faces, words and scenes are recognised was not measured for these settings"
        return f"{told}; `hipmr audit` looks. {size_rule(encryption)}"
    return (
        f"Recognised at most, in encrypted pictures or in what attackers made of them: {', '.join(found)}. "
        f"{size_rule(encryption)}"
    )


def _linkage_row(encryption: Encryption) -> str:
    """Name the row of the benchmark with settings like these, or with those next to them that hide more."""
    preset = preset_of(encryption)
    if preset in _PRESET_ROWS:
        return _PRESET_ROWS[preset]
    mixed = "MI" if encryption.strategy == "mi" else "RS+MI"
    if encryption.patch_normalization:
        return f"{mixed}, symmetries, normalization"
    if mixed == "MI" or encryption.sub_patch_grid > 1:
        return mixed
    if encryption.drop_ratio >= 0.5:
        return "RS, drop .5"
    return "RS, interval of a quarter patch" if encryption.interval else "RS"


def _chance(value: float) -> str:
    return f"chance {value:.3f}".replace(" 0.", " .")


def _share(value: float) -> str:
    return "all" if value >= 0.995 else f"{value:.2f}"[1:]
