"""What attackers recovered from each encryption, in sentences for cards.

Neighbours and inversions come from `benchmarks/attacks/jigsaw.py`, whose solver never turns a piece, pairs of
pieces that were turned from `benchmarks/attacks/turned.py`: 12 Kodak photographs at 224 x 224 pixels with
patches of 16. Linkage comes from `benchmarks/attacks/linkage.py`: 62 photographs, and crops of 24. Tests
keep the figures equal to the results of both. All are lower bounds of what leaks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..encryption.preset_table import PRESETS
from ..encryption.recognisable import size_rule
from .preset_figures import figures_of, preset_of, preset_that_leaves_less
from .turned_pairs import pairs_put_together

if TYPE_CHECKING:
    from ..encryption.base import Encryption

# Share of true neighbours that a jigsaw solver put back, by interval and drop ratio; chance is .005.
NEIGHBOURS = {
    (0, 0.0): 1.00,
    (2, 0.0): 0.68,
    (4, 0.0): 0.32,
    (8, 0.0): 0.13,
    (0, 0.25): 0.96,
    (0, 0.5): 0.89,
    (2, 0.25): 0.58,
}
# The same for patches that were mixed, by normalization.
MIXED_NEIGHBOURS = {False: 0.33, True: 0.13}
NORMALIZED_NEIGHBOURS = 0.87
CANDIDATES = 62


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
    figure = figures_of(preset).get("adjacent")
    if figure is None:
        return f"--preset {preset} ({PRESETS[preset].left})"
    return f"--preset {preset} ({figure.said} of the pairs that an attacker puts together are true)"


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
    """Tell what was measured to be most: of a solver that learns nothing, or of attackers who turn pieces."""
    pairs, exactly = pairs_put_together(encryption)
    solved = _measured_neighbours(encryption)
    if solved is not None and (solved >= pairs or not exactly):
        return _on_solver(solved)
    name = preset_of(encryption) if exactly else None
    measured_with = (
        f"the preset {name}" if name else "these settings" if exactly else "the next weaker settings"
    )
    return (
        f"An attacker who turns pieces puts them together so that {_share(pairs)} of the pairs side by side "
        f"truly were (chance .019; 12 photographs of 224 pixels, measured with {measured_with})."
    )


def _on_solver(measured: float) -> str:
    if measured > 0.85:
        seen = "the picture, or large pieces of it, can be seen again"
    elif measured > 0.5:
        seen = "large pieces can be seen again"
    else:
        seen = "fragments can be put together, and more by an attacker who was trained for these settings"
    return f"A jigsaw solver puts back {_share(measured)} of the neighbouring patches (chance .005): {seen}."


def _measured_neighbours(encryption: Encryption) -> float | None:
    """What the solver found, which never turns a piece; None where that says little, or was not measured."""
    lost = (encryption.interval, encryption.drop_ratio)
    if encryption.sub_patch_symmetries or encryption.shuffle_tones:
        return None
    if encryption.sub_patch_grid > 1:
        return MIXED_NEIGHBOURS[encryption.patch_normalization]
    if encryption.patch_normalization:
        return NORMALIZED_NEIGHBOURS if lost == (0, 0.0) else None
    return NEIGHBOURS.get(lost)


def _on_thumbnails(encryption: Encryption) -> str:
    # Whoever evens the tones of an image out has what normalization leaves.
    evened = encryption.patch_normalization or encryption.shuffle_tones
    if encryption.sub_patch_symmetries and evened:
        return "Patches keep their places, so coarse outlines of the scene can be guessed."
    if encryption.shuffle_tones:
        return "Patches keep their places: whoever evens their tones out sees a sketch of the scene's edges."
    if encryption.patch_normalization:
        return "Patches keep their places: a sketch of the scene's edges can be seen with no attack."
    return (
        "Patches keep their places: a thumbnail of one exact pixel per patch can be read with no attack. The "
        "scene is plain, and from 512 pixels on a close-up face can be identified. Smoothing makes it "
        "sharper (22.9 dB PSNR)."
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


def _share(value: float) -> str:
    return "all" if value >= 0.995 else f"{value:.2f}"[1:]
