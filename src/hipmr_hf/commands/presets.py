"""`hipmr presets`: the settings that have names, what they leave to an attacker and what they cost."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..encryption import Encryption

EPILOG = """\
examples:
  hipmr presets
  hipmr presets --image-size 64
  hipmr encrypt my_pictures --output-dir encrypted --preset dense --image-size 384

Figures are lower bounds, measured on photographs and tiles of the size that they tell; accuracy was measured
at 64 pixels only. Your pictures are another matter, and hipmr audit --preset NAME attacks them. More:
docs/settings.md"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `hipmr presets` takes."""
    parser.add_argument(
        "--image-size",
        type=int,
        nargs="+",
        default=[224],
        metavar="PIXELS",
        help="Size whose settings are listed, or height and width. Default: 224.",
    )


def run(options: argparse.Namespace) -> None:
    """Print a paragraph for each preset."""
    from ..encryption import Encryption
    from ..encryption.preset_table import DEFAULT_PRESET, PRESETS
    from ..hub.preset_figures import BY_SIZE, measures_of, told, told_by_size
    from .settings_arguments import size_from

    size = size_from(options.image_size) or 224
    paragraphs = []
    for name, preset in PRESETS.items():
        default = " (the default)" if name == DEFAULT_PRESET else ""
        lines = [f"{name}{default}: {preset.purpose}"]
        lines.append(f"settings: {flags(Encryption.from_preset(name, size))}")
        lines.append(f"left to an attacker: {preset.left}")
        lines += [f"{said}: {told(name, measure)}" for measure, said in measures_of(name).items()]
        lines.append(f"{BY_SIZE[preset.strategy]}: {told_by_size(name)}")
        paragraphs.append("\n  ".join(lines))
    print("\n\n".join(paragraphs))


def flags(encryption: "Encryption") -> str:
    """Write settings as the flags of `hipmr encrypt` that give them one by one.

    Example:

        >>> from hipmr_hf import Encryption
        >>> flags(Encryption.from_preset("reversible", 64))
        '--strategy rs --image-size 64 --patch-size 8 --sub-patch-symmetries'
    """
    from ..encryption import MixingUp, RandomShuffling

    usual = RandomShuffling() if encryption.strategy == "rs" else MixingUp()
    words = ["--strategy", encryption.strategy]
    for name, value in encryption.to_dict().items():
        flag = f"--{name.replace('_', '-')}"
        if name in ("image_size", "patch_size"):
            words += [flag, *map(str, value if isinstance(value, list) else [value])]
        elif hasattr(usual, name) and name != "strategy" and value != getattr(usual, name):
            words += [flag] if value is True else [flag, str(value)]
    return " ".join(words)
