"""What an encryption does to pictures, in the words of a command's output."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..encryption import Encryption

_SIDES = {2: "halves each side", 4: "leaves a quarter of each side"}


def size_change(encryption: "Encryption") -> str:
    """Say which size pictures are brought to, and which they have when they are encrypted.

    Example:

        >>> from hipmr_hf import MixingUp, RandomShuffling
        >>> print(size_change(RandomShuffling(sub_patch_grid=2)))
        each picture is resized and cropped to 224x224 pixels (...) and becomes 112x112: a grid of 2 ...
        >>> print(size_change(MixingUp()))
        each picture keeps its size, cropped to whole patches of 16 pixels; a grid of 2 halves each side
    """
    prepared, becomes = prepared_size(encryption), encryption.encrypted_size
    why = _why(encryption)
    if becomes is None:
        return f"each picture {prepared}; {why}"
    size = pixels_of(becomes)
    return f"each picture {prepared} and becomes {size}" + (f": {why}" if why else "")


def prepared_size(encryption: "Encryption") -> str:
    """Say what a picture goes through before it is encrypted, which no key brings back.

    Example:

        >>> from hipmr_hf import RandomShuffling
        >>> prepared_size(RandomShuffling(image_size=(64, 96)))
        'is resized and cropped to 64x96 pixels, height x width (smaller ones are enlarged)'
    """
    size = encryption.image_size
    if size is None:
        return f"keeps its size, cropped to whole patches of {encryption.patch_size} pixels"
    if isinstance(size, int):
        return f"is resized and cropped to {size}x{size} pixels (smaller ones are enlarged)"
    if isinstance(size, tuple):
        return (
            f"is resized and cropped to {pixels_of(size)} pixels, height x width (smaller ones are enlarged)"
        )
    limit = "" if size.longer is None else f", the longer at most {size.longer}"
    return f"is resized until its shorter side has {size.shorter} pixels{limit}"


def pixels_of(size: tuple[int, int]) -> str:
    """Write height and width.

    Example:

        >>> pixels_of((64, 96))
        '64x96'
    """
    return f"{size[0]}x{size[1]}"


def _why(encryption: "Encryption") -> str:
    grid = encryption.sub_patch_grid
    said = []
    if interval := getattr(encryption, "interval", 0):
        said.append(f"an interval takes {interval} pixels of each patch")
    if dropped := getattr(encryption, "drop_ratio", 0):
        said.append(f"a share of {dropped:g} of the patches is left out")
    if grid > 1:
        said.append(f"a grid of {grid} {_SIDES.get(grid, f'leaves 1/{grid} of each side')}")
    return ", ".join(said)


def left_to_attackers(encryption: "Encryption") -> str:
    """Say in one line what the settings leave to an attacker, as measured, and which leave less."""
    from ..hub.limits import what_is_not_protected, what_leaves_less

    first, less = what_is_not_protected(encryption)[0], what_leaves_less(encryption)
    if less is None:
        return first
    return f"{first} Less is left by {less}; hipmr presets tells what it costs."
