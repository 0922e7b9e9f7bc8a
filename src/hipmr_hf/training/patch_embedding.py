"""Which patch embedding fits images that were encrypted in some way."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ..encryption.base import Encryption

logger: logging.Logger = logging.getLogger(__name__)


def fitting_embedding(
    encryption: Encryption,
    chosen: str | None = None,
    *,
    told: Literal["classes", "places"] = "classes",
) -> str:
    """Name the patch embedding of a new model for images encrypted like this; one line tells if it is ours.

    Args:
        encryption: settings of the images.
        chosen: the embedding that was asked for; None for the one that fits.
        told: what the model tells: classes of pictures; or what stands where, in boxes or masks.

    Returns:
        What was asked for; else "invariant" where patches are turned, since it does not see how, or tones are
        dealt out, which all together tell something of a picture's class; "texture" for places in the latter
        case, since a tone that came from elsewhere would drown what stands there; else the paper's:
        "nonlinear" for MI, "linear" for RS.

    Example:
        >>> from hipmr_hf import Encryption
        >>> fitting_embedding(Encryption.from_preset("classification"))
        'invariant'
        >>> fitting_embedding(Encryption.from_preset("dense"), told="places")
        'texture'
        >>> fitting_embedding(Encryption.from_preset("paper-rs"))
        'linear'
    """
    if chosen is not None:
        return chosen
    if encryption.shuffle_tones:
        return _tell("texture" if told == "places" else "invariant", "tones are dealt out")
    if encryption.sub_patch_symmetries:
        return _tell("invariant", "patches are turned")
    return "nonlinear" if encryption.strategy == "mi" else "linear"


@functools.cache
def _tell(name: str, reason: str) -> str:
    """Say which embedding it is, once a process, and return its name."""
    logger.warning(
        f"The images' {reason}, so the patch embedding is the {name} one; --patch_embedding linear or "
        "nonlinear is the paper's."
    )
    return name
