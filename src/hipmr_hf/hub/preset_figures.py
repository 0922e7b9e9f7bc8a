"""What was measured under each preset: figures with the command of each, as `preset_figures.json` has them.

`python benchmarks/attacks/presets.py` writes that file from the stored results of the benchmarks. What was
not measured is not in it.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..encryption.preset_table import PRESETS

if TYPE_CHECKING:
    from ..encryption.base import Encryption

PLACE = Path(__file__).parent / "preset_figures.json"

MEASURES = {
    "adjacent": "left to the worst attacker, pairs put side by side that truly were",
    "partner": "left to one who turns pieces, patches whose best partner is a true neighbour",
    "drawn": "left to a decoder that was trained, likeness of what it draws",
    "linked": "linkage, pictures found by another of the same scene, beside it",
    "person": "linkage, people found among 40 through five labelled encrypted pictures of each",
    "faces": "recognised at most, in the encrypted picture or what an attacker made of it: faces identified",
    "words": "the same: words read",
    "scenes": "the same: scenes retrieved",
    "accuracy": "accuracy, measured at 64 pixels only",
}
"""What is told of a preset, by the name of the figure."""

BY_SIZE = {
    "rs": "after a minute of preparing at most, pairs put side by side that truly were, by size",
    "mi": "after a minute of training (longer may draw more), likeness of what a decoder draws, by size",
}
"""What is told of a preset at several sizes, by its strategy."""

_OF_ORDER, _OF_SCENES = ("adjacent", "partner"), ("drawn",)
_NOT_MEASURED = "not measured"


@dataclasses.dataclass(frozen=True)
class Figure:
    """One measured figure.

    Args:
        value: a share.
        said: the share in words.
        beside: what to read it with, such as "chance .005".
        measured_on: which pictures, of which size.
        command: that measures it.
    """

    value: float
    said: str
    beside: str
    measured_on: str
    command: str

    def told(self) -> str:
        """Say all of it in a line.

        Example:
            >>> Figure(0.051, ".05", "chance .005", "12 photographs", "python some.py").told()
            '.05 (chance .005; 12 photographs; python some.py)'
        """
        return f"{self.said} ({self.beside}; {self.measured_on}; {self.command})"


@functools.cache
def _stored(part: str) -> dict[str, dict[str, Figure]]:
    presets = json.loads(PLACE.read_text(encoding="utf-8"))[part]
    return {
        preset: {name: Figure(**figure) for name, figure in figures.items()}
        for preset, figures in presets.items()
    }


def figures_of(preset: str) -> dict[str, Figure]:
    """Return what was measured under a preset, by the names of `MEASURES`.

    Example:
        >>> set(figures_of("classification")) <= set(MEASURES)
        True
    """
    return _stored("presets").get(preset, {})


def figures_by_size(preset: str) -> dict[int, Figure]:
    """Return what a short attack found under a preset, by pixels a side.

    Read them beside each other: a longer attack finds more (`figures_of`).

    Example:
        >>> list(figures_by_size("classification"))
        [64, 224, 384]
    """
    return {int(size): figure for size, figure in _stored("sizes").get(preset, {}).items()}


def measures_of(preset: str) -> dict[str, str]:
    """Return the part of `MEASURES` that says something of a preset.

    Order is found where patches are shuffled, the scene is drawn where they keep their places.

    Example:
        >>> sorted(measures_of("dense").keys() ^ measures_of("paper-rs").keys())
        ['adjacent', 'drawn', 'partner']
    """
    other = _OF_SCENES if PRESETS[preset].strategy == "rs" else _OF_ORDER
    return {measure: said for measure, said in MEASURES.items() if measure not in other}


def told(preset: str, measure: str) -> str:
    """Say a figure of a preset in a line, or that there is none.

    Example:
        >>> told("classification", "weight")
        'not measured'
    """
    figure = figures_of(preset).get(measure)
    return _NOT_MEASURED if figure is None else figure.told()


def told_by_size(preset: str) -> str:
    """Say in a line what a short attack found under a preset at each size.

    Example:
        >>> told_by_size("reversible").split(", ")[0]
        '64 pixels .94 (chance .056)'
    """
    figures = figures_by_size(preset)
    if not figures:
        return _NOT_MEASURED
    sizes = ", ".join(f"{size} pixels {one.said} ({one.beside})" for size, one in figures.items())
    last = list(figures.values())[-1]
    return f"{sizes}; {last.measured_on} each; {last.command}"


def preset_of(encryption: Encryption) -> str | None:
    """Name the preset that an encryption is, at whatever size; None if it is none.

    Example:
        >>> from hipmr_hf import Encryption, RandomShuffling
        >>> preset_of(Encryption.from_preset("strongest", 64)), preset_of(RandomShuffling(interval=2))
        ('strongest', None)
    """
    knobs = ("sub_patch_grid", "sub_patch_symmetries", "patch_normalization", "shuffle_tones", "drop_ratio")
    here = {name: getattr(encryption, name, 0) for name in knobs}
    interval = getattr(encryption, "interval", 0)
    for name, preset in PRESETS.items():
        there = {**dict.fromkeys(knobs, 0), "sub_patch_grid": 1, **preset.knobs}
        same_gap = interval == preset.interval * encryption.patch_size
        if encryption.strategy == preset.strategy and same_gap and here == there:
            return name
    return None


def preset_sentence(encryption: Encryption) -> str:
    """Say, to be put behind another sentence, which preset the settings are.

    Nothing is said of settings that are none, nor of weak ones, which a name would make look better.

    Example:
        >>> from hipmr_hf import Encryption
        >>> preset_sentence(Encryption.from_preset("strongest"))
        ' These are the settings of the preset `strongest`.'
        >>> preset_sentence(Encryption.from_preset("paper-mi"))
        ''
    """
    name = preset_of(encryption)
    if name is None or preset_that_leaves_less(encryption) is not None:
        return ""
    return f" These are the settings of the preset `{name}`."


def preset_that_leaves_less(encryption: Encryption) -> str | None:
    """Name the preset for the same use that leaves an attacker less; None if the settings are as strong.

    As strong are those that turn patches, take their tones away or deal them out, and, where patches are
    shuffled, also mix them and lose half of their width between them, or mix with a grid of 4.

    Example:
        >>> from hipmr_hf import MixingUp, RandomShuffling
        >>> preset_that_leaves_less(RandomShuffling(interval=4)), preset_that_leaves_less(MixingUp())
        ('classification', 'dense')
        >>> print(preset_that_leaves_less(RandomShuffling.from_preset("strongest")))
        None
    """
    shuffled = encryption.strategy == "rs"
    strong = encryption.sub_patch_symmetries and (encryption.shuffle_tones or encryption.patch_normalization)
    if shuffled:
        apart = encryption.sub_patch_grid > 1 and 2 * encryption.interval >= encryption.patch_size
        strong = strong and (apart or encryption.sub_patch_grid >= 4)
    if strong:
        return None
    return "classification" if shuffled else "dense"
